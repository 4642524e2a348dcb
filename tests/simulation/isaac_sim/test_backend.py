"""The backend's own code: what it promises, and the suite through it, on a recorded session and on the stand-in that made it.

None of this ran with Isaac Sim; the session's header says what answered.
"""

from pathlib import Path

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.conformance import CHECKS, check_simulator
from blueprint_pipeline.simulation.conformance_scene import BLOCK, write_conformance_scene
from blueprint_pipeline.simulation.errors import NotLoaded, SimulationDiverged, UnknownName
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulation.isaac_sim.session import ReplayedApi
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.twin.errors import RateNotWhole, WrongShape
from tests.simulation.isaac_sim.record_session import SESSION, record
from tests.simulation.isaac_sim.stand_in import MujocoStandIn

PANDA = load_embodiment("franka_panda")
START = home_qpos(PANDA)


@pytest.fixture
def scene(tmp_path):
    return write_conformance_scene(tmp_path, PANDA)


@pytest.fixture
def simulator(scene):
    found = IsaacSimSimulator(MujocoStandIn())
    found.load(scene.folder, scene.placement, 30)
    yield found
    found.close()


def test_it_promises_no_bit_identical_replay():
    """PhysX's caches cannot be saved, so episodes are judged by the k-of-n rule."""
    promised = IsaacSimSimulator(MujocoStandIn()).capabilities()
    assert (promised.deterministic, promised.restores_state, promised.renders, promised.contacts) == (False, False, True, True)


def test_the_suite_passes_on_the_recorded_session():
    """Every check through the backend's code; every call is the one that was recorded."""
    api = ReplayedApi(SESSION)
    assert api.origin == "stand_in", "no recording of Isaac Sim is in this repository"
    assert "not Isaac Sim" in api.version
    results = check_simulator(IsaacSimSimulator(api))
    assert [result.name for result in results] == list(CHECKS)
    assert [result.message for result in results if not result.passed] == []
    assert next(result for result in results if result.name == "replays").value is None


def test_the_stand_in_still_answers_as_recorded(tmp_path):
    """The session is no relic: recorded again, it gives the same figures."""
    again = {result.name: result.value for result in record(tmp_path / "again.jsonl.gz")}
    recorded = {result.name: result.value for result in check_simulator(IsaacSimSimulator(ReplayedApi(SESSION)))}
    for name, value in recorded.items():
        assert again[name] == (None if value is None else pytest.approx(value, rel=0.02, abs=1e-5)), name


def test_frames_are_whole_numbers_of_steps(scene):
    with pytest.raises(RateNotWhole, match="7 Hz"):
        IsaacSimSimulator(MujocoStandIn()).load(scene.folder, scene.placement, 7)


def test_a_reset_puts_everything_where_it_starts(simulator):
    pose = Pose(position_m=(1.0, 0.5, 0.3), quat_wxyz=(0.6, 0.0, 0.8, 0.0))
    state = simulator.reset({BLOCK: pose}, START)
    assert state.object_poses[0] == pytest.approx((*pose.position_m, *pose.quat_wxyz), abs=1e-6)
    assert (state.time_s, np.abs(state.qvel).max()) == (0.0, 0.0)
    assert state.robot_qpos == pytest.approx(PANDA.arms[0].default_qpos_rad, abs=1e-6)
    assert [*state.gripper_width_m, *state.gripper_command_m] == pytest.approx([0.08, 0.08])
    back = simulator.reset({}, START)
    assert back.object_poses[0, 0] != pytest.approx(1.0), "an object that is not named stands where the stage has it"


def test_a_state_can_be_saved_as_far_as_it_can_be_read(simulator):
    simulator.reset({}, START)
    moved = simulator.track(np.tile(simulator.observe().ctrl + 0.01, (5, 1))).states[-1]
    saved = simulator.save_state()
    simulator.track(np.tile(moved.ctrl - 0.05, (5, 1)))
    back = simulator.restore_state(saved)
    assert back.qpos == pytest.approx(moved.qpos, abs=1e-6)
    assert back.qvel == pytest.approx(moved.qvel, abs=1e-6)
    assert (back.time_s, back.ctrl.tolist()) == (moved.time_s, moved.ctrl.tolist())


def test_wrong_calls_are_refused(simulator):
    with pytest.raises(UnknownName, match="ghost"):
        simulator.reset({"ghost": Pose(position_m=(0, 0, 0), quat_wxyz=(1, 0, 0, 0))}, START)
    with pytest.raises(WrongShape, match="robot_qpos"):
        simulator.reset({}, START[:-1])
    with pytest.raises(WrongShape, match="setpoints"):
        simulator.track(np.zeros((2, 7)))
    with pytest.raises(WrongShape, match="state"):
        simulator.restore_state(np.zeros(3))
    with pytest.raises(UnknownName, match="rear"):
        simulator.render("rear", 16, 16)
    simulator.close()
    with pytest.raises(NotLoaded, match="observe"):
        simulator.observe()


def test_a_state_that_is_not_finite_is_an_error(simulator):
    simulator._api.data.qvel[:] = np.nan
    simulator._api.advance = lambda targets: [()] * len(targets)
    with pytest.raises(SimulationDiverged):
        simulator.track(np.tile(simulator.observe().ctrl, (1, 1)))


def test_one_process_acts_on_many_scenes(scene):
    """The stage of the last one is closed, and its folder is gone."""
    api = MujocoStandIn()
    simulator = IsaacSimSimulator(api)
    folders = []
    for _ in range(3):
        loaded = simulator.load(scene.folder, scene.placement, 30)
        folders.append(Path(simulator._scene.folder.name))
    simulator.close()
    assert api.opened == 3
    assert loaded.info.substeps == 16
    assert not any(folder.exists() for folder in folders)


@pytest.mark.slow
def test_an_assembled_scene_moves_as_in_the_twin(finished):
    """The same setpoints on a scene from all stages: the arm and every object end where the twin has them, contacts agree."""
    folder = finished[0].scene.local("mjcf").parent
    placement = RobotPlacement(embodiment="franka_panda", base_pose=Pose(position_m=(-0.9, 0.0, 0.75), quat_wxyz=(1, 0, 0, 0)))
    ends = {}
    for simulator in (MujocoSimulator(), IsaacSimSimulator(MujocoStandIn())):
        loaded = simulator.load(folder, placement, 30)
        start = simulator.reset({}, START).ctrl
        setpoints = np.tile(start, (45, 1))
        setpoints[:, 0] += np.linspace(0, 0.6, 45)
        setpoints[:, 3] += np.linspace(0, 0.5, 45)
        track = simulator.track(setpoints)
        ends[simulator.name] = (loaded, track.states[-1], {item.bodies: item.force_n for item in track.contacts[-1]})
        simulator.close()
    (twin, in_twin, felt), (here, there, reported) = ends["mujoco"], ends["isaac_sim"]
    assert (here.object_ids, here.actuators, sorted(here.cameras)) == (twin.object_ids, twin.actuators, sorted(twin.cameras))
    assert there.robot_qpos == pytest.approx(in_twin.robot_qpos, abs=1e-5)
    assert there.ee_pose == pytest.approx(in_twin.ee_pose, abs=1e-5)
    assert there.object_poses[:, :3] == pytest.approx(in_twin.object_poses[:, :3], abs=2e-3)
    assert reported.keys() == felt.keys()
    assert all(reported[pair] == pytest.approx(felt[pair], rel=0.1) for pair in felt)
