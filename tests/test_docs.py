"""What the pages say works as printed: links lead somewhere, commands and settings exist, and those that can run are run."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.settings import Settings
from operators.task_order import task_ids

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("docs/*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def anchors_of(page):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page):
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())) if "://" not in link]


def missing(page, link):
    """Whether a link of a page leads nowhere."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or bool(anchor and anchor not in anchors_of(target))


def blocks_of(page, *languages):
    return [text for language, text in FENCE.findall(page.read_text()) if language in languages]


def commands_of(page, program):
    """Every call of a program in a page, as words: in code blocks, and in inline code that holds the whole command."""
    lines = [line.replace("\\\n", " ") for block in blocks_of(page, "bash", "") for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text()))
    for text in (*lines, *inline):
        for part in re.split(r"\||&&|;", text):
            words = part.partition(" #")[0].replace('"', "").split()
            if words and words[0].rpartition("/")[2] == program and len(words) > 1:
                yield words[1:]


def unknown_part(words):
    """The first word or option of a ``bpp`` call that the program does not know; ``None`` where it knows all."""
    command = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return name
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return next((word for word in rest if word.startswith("--") and word.partition("=")[0] not in known), None)


@pages
def test_links_lead_somewhere(page):
    assert [link for link in links_of(page) if missing(page, link)] == []


@pages
def test_bpp_commands_exist_with_their_options(page):
    assert [" ".join(words) for words in commands_of(page, "bpp") if unknown_part(words)] == []


@pages
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[0] for words in commands_of(page, "make") if re.fullmatch(r"[a-z][a-z-]*", words[0])}
    assert named - targets == set()


@pages
def test_settings_exist(page):
    groups = {name: field.annotation.model_fields for name, field in Settings.model_fields.items()}
    named = re.findall(r"\bBPP__([A-Z]+)__([A-Z_]*[A-Z])\b", page.read_text())
    assert [f"{group}.{name}" for group, name in named if name.lower() not in groups.get(group.lower(), {})] == []


def test_the_checks_see_what_is_wrong(tmp_path):
    """A broken link, a command, an option: each is found."""
    page = tmp_path / "page.md"
    page.write_text("# A page\n[x](gone.md) [y](#a-page) [z](#b)\n```bash\nbpp scene look --json | bpp verify B --quick\n```\n")
    assert [link for link in links_of(page) if missing(page, link)] == ["gone.md", "#b"]
    assert [unknown_part(words) for words in commands_of(page, "bpp")] == ["look", "--quick"]


RUNNABLE = {"README.md": 1, "scene-artists.md": 0}
"""Pages, and from which ``bash`` block on their ``bpp`` lines run on an empty workspace, in their order."""
AFTER_THE_DEMO = re.compile(r"\btabletop_scanned\b")


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNABLE)
def test_commands_run_as_printed(name, tmp_path):
    """In the order of the page, on an empty machine; what needs the demo's scene is run by the demo's test."""
    page = next(page for page in PAGES if page.name == name)
    lines = [line for block in blocks_of(page, "bash")[RUNNABLE[name] :] for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("bpp ") and not AFTER_THE_DEMO.search(line)]
    assert len(commands) > 1
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "BPP__WORKSPACE__URL": str(tmp_path / "workspace"),
        "BPP__WORKSPACE__CACHE_DIR": str(tmp_path / "cache"),
        "BPP__REGISTRY__URL": f"sqlite:///{tmp_path / 'registry.db'}",
        "BPP__DELIVERY__SIGNING_KEY": str(tmp_path / "signing.pem"),
    }
    for command in commands:
        ended = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"


@pytest.mark.slow
def test_doctor_answers_on_an_empty_machine(tmp_path):
    """The issue forms ask for it: one JSON document, with no file of ours yet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BPP__")}
    command = [Path(sys.executable).with_name("bpp"), "doctor", "--json"]
    ended = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert {finding["part"] for finding in json.loads(ended.stdout)["findings"]} >= {"python", "mujoco", "workspace", "registry"}


def test_the_workflow_runs_the_pipeline_with_pinned_actions():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["ci"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)


def test_the_bug_form_asks_for_the_doctor():
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text())
    doctor = next(part for part in form["body"] if part.get("id") == "doctor")
    assert "bpp doctor --json" in doctor["attributes"]["description"]
    assert doctor["validations"]["required"]


def test_the_citation_has_the_version_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_the_page_for_data_engineers_lists_every_stage_in_its_group():
    """As the rows of the stages have them."""
    page = (ROOT / "docs" / "data-engineers.md").read_text()
    listed = {group: re.findall(r"`(\w+)`", cells) for group, cells in re.findall(r"^\| (\w+) \| (`\w+_\w+`.*) \|$", page, re.MULTILINE)}
    assert listed == {group: list(names) for group, names in task_ids().items()}


def test_labs_are_told_the_lerobot_that_certifies_with_torch_and_torchvision_of_one_release():
    """Of each pair of releases, torchvision's minor version is torch's and 15 more."""
    pinned = re.search(r'"lerobot==([\d.]+)"', (ROOT / "include/config/certify_environment/pyproject.toml").read_text())
    told = re.search(
        r"lerobot==([\d.]+) torch==2\.(\d+)\.\d+ torchvision==0\.(\d+)\.\d+", (ROOT / "docs/labs.md").read_text().replace("\n", " ")
    )
    assert told[1] == pinned[1]
    assert int(told[3]) == int(told[2]) + 15


def test_an_alert_leads_to_the_case_of_its_code():
    """Its link is the runbook's URL with the code as anchor: every code that heads a case on the page for on-call has one there."""
    page = (ROOT / "docs/on-call.md").read_text()
    codes = [code for lead in re.findall(r"\*\*(`.+?)\*\*", page) for code in re.findall(r"`([a-z]+\.[a-z_]+)`", lead)]
    assert "run.refused" in codes
    assert [code for code in codes if f'<a id="{code.replace(".", "")}"></a>' not in page] == []


def test_on_call_is_told_the_airflow_that_is_locked():
    """On which one clearing a task was looked at: with another lock, look again."""
    (locked,) = re.findall(r"^apache-airflow==([\d.]+) ", (ROOT / "requirements-airflow.txt").read_text(), re.MULTILINE)
    page = " ".join((ROOT / "docs/on-call.md").read_text().split())
    assert f"on the Airflow that is locked here, {locked}." in page
