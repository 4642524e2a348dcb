"""The public graders: how each is asked, and what of its answer is a defect.

A grader's defect (broken integrity, wrong timing, wrong statistics, an undecodable video, duplicates) fails its check. What it
says about learning (contradictory actions, coverage, smoothness) is kept as advice: skill is reported, never gated on.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint_pipeline.dataset.certify.environment import CertifyEnvironment
from blueprint_pipeline.dataset.certify.report import CheckResult, GraderFinding, not_run
from blueprint_pipeline.dataset.formats import FORMATS, FormatName, FormatRow
from blueprint_pipeline.origin import Origin

Answer = dict[str, Any]
_MAX_FINDINGS = 50


@dataclass(frozen=True)
class Verdict:
    """A grader's answer in our words."""

    text: str
    findings: tuple[GraderFinding, ...]
    audited: bool = True
    """False where the grader itself says that it looked at nothing."""


@dataclass(frozen=True)
class Grader:
    """A public grader."""

    package: str
    program: str
    arguments: Callable[[Path, Path], list[str]]
    """``(dataset, file for the answer)`` to the program's arguments."""
    parse: Callable[[Answer], Verdict]
    answers_on_output: bool = False
    """The answer comes on standard output, not in a file."""
    without_pictures: tuple[str, ...] = ()
    """Options that spare a dataset's pictures, where the grader sees the same ones in another format; empty: it decodes few, or none."""
    frames_alone: bool = False
    """It judges frames and nothing else, and takes long: where it has seen the same ones in another format, it is not asked again."""


def graders_of(row: FormatRow) -> tuple[Grader, ...]:
    """Those who look at a format."""
    return tuple(grader for grader in GRADERS if row.graded and not (row.frames_of and grader.frames_alone))


