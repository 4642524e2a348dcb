"""The thin layer: it alone imports Isaac Sim; what it sets; the suite passes through it on modules of the documented shape."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import blueprint_pipeline
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.simulation.conformance import CHECKS, check_simulator
from blueprint_pipeline.simulation.conformance_scene import BLOCK, write_conformance_scene
from blueprint_pipeline.simulation.errors import NotLoaded
from blueprint_pipeline.simulation.isaac_sim import api
from blueprint_pipeline.simulation.isaac_sim.api import IsaacSimMissing, IsaacSimUnsupported, NoFrame
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulation.isaac_sim.errors import StageNotUsable
from blueprint_pipeline.stage.runner import is_stop_asked, stop_on_sigterm
from tests.simulation.isaac_sim.fake_kit import FakeKit


@pytest.fixture
def kit(monkeypatch):
    """Isaac Sim's modules, 5.1's by default."""
    return install(FakeKit(), monkeypatch)


def install(found, monkeypatch):
    found.install(monkeypatch)
    api.start_isaac_sim.cache_clear()
    monkeypatch.setattr(sys, "argv", ["blueprint_pipeline", "simulator", "serve", "--port", "0"])
    return found


@pytest.fixture(autouse=True)
def _forget():
    yield
    api.start_isaac_sim.cache_clear()


def test_only_one_module_knows_isaac_sim():
    """All others run, and are tested, without it."""
    root = Path(blueprint_pipeline.__file__).parent
    wrong = []
    for path in root.rglob("*.py"):
        words = {
            node.value.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(("isaacsim", "omni.", "carb"))
        }
        imports = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        if (words | imports) & {"isaacsim", "omni", "carb"} and path.name != "api.py":
            wrong.append(path.relative_to(root).as_posix())
    assert wrong == []


def test_another_python_is_told_where_isaac_sim_is():
    """This one has none."""
    api.start_isaac_sim.cache_clear()
    with pytest.raises(IsaacSimMissing, match="image isaac"):
        api.start_isaac_sim()


def test_it_starts_once_without_our_arguments(kit):
    """Kit would read our command line as its own; a fast shutdown would hide our exit code."""
    first = api.start_isaac_sim()
    assert api.start_isaac_sim() is first
    assert len(kit.started) == 1
    assert (kit.started[0]["headless"], kit.started[0]["fast_shutdown"]) == (True, False)
    assert kit.argv_when_started == []
    assert sys.argv[1:] == ["simulator", "serve", "--port", "0"]
    assert (first.version, first.origin) == ("5.1.0", "isaac_sim")


def test_a_job_still_hears_sigterm(kit):
    """Whoever starts Isaac Sim within ``stop_on_sigterm`` is still asked to end: the last commit hangs on it."""
    with stop_on_sigterm():
        api.start_isaac_sim()
        assert not is_stop_asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert is_stop_asked()


def test_physics_steps_only_when_asked_and_reports_contacts(kit):
    api.start_isaac_sim()
    assert kit.settings["/app/player/playSimulations"] is False
    assert kit.settings["/physics/disableContactProcessing"] is False
    assert kit.settings["/physics/updateToUsd"] is True
    assert kit.enabled == {"omni.physics.tensors", "omni.replicator.core"}, "Fabric would keep poses from the renderer"


def test_where_there_are_more_engines_physx_is_chosen(monkeypatch):
    """6.x has Newton built in; 5.1 knows no such choice."""
    old = install(FakeKit("5.1.0"), monkeypatch)
    api.start_isaac_sim()
    assert old.engine is None
    new = install(FakeKit("6.2.0"), monkeypatch)
    api.start_isaac_sim()
    assert new.engine == "physx"


def test_physx_that_cannot_be_chosen_is_an_error(monkeypatch):
    install(FakeKit("6.2.0", engine_answers=False), monkeypatch)
    with pytest.raises(IsaacSimMissing, match="PhysX"):
        api.start_isaac_sim()


@pytest.mark.parametrize("version", ["4.5.0", "7.0.0"])
def test_versions_whose_api_is_not_known_are_refused(monkeypatch, version):
    install(FakeKit(version), monkeypatch)
    with pytest.raises(IsaacSimUnsupported, match=version):
        api.start_isaac_sim()


@pytest.mark.parametrize("version", ["5.1.0", "6.0.1", "6.1.0", "6.2.0"])
def test_the_suite_passes_through_the_layer(monkeypatch, version):
    """Rows of views backwards, joints backwards, frames that are empty at first: all of it is sorted out."""
    install(FakeKit(version), monkeypatch)
    results = check_simulator(IsaacSimSimulator(api.start_isaac_sim()))
    assert [result.name for result in results] == list(CHECKS)
    assert [result.message for result in results if not result.passed] == []


def test_many_scenes_one_after_the_other_in_one_process(kit, tmp_path):
    """Each is opened afresh; what was drawn of the last is gone."""
    panda = load_embodiment("franka_panda")
    scene = write_conformance_scene(tmp_path, panda)
    simulator = IsaacSimSimulator(api.start_isaac_sim())
    for _ in range(3):
        simulator.load(scene.folder, scene.placement, 30)
        assert simulator.render("scene", 32, 24).shape == (24, 32, 3)
        assert simulator.observe().object_poses[0, :3] == pytest.approx(scene.block_pose.position_m, abs=1e-6)
    simulator.close()
    assert len(kit.started) == 1


def test_the_same_camera_in_two_shapes_keeps_its_vertical_view(kit, tmp_path):
    """The aperture belongs to the camera, so it is set for each picture."""
    scene = write_conformance_scene(tmp_path, load_embodiment("franka_panda"))
    simulator = IsaacSimSimulator(api.start_isaac_sim())
    simulator.load(scene.folder, scene.placement, 30)
    narrow, wide, again = (simulator.render("scene", width, 48) for width in (48, 96, 48))
    assert np.abs(wide[:, 24:72].astype(int) - narrow).mean() < 8
    assert np.array_equal(narrow, again)


def test_a_renderer_that_draws_nothing_is_an_error(kit, tmp_path):
    scene = write_conformance_scene(tmp_path, load_embodiment("franka_panda"))
    simulator = IsaacSimSimulator(api.start_isaac_sim())
    simulator.load(scene.folder, scene.placement, 30)
    kit.empty_frames = 10_000
    with pytest.raises(NoFrame, match="VK_ERROR_DEVICE_LOST"):
        simulator.render("scene", 16, 16)


def test_a_body_that_physx_does_not_find_is_named(kit, tmp_path):
    """E.g. because a body without a mass was dropped."""
    scene = write_conformance_scene(tmp_path, load_embodiment("franka_panda"))
    simulator = IsaacSimSimulator(api.start_isaac_sim())
    simulator.load(scene.folder, scene.placement, 30)
    with pytest.raises(StageNotUsable, match="/World/ghost"):
        api._rows(None, ["/World/ghost"], Path("stage.usda"))
    assert simulator.observe().object_poses.shape == (1, 7)
    assert BLOCK in simulator.load(scene.folder, scene.placement, 30).object_ids


def test_calls_before_a_stage_is_open_are_refused(kit):
    with pytest.raises(NotLoaded, match="read"):
        api.start_isaac_sim().read()


def test_nothing_needs_usd_before_isaac_sim_runs():
    """Kit brings ``pxr``, and it is missing before: not for serve, check or prove."""
    modules = [
        "proof.proof",
        "proof.evidence",
        "simulation.conformance",
        "simulation.isaac_sim.api",
        "simulation.isaac_sim.backend",
        "simulation.isaac_sim.session",
        "simulation.isaac_sim.main_thread",
        "simulation.service.server",
        "quality.gate_inputs",
        "cli.app",
        "compute.preflight",
    ]
    imports = "; ".join(f"import blueprint_pipeline.{name}" for name in modules)
    code = f"import sys; sys.modules['pxr'] = None; {imports}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
