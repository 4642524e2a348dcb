"""``bpp coverage``: what the batches of a scene cover, robot by robot; of a scene without any, that is said."""

import json

import pytest
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.cli.coverage import NothingCounted
from blueprint_pipeline.registry.coverage import CoverageEvidence, CoverageRecord
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.skill.registry import load_skill
from tests.task.coverage_cases import SKILL, batch_with

VERSION = load_skill(SKILL).version


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.setenv("BPP__WORKSPACE__URL", str(tmp_path / "workspace"))
    monkeypatch.setenv("BPP__REGISTRY__URL", f"sqlite:///{tmp_path / 'registry.db'}")
    load_settings.cache_clear()
    with open_registry(load_settings().registry) as opened:
        yield opened
    load_settings.cache_clear()


def count(registry, batch, robot, counts, form="f" * 64):
    document = batch_with(counts, version=VERSION).model_dump(mode="json")
    evidence = CoverageEvidence(plan_sha256="1" * 64)
    registry.coverage.record(
        CoverageRecord(
            scene_id="kitchen", batch=batch, robot=robot, job_id="job-1", scene_sha256=form, evidence=evidence, document=document
        )
    )


def run(*arguments):
    return CliRunner().invoke(app, ["coverage", "kitchen", *arguments])


def test_batches_of_a_robot_add_up_and_robots_stand_apart(registry):
    """With why a cell is empty; what was counted of another form of the scene is told as not counted."""
    count(registry, "0", "franka_panda", {("can", "left"): (4, {})}, form="e" * 64)
    count(registry, "a", "franka_panda", {("can", "left"): (2, {"gate.detour": 1}), ("bowl", "left"): (0, {"plan_pick.no_path": 3})})
    count(registry, "b", "franka_panda", {("can", "left"): (1, {}), ("bowl", "left"): (0, {"plan_pick.no_path": 3})})
    count(registry, "c", "agibot_g2", {("bowl", "left"): (1, {})})
    found = json.loads(run("--json").stdout)
    assert found["batches_of_other_forms"] == 1
    franka = {facts["axes"][-1]: facts for facts in found["robots"]["franka_panda"]["combinations"] if facts["axes"][0] == "object"}
    assert (franka["start"]["declared"], franka["start"]["filled"], franka["start"]["kept"], franka["start"]["asked"]) == (2, 1, 3, 10)
    bowl = next(cell for cell in franka["start"]["cells"] if cell["values"] == ["bowl", "left"])
    assert bowl["empty_because"] == "unreachable: 6 of 6 failed with plan_pick.no_path"
    assert found["robots"]["agibot_g2"]["combinations"][0]["filled"] == 1
    assert list(json.loads(run("--json", "--robot", "agibot_g2").stdout)["robots"]) == ["agibot_g2"]


def test_people_see_the_emptiest_pairs(registry, monkeypatch):
    monkeypatch.setattr("blueprint_pipeline.cli.output.console.width", 200, raising=False)
    count(registry, "a", "franka_panda", {("can", "left"): (2, {}), ("bowl", "left"): (0, {"plan_pick.no_path": 6})})
    shown = run().stdout
    assert "2 of 8 planned episodes kept, in 1 batches" in " ".join(shown.split())
    assert "unreachable" in shown


def test_a_scene_without_batches_is_told_as_such(registry):
    del registry
    failed = run().exception
    assert isinstance(failed, NothingCounted)
    assert "plan_tasks" in str(failed)
