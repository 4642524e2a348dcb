"""What a grader says is read right: its defects fail, its advice does not, and no answer is never a pass."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from blueprint_pipeline.dataset.certify.certification import REQUIRED_GRADERS
from blueprint_pipeline.dataset.certify.environment import PACKAGES, CertifyEnvironment
from blueprint_pipeline.dataset.certify.graders import GRADERS, Grader, Verdict, graders_of, run_grader
from blueprint_pipeline.dataset.formats import FORMATS, usual_formats

ANSWERS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "answers.json").read_text())
"""By grader: an answer with advice only, and one with a defect."""
BY_PACKAGE = {grader.package: grader for grader in GRADERS}


@pytest.fixture
def environment(tmp_path: Path) -> CertifyEnvironment:
    """An environment in which all packages are installed, and no program."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    found = CertifyEnvironment(programs / "python", home)
    found.__dict__["versions"] = dict.fromkeys(PACKAGES, "1.0")
    return found


def install(environment: CertifyEnvironment, grader: Grader, answer: str) -> None:
    """A program that gives this answer where the grader would."""
    program = environment.program(grader.program)
    body = f"import sys; print({answer!r})" if grader.answers_on_output else f"import sys; open(sys.argv[-1], 'w').write({answer!r})"
    program.write_text(f"#!{sys.executable}\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("grader", GRADERS, ids=lambda grader: grader.package)
def test_advice_passes_and_defects_fail(grader: Grader, environment: CertifyEnvironment, tmp_path: Path) -> None:
    """A grader's warning about learning is kept as advice; what it calls broken fails its check."""
    for answer, status in ((ANSWERS[grader.package]["passes"], "passed"), (ANSWERS[grader.package]["fails"], "failed")):
        install(environment, grader, json.dumps(answer))
        result = run_grader(grader, environment, tmp_path, "v3.0")
        assert (result.status, result.tool_version) == (status, "1.0")
        assert result.findings
        assert {finding.severity for finding in result.findings} == ({"advice"} if status == "passed" else {"defect"})


@pytest.mark.parametrize("grader", GRADERS, ids=lambda grader: grader.package)
@pytest.mark.parametrize("answer", ["", "Traceback", "{}"])
def test_no_answer_is_not_run(grader: Grader, answer: str, environment: CertifyEnvironment, tmp_path: Path) -> None:
    """A grader that ends without its answer has not run, whatever its exit code."""
    install(environment, grader, answer)
    result = run_grader(grader, environment, tmp_path, "v3.0")
    assert result.status == "not_run"
    assert "no readable answer" in result.reason


def test_a_grader_is_spared_only_what_it_sees_elsewhere() -> None:
    """All look at the format whose frames others are proven to repeat; there only those are left out who judge frames alone."""
    for row in (FORMATS[name] for name in usual_formats()):
        missing = set(GRADERS) - set(graders_of(row))
        assert all(row.frames_of and grader.frames_alone and grader in graders_of(FORMATS[row.frames_of]) for grader in missing)
        assert len(graders_of(row)) > REQUIRED_GRADERS


def test_a_grader_that_is_not_installed_has_not_run(environment: CertifyEnvironment, tmp_path: Path) -> None:
    """Its absence is reported, with what to do."""
    del environment.__dict__["versions"]["rdq"]
    result = run_grader(BY_PACKAGE["rdq"], environment, tmp_path, "v3.0")
    assert (result.status, result.tool_version) == ("not_run", None)
    assert "make certify-env" in result.reason


def test_a_program_that_is_missing_has_not_run(environment: CertifyEnvironment, tmp_path: Path) -> None:
    """A package without its program has not run."""
    assert run_grader(BY_PACKAGE["rdq"], environment, tmp_path, "v3.0").status == "not_run"


def test_a_grader_that_looked_at_nothing_has_not_run(environment: CertifyEnvironment, tmp_path: Path) -> None:
    """Not audited is not passed."""
    grader = BY_PACKAGE["robot-data-audit"]
    install(environment, grader, json.dumps({"audit_effective": False, "summary": {"verdict_counts": {"PASS": 0}}, "episodes": []}))
    result = run_grader(grader, environment, tmp_path, "v3.0")
    assert (result.status, "looked at nothing" in result.reason) == ("not_run", True)


def test_a_score_that_kalanos_leaves_open_is_told(environment: CertifyEnvironment, tmp_path: Path) -> None:
    """Where an episode is to be reviewed it gives no readiness; its answer is read all the same."""
    grader, answer = BY_PACKAGE["kalanos"], ANSWERS["kalanos"]["passes"]
    counts = answer["eligibility_counts"] | {"review": 1}
    install(environment, grader, json.dumps(answer | {"eligibility_counts": counts, "readiness": {"score": None}}))
    result = run_grader(grader, environment, tmp_path, "v3.0")
    assert (result.status, result.verdict) == ("passed", "readiness not scored: 1 pass, 1 review, 0 blocked, 0 unknown")


def test_folders_of_this_machine_stay_out_of_the_report(environment: CertifyEnvironment, tmp_path: Path) -> None:
    """Findings name the dataset, not where it lay."""
    grader = BY_PACKAGE["rdq"]
    answer = ANSWERS["rdq"]["fails"] | {"findings": [{"severity": "critical", "check": "c", "message": f"{tmp_path}/data is bad"}]}
    install(environment, grader, json.dumps(answer))
    assert run_grader(grader, environment, tmp_path, "v3.0").findings[0].message == "<dataset>/data is bad"


def test_pictures_that_two_formats_share_are_graded_once(environment: CertifyEnvironment, tmp_path: Path) -> None:
    """A grader that decodes every frame is spared those that it sees in the other format, and its verdict says so."""
    grader = BY_PACKAGE["robot-data-audit"]
    install(environment, grader, json.dumps(ANSWERS[grader.package]["passes"]))
    program = environment.program(grader.program)
    program.write_text(program.read_text() + f"open({str(tmp_path / 'arguments')!r}, 'w').write(' '.join(sys.argv))\n")
    whole = run_grader(grader, environment, tmp_path, "v3.0")
    assert "--no-video" not in (tmp_path / "arguments").read_text()
    spared = run_grader(grader, environment, tmp_path, "v2.1")
    assert "--no-video" in (tmp_path / "arguments").read_text()
    assert spared.verdict == f"{whole.verdict}; its pictures were graded in v3.0"


def test_secrets_do_not_reach_graders(environment: CertifyEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a grader needs is in its environment."""
    monkeypatch.setenv("BPP__DELIVERY__WEBHOOK_SECRET", "whsec_x")
    run = environment.run([sys.executable, "-c", "import os; print(sorted(os.environ))"])
    assert run.exit_code == 0
    assert "BLUEPRINT" not in run.output
    assert "HF_HUB_OFFLINE" in run.output


def test_an_unused_verdict_is_audited() -> None:
    """A verdict counts unless its grader says that nothing was looked at."""
    assert Verdict("fine", ()).audited