def run_grader(grader: Grader, environment: CertifyEnvironment, dataset: Path, name: FormatName) -> CheckResult:
    """Let one grader look at a dataset; one that gave no answer has not run."""
    check = f"grader.{grader.package}"
    installed = environment.versions.get(grader.package)
    if installed is None:
        return not_run(
            check, name, required=False, reason=f"{grader.package} is not installed; run `make certify-env`", tool=grader.package
        )
    answer_path = environment.home / f"{grader.package}.{name}.json"
    frames_of = FORMATS[name].frames_of
    spared = grader.without_pictures if frames_of else ()
    command, *arguments = grader.arguments(dataset, answer_path)
    run = environment.run([str(environment.program(grader.program)), command, *spared, *arguments])
    text = run.output if grader.answers_on_output else _read(answer_path)
    try:
        verdict = grader.parse(json.loads(text))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        said = _anonymous(run.last_output, dataset, environment)
        reason = f"gave no readable answer ({type(error).__name__}), exit code {run.exit_code}: {said}"
        return not_run(check, name, required=False, reason=reason, tool=grader.package).model_copy(update={"tool_version": installed})
    if not verdict.audited:
        return not_run(check, name, required=False, reason=f"looked at nothing: {verdict.text}", tool=grader.package)
    findings = tuple(
        finding.model_copy(update={"message": _anonymous(finding.message, dataset, environment)})
        for finding in verdict.findings[:_MAX_FINDINGS]
    )
    defects = sum(finding.severity == "defect" for finding in verdict.findings)
    return CheckResult(
        check=check,
        dataset=name,
        status="failed" if defects else "passed",
        required=False,
        reason=f"{defects} defect(s), {len(verdict.findings) - defects} piece(s) of advice",
        origin=Origin.MEASURED,
        tool=grader.package,
        tool_version=installed,
        verdict=f"{verdict.text}; its pictures were graded in {frames_of}" if spared else verdict.text,
        findings=findings,
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _anonymous(text: str, dataset: Path, environment: CertifyEnvironment) -> str:
    """The same words without folders of this machine."""
    return text.replace(str(dataset), "<dataset>").replace(str(environment.home), "<home>").replace(str(environment.python.parent), "<bin>")


def _parse_rdq(answer: Answer) -> Verdict:
    findings = tuple(
        GraderFinding(
            severity="defect" if item["severity"] == "critical" else "advice",
            code=str(item["check"]),
            message=str(item.get("message") or item.get("title") or item["check"]),
        )
        for item in answer["findings"]
    )
    score = answer["score"]
    text = f"score {score['dataset_score']}/100, usable episodes {len(score['usable_episodes'])}/{answer['dataset']['episodes']}"
    return Verdict(text, findings, audited=answer["dataset"]["episodes"] > 0)


def _parse_robovet(answer: Answer) -> Verdict:
    findings = tuple(
        GraderFinding(severity="defect" if item["severity"] == "FAIL" else "advice", code=item["check_id"], message=item["summary"])
        for item in answer["results"]
        if item["severity"] != "PASS"
    )
    counts = answer["counts"]
    text = ", ".join(f"{counts[name]} {name.lower()}" for name in ("FAIL", "WARN", "INFO", "PASS"))
    return Verdict(text, findings, audited=counts["PASS"] > 0)


def _parse_doctor(answer: Answer) -> Verdict:
    findings = tuple(
        GraderFinding(severity="defect" if message["severity"] == "FAIL" else "advice", code=check["name"], message=message["message"])
        for check in answer["checks"]
        for message in check["messages"]
        if message["severity"] in {"WARN", "FAIL"}
    )
    counts = answer["summary"]
    text = f"{answer['overall_severity']}: " + ", ".join(f"{counts[name]} {name.lower()}" for name in ("FAIL", "WARN", "PASS"))
    return Verdict(text, findings, audited=answer["total_episodes"] > 0)


_ADDUCT_DEFECTS = ("integrity.", "label.missing_or_empty", "vision.camera_dropout", "vision.frozen_frames")
"""What adduct says of the data themselves; its other families speak of how a policy would learn from them."""


def _parse_adduct(answer: Answer) -> Verdict:
    findings = tuple(
        GraderFinding(
            severity="defect" if item["severity"] == "HIGH" and item["id"].startswith(_ADDUCT_DEFECTS) else "advice",
            code=item["id"],
            message=f"{item['severity']}: {item['title']}",
        )
        for item in answer["clusters"]
    )
    detectors = answer.get("detectors_run")
    ran = len(detectors) if isinstance(detectors, list) else detectors
    return Verdict(f"{len(findings)} finding(s) by {ran} detectors", findings, audited=bool(ran) and answer["dataset"]["n_episodes"] > 0)


def _parse_deepen(answer: Answer) -> Verdict:
    overall = answer["overall"]
    defects = [
        GraderFinding(severity="defect", code=code, message=f"{item['name']}: {item['defective']} of {item['gradable']} episodes")
        for code, item in answer["defect_classes"].items()
        if item["defective"]
    ]
    advice = [
        GraderFinding(severity="advice", code=item["check_id"], message=item["summary"])
        for item in answer["dataset_level_checks"]
        if item["severity"] in {"warn", "fail"}
    ]
    for code, item in answer["training_value"].items():
        worse = {name: count for name, count in item["counts"].items() if name in {"warn", "fail"}}
        if worse:
            advice.append(GraderFinding(severity="advice", code=code, message=f"{item['name']}: {worse}"))
    graded = any(item["gradable"] for item in answer["defect_classes"].values())
    return Verdict(f"grade {overall['grade']}, score {overall['score']}/100", (*defects, *advice), audited=graded and not answer["partial"])


def _parse_kalanos(answer: Answer) -> Verdict:
    counts = answer["eligibility_counts"]
    findings = [
        GraderFinding(severity="defect", code="blocked", message=f"{counts['blocked']} episode(s) blocked"),
        *(GraderFinding(severity="advice", code=str(code), message=message) for code, message in sorted(_kalanos_findings(answer))),
    ]
    score = answer["readiness"]["score"]  # none where an episode is to be reviewed
    text = ("readiness not scored: " if score is None else f"readiness {score:.0f}/100: ") + ", ".join(
        f"{counts[name]} {name.removesuffix('_count')}" for name in ("pass_count", "review", "blocked", "unknown")
    )
    return Verdict(
        text,
        tuple(findings if counts["blocked"] else findings[1:]),
        audited=counts["pass_count"] + counts["review"] + counts["blocked"] > 0,
    )


def _kalanos_findings(answer: Answer) -> set[tuple[str, str]]:
    """Findings of episodes, joined: one a metric and channel."""
    episodes: dict[tuple[str, str], set[str]] = {}
    for item in answer["findings"]:
        where = "/".join(str(item[name]) for name in ("stream", "channel") if item.get(name))
        episodes.setdefault((item["metric_id"], where), set()).add(str(item["episode_id"]))
    return {(code, f"{where}: {len(found)} episode(s)") for (code, where), found in episodes.items()}


def _parse_rda(answer: Answer) -> Verdict:
    counts = answer["summary"]["verdict_counts"]
    findings = [
        GraderFinding(
            severity="defect",
            code="EXCLUDE",
            message=f"episode {episode['episode_index']}: {', '.join(map(str, episode['exclude_reasons']))}",
        )
        for episode in answer["episodes"]
        if episode["verdict"] == "EXCLUDE"
    ]
    findings += [
        GraderFinding(severity="advice", code="REVIEW", message=f"episode {episode['episode_index']}")
        for episode in answer["episodes"]
        if episode["verdict"] == "REVIEW"
    ]
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Verdict(text, tuple(findings), audited=bool(answer["audit_effective"]))


# Those that take longest come first, so that no core waits for one of them at the end.
GRADERS: tuple[Grader, ...] = (
    Grader(
        "kalanos",
        "kalanos",
        lambda dataset, answer: ["grade", str(dataset), "--report", str(answer)],
        _parse_kalanos,
        frames_alone=True,
    ),
    Grader(
        "robot-data-audit",
        "rda",
        lambda dataset, answer: ["audit", str(dataset), "--format", "json", "-o", str(answer)],
        _parse_rda,
        without_pictures=("--no-video",),
    ),
    Grader(
        "adduct",
        "adduct",
        lambda dataset, answer: ["scan", str(dataset), "--full", "--seed", "0", "--json", str(answer)],
        _parse_adduct,
        without_pictures=("--no-vision",),
    ),
    Grader(
        "deepen-grade", "deepen", lambda dataset, answer: ["grade", str(dataset), "--json", "--quiet", "-o", str(answer)], _parse_deepen
    ),
    Grader("rdq", "rdq", lambda dataset, answer: ["check", str(dataset), "--video", "--no-color", "--json", str(answer)], _parse_rdq),
    Grader("robovet", "robovet", lambda dataset, answer: ["doctor", str(dataset), "--json", str(answer)], _parse_robovet),
    Grader("lerobot-doctor", "lerobot-doctor", lambda dataset, _: ["check", str(dataset), "--json"], _parse_doctor, answers_on_output=True),
)
