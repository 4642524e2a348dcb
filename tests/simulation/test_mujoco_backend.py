"""Tests of the embedded simulator on a small scene with a Panda."""

from pathlib import Path

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.errors import NotLoaded, SimulationDiverged, UnknownName
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.twin.errors import ModelNotBuilt, RateNotWhole, WrongShape
from tests.simulation.small_scene import SCENE_XML, write_scene

PLACEMENT = RobotPlacement(embodiment="franka_panda", base_pose=Pose(position_m=(-0.5, 0.0, 0.7), quat_wxyz=(1.0, 0.0, 0.0, 0.0)))
FPS = 30


def home() -> tuple[float, ...]:
    panda = load_embodiment("franka_panda")
    return home_qpos(panda)


@pytest.fixture
def simulator(tmp_path: Path) -> MujocoSimulator:
    loaded = MujocoSimulator()
    loaded.load(write_scene(tmp_path), PLACEMENT, FPS)
    return loaded


def wave(simulator: MujocoSimulator, frames: int) -> np.ndarray:
    """Setpoints that move two joints and the gripper."""
    setpoints = np.tile(simulator.data.ctrl, (frames, 1))
    setpoints[:, 0] += 0.4 * np.sin(np.arange(frames) / 10)
    setpoints[:, 3] -= 0.3 * np.sin(np.arange(frames) / 10)
    setpoints[:, -1] = np.linspace(0.08, 0.0, frames)
    return setpoints


def test_load_tells_how_the_scene_is_addressed(tmp_path: Path) -> None:
    """Objects, cameras and the rate of physics steps."""
    loaded = MujocoSimulator().load(write_scene(tmp_path), PLACEMENT, FPS)
    assert loaded.object_ids == ("can", "box")
    assert set(loaded.cameras) == {"scene", "robot/wrist"}
    assert (loaded.info.substeps, len(loaded.actuators)) == (16, 8)


def test_model_hash_follows_content_not_place(tmp_path: Path) -> None:
    """A copy of a scene has the same hash; a heavier can has another."""
    first = MujocoSimulator().load(write_scene(tmp_path / "a"), PLACEMENT, FPS)
    copy = MujocoSimulator().load(write_scene(tmp_path / "b"), PLACEMENT, FPS)
    changed = write_scene(tmp_path / "c")
    (changed / "mjcf/scene.xml").write_text(SCENE_XML.replace('mass="0.2"', 'mass="0.21"'))
    assert first.model_sha256 == copy.model_sha256
    assert first.model_sha256 != MujocoSimulator().load(changed, PLACEMENT, FPS).model_sha256


def test_reset_puts_robot_and_objects_where_they_start(simulator: MujocoSimulator) -> None:
    """Positions are exact, everything is at rest, and the robot's setpoint holds it."""
    pose = Pose(position_m=(0.1, -0.2, 0.8), quat_wxyz=(0.0, 0.0, 0.0, 1.0))
    state = simulator.reset({"can": pose}, home())
    assert state.object_poses[0].tolist() == [0.1, -0.2, 0.8, 0.0, 0.0, 0.0, 1.0]
    assert state.robot_qpos.tolist() == list(home()[:7])
    assert [*state.gripper_width_m, *state.gripper_command_m] == pytest.approx([0.08, 0.08])
    assert not state.qvel.any()


def test_robot_holds_its_pose_against_gravity(simulator: MujocoSimulator) -> None:
    """A second without a new setpoint moves no joint by more than a milliradian."""
    simulator.reset({}, home())
    track = simulator.track(np.tile(simulator.data.ctrl, (FPS, 1)))
    assert np.abs(track.states[-1].robot_qpos - np.array(home()[:7])).max() < 1e-3


def test_contacts_name_pairs_with_depth_and_weight(simulator: MujocoSimulator) -> None:
    """The can's contact with the table carries its weight."""
    simulator.reset({}, home())
    contacts = {contact.bodies: contact for contact in simulator.track(np.tile(simulator.data.ctrl, (FPS, 1))).contacts[-1]}
    assert contacts["can|table"].force_n == pytest.approx(0.2 * 9.81, rel=0.05)
    assert 0 <= contacts["can|table"].depth_m < 0.001


def test_saved_state_and_setpoints_replay_bit_by_bit(simulator: MujocoSimulator) -> None:
    """Also in another simulator, and without looking at contacts."""
    simulator.reset({}, home())
    setpoints = wave(simulator, 40)
    simulator.track(setpoints[:10])
    saved = simulator.save_state()
    first = simulator.track(setpoints[10:]).states[-1]
    simulator.restore_state(saved)
    for setpoint in setpoints[10:]:
        simulator.advance_blind(setpoint)
    again = simulator.observe()
    assert first.qpos.tobytes() == again.qpos.tobytes()
    assert first.qvel.tobytes() == again.qvel.tobytes()


