"""Every command explains itself, and errors end in one message and their own exit code."""

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.task.skills import SKILLS

runner = CliRunner()


def commands(group=None, path=()):
    """Every command of the tree, as words."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_every_command_has_help_an_example_and_json(path, command):
    """Help says what it does, shows an example, and every option is described."""
    assert "Example: bpp" in (command.help or "") + (command.epilog or "") or "bpp stage run" in (command.epilog or "")
    assert all(parameter.help for parameter in command.params if getattr(parameter, "opts", None) and parameter.name != "help")
    if path != ("simulator", "serve"):
        assert "as_json" in {parameter.name for parameter in command.params}


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_help_runs(path, command):
    """`--help` of every command ends well."""
    answer = runner.invoke(app, [*path, "--help"])
    assert answer.exit_code == 0
    assert "Usage" in answer.output


def bpp(*words, **environment):
    """Run the real program."""
    command = [sys.executable, "-m", "blueprint_pipeline", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_unreadable_request_ends_with_65_and_a_code():
    """For people on stderr: the code, the message and what was expected."""
    ended = bpp("stage", "run", "nonsense", "--request", "/dev/null")
    assert ended.returncode == 65
    assert "stage.unreadable_request" in ended.stderr
    assert "Expected one JSON object" in " ".join(ended.stderr.split())


def test_two_people_on_two_machines_do_not_run_one_stage(tmp_path, settings, monkeypatch):
    """Without a run id each process holds its lease under a name of its own: the second one is told to wait."""
    request = tmp_path / "request.json"
    request.write_text('{"scene_id": "s1"}')
    folder = {"BPP__WORKSPACE__URL": settings.workspace.url, "BPP__REGISTRY__URL": settings.registry.url}
    monkeypatch.setattr("blueprint_pipeline.registry.leases.this_process", lambda: "other-host|pid:[1]|7|1.00")
    holders = []
    with open_registry(settings.registry) as registry:
        monkeypatch.setattr(
            "blueprint_pipeline.stage.runner._Work.find_or_run", lambda work: holders.append(work.lease.lease.holder) or sys.exit(0)
        )
        for name, value in folder.items():
            monkeypatch.setenv(name, value)
        load_settings.cache_clear()
        runner.invoke(app, ["stage", "run", "settle_scene", "--request", str(request)])
        load_settings.cache_clear()
        assert len(holders) == 1
        registry.leases.acquire("s1/commits/settle_scene.json", holders[0], 900)
    ended = bpp("stage", "run", "settle_scene", "--request", str(request), **folder)
    assert ended.returncode == 75
    assert "workspace.lease_held" in ended.stderr


def test_error_as_json_is_one_document(tmp_path):
    """For programs on stdout: one JSON document with code, message and facts."""
    request = tmp_path / "request.json"
    request.write_text('{"scene_id": "s1"}')
    ended = bpp("stage", "run", "nonsense", "--request", str(request), "--json")
    error = json.loads(ended.stdout)["error"]
    assert (error["code"], error["retryable"], ended.returncode) == ("flow.unknown_stage", False, 65)


@pytest.mark.parametrize("words", [("show", "typo"), ("strip", "typo", "x"), ("replay", "typo", "x")])
def test_a_scene_that_is_not_there_is_named(tmp_path, words):
    """A typing error in its id is no defect of the program."""
    answer = bpp("episode", *words, "--json", BPP__WORKSPACE__URL=str(tmp_path))
    error = json.loads(answer.stdout)["error"]
    assert (answer.returncode, error["code"]) == (65, "workspace.file_missing")
    assert "scene 'typo'" in error["message"]


def test_a_defect_is_lines_in_a_log_and_no_boxes(tmp_path):
    """Where no person sits at a terminal; the last line is the error."""
    (tmp_path / "scenes" / "s" / "geniesim").mkdir(parents=True)
    (tmp_path / "scenes" / "s" / "geniesim" / "plan.json").write_text("no JSON")
    answer = bpp("episode", "replay", "s", "x", BPP__WORKSPACE__URL=str(tmp_path))
    assert answer.returncode == 1
    assert "Traceback (most recent call last)" in answer.stderr
    assert "│" not in answer.stderr


def test_misspelt_setting_ends_with_78():
    """A wrong environment variable stops every command, with its name."""
    ended = bpp("stage", "list", BPP__WORKSPASE__URL="x")
    assert ended.returncode == 78
    assert "BPP__WORKSPASE__URL" in ended.stderr


def test_wrong_usage_ends_with_2():
    """An option that does not exist is wrong usage."""
    assert bpp("stage", "list", "--nonsense").returncode == 2


def test_stage_list_shows_every_stage_in_order():
    """The list is the flow."""
    from blueprint_pipeline.stage.flow import STAGES

    ended = bpp("stage", "list", "--json")
    assert [stage["name"] for stage in json.loads(ended.stdout)["stages"]] == list(STAGES)


def test_robots_and_skills_are_listed():
    """Those that can act, and why the others cannot; every skill by the name that a request gives it."""
    robots = {item["name"]: item for item in json.loads(runner.invoke(app, ["robot", "list", "--json"]).stdout)["robots"]}
    assert robots["franka_panda"]["status"] == "supported"
    assert robots["figure_01"]["status"] == "unsupported"
    assert "publishes no model" in robots["figure_01"]["reason"]
    assert "Franka Emika Panda" in runner.invoke(app, ["robot", "list"]).stdout
    skills = json.loads(runner.invoke(app, ["skill", "list", "--json"]).stdout)["skills"]
    assert {item["name"] for item in skills} == set(SKILLS)
    assert "place in a container" in runner.invoke(app, ["skill", "list"]).stdout