def test_observing_and_drawing_change_nothing(simulator: MujocoSimulator) -> None:
    """Frames drawn between steps leave the states as they are."""
    simulator.reset({}, home())
    setpoints = wave(simulator, 20)
    saved = simulator.save_state()
    plain = simulator.track(setpoints).states[-1]
    simulator.restore_state(saved)
    for setpoint in setpoints:
        simulator.render("wrist", 64, 48)
        simulator.observe()
        simulator.advance(setpoint)
    assert simulator.observe().qpos.tobytes() == plain.qpos.tobytes()
    simulator.close()


@pytest.mark.parametrize("camera", ["scene", "wrist"])
def test_cameras_show_something(simulator: MujocoSimulator, camera: str) -> None:
    """Both cameras have contrast."""
    simulator.reset({}, home())
    image = simulator.render(camera, 160, 120)
    simulator.close()
    assert image.shape == (120, 160, 3)
    assert image.std() > 15


def test_wrong_use_is_refused(simulator: MujocoSimulator, tmp_path: Path) -> None:
    """Each with an error that says what would be right."""
    with pytest.raises(UnknownName, match="can, box"):
        simulator.reset({"mug": Pose(position_m=(0, 0, 1), quat_wxyz=(1, 0, 0, 0))}, home())
    with pytest.raises(WrongShape, match="7 arm joints and 2 finger joints"):
        simulator.reset({}, home()[:7])
    with pytest.raises(WrongShape):
        simulator.track(np.zeros((3, 7)))
    with pytest.raises(WrongShape):
        simulator.restore_state(np.zeros(5))
    with pytest.raises(NotLoaded):
        MujocoSimulator().observe()
    with pytest.raises(RateNotWhole, match="divides 480"):
        simulator.load(write_scene(tmp_path), PLACEMENT, 29)
    (tmp_path / "mjcf/scene.xml").write_text("<mujoco><worldbody><geom/></mujoco>")
    with pytest.raises(ModelNotBuilt):
        simulator.load(tmp_path, PLACEMENT, FPS)


def test_sleeping_objects_keep_their_contacts(simulator: MujocoSimulator) -> None:
    """After two seconds at rest nothing is awake but the robot, and the can still stands on the table; lifted off, it does not."""
    simulator.reset({}, home())
    contacts = simulator.track(np.tile(simulator.data.ctrl, (2 * FPS, 1))).contacts[-1]
    assert simulator.data.ntree_awake == 1
    assert "can|table" in {contact.bodies for contact in contacts}
    up = Pose(position_m=(0.0, 0.0, 1.5), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
    simulator.reset({"can": up}, home())
    falling = simulator.track(np.tile(simulator.data.ctrl, (3, 1))).contacts[-1]
    assert "can|table" not in {contact.bodies for contact in falling}


def test_state_saved_while_objects_sleep_replays(simulator: MujocoSimulator) -> None:
    """Which bodies sleep is not part of the state: saving wakes all, so the saved and the running simulation stay alike."""
    simulator.reset({}, home())
    simulator.track(np.tile(simulator.data.ctrl, (2 * FPS, 1)))
    assert simulator.data.ntree_awake == 1
    saved = simulator.save_state()
    setpoints = wave(simulator, 60)
    first = simulator.track(setpoints).states[-1]
    simulator.restore_state(saved)
    assert simulator.track(setpoints).states[-1].qpos.tobytes() == first.qpos.tobytes()


@pytest.mark.parametrize(("field", "value"), [("qpos", np.nan), ("qvel", 1e30), ("qfrc_applied", 1e30)])
def test_a_state_that_mujoco_reset_is_no_motion(simulator: MujocoSimulator, field: str, value: float) -> None:
    """MuJoCo starts over without a word; what it reset is named, and the next start is sound."""
    simulator.reset({}, home())
    setpoint = simulator.data.ctrl.copy()
    getattr(simulator.data, field)[-1] = value
    with pytest.raises(SimulationDiverged, match="qacc" if field == "qfrc_applied" else field) as caught:
        simulator.advance(setpoint)
    assert np.isfinite(simulator.data.qpos).all()
    assert caught.value.code == "simulation.diverged"
    simulator.reset({}, home())
    simulator.advance(setpoint)
