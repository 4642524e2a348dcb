"""What the server records of an attempt becomes its states; what is not a recording of the attempt does not."""

import numpy as np
import pytest

from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.simulation.genie_sim.errors import GenieSimRefused, RecordingMissing, RecordingUnusable
from blueprint_pipeline.simulation.protocol import RecordingSimulator

pytestmark = pytest.mark.slow

G2 = load_embodiment("agibot_g2")
LEFT_GRIPPER = 7


def attempt(simulator, scene, frames=30):
    """Close the hand on the block and lift it; the states that were told, T + 1."""
    simulator.load(scene.folder, scene.placement, 30)
    start = simulator.reset({"block": scene.block_pose}, home_qpos(G2))
    simulator.begin_recording("grasp")
    closing = np.tile(start.ctrl, (frames, 1))
    closing[:, LEFT_GRIPPER] = np.interp(np.arange(frames), [0, 15], [0.1, 0.02])
    lifting = np.tile(closing[-1], (frames, 1))
    lifting[:, scene.lift_joint] += scene.lift_sense * np.linspace(0.0, 0.25, frames)
    return [start, *simulator.track(closing).states, *simulator.track(lifting).states]


def test_the_recording_completes_what_was_told(serve, scene):
    """Velocities and torques are measured there, and what nobody could read while the hand moved."""
    with serve(recorded=True) as (server, simulator):
        told = attempt(simulator, scene)
        assert isinstance(simulator, RecordingSimulator)
        assert simulator.capabilities().efforts
        recorded = simulator.end_recording(told)
    assert (len(recorded.states), len(recorded.contacts)) == (61, 60)
    for before, after in zip(told, recorded.states, strict=True):
        assert (after.time_s, after.ctrl.tolist()) == (before.time_s, before.ctrl.tolist())
        assert np.isfinite(after.robot_torque).all()
        np.testing.assert_allclose(after.robot_qpos, before.robot_qpos, atol=0.02)
    widths = np.array([state.gripper_width_m[0] for state in recorded.states])
    assert len(set(widths[2:8])) == 6, "the closing hand is seen at every frame"
    assert np.abs(np.diff(widths)).max() < 0.02
    speeds = np.array([state.robot_qvel[scene.lift_joint] for state in recorded.states])
    angles = np.array([state.robot_qpos[scene.lift_joint] for state in recorded.states])
    np.testing.assert_allclose(np.trapezoid(speeds, dx=1 / 30), angles[-1] - angles[0], atol=0.01)
    assert recorded.states[-1].object_poses[0, 2] - told[0].object_poses[0, 2] > 0.02
    assert "block|robot/gripper_l_outer_finger" in {contact.bodies for contact in recorded.contacts[-1]}
    notes = [note["frame_state"] for note in server.notes]
    assert [sorted(note) for note in notes] == [["task_description"], ["action", "active_id", "arm", "passive_id"]]


def test_an_attempt_without_motion_leaves_no_recording(serve, scene):
    with serve(recorded=True) as (server, simulator):
        simulator.load(scene.folder, scene.placement, 30)
        simulator.reset({}, home_qpos(G2))
        simulator.begin_recording("nothing")
        assert simulator.end_recording([]) is None
        assert list(server.recordings.iterdir()) == []


def test_without_a_folder_nothing_is_recorded(serve, scene):
    with serve() as (server, simulator):
        told = attempt(simulator, scene)
        assert simulator.end_recording(told) is None
        assert not server.recordings.exists()


def test_a_recording_that_does_not_come_is_missed(serve, scene):
    with serve(recorded=True, no_recording=True) as (_, simulator):
        told = attempt(simulator, scene)
        simulator._scene.recorder.wait_s = 0.5
        with pytest.raises(RecordingMissing, match="--publish_ros"):
            simulator.end_recording(told)


def test_a_recording_without_an_object_is_none(serve, scene):
    with serve(recorded=True, forgets_object=True) as (_, simulator):
        told = attempt(simulator, scene)
        with pytest.raises(RecordingUnusable, match="not every frame has a pose of block"):
            simulator.end_recording(told)


def test_a_recording_of_something_else_is_found_out(serve, scene):
    """What was read while the attempt ran must be in it."""
    with serve(recorded=True) as (server, simulator):
        told = attempt(simulator, scene)
        for frame in server.bag.frames:
            names = frame["robot"]["joints"]["joint_name"]
            frame["robot"]["joints"]["joint_position"][names.index("idx24_arm_l_joint4")] += 0.1
        with pytest.raises(RecordingUnusable, match=r"row 0 was seen 0\.100 rad"):
            simulator.end_recording(told)


def test_a_camera_that_was_not_added_starts_no_recording(serve, scene):
    with serve(recorded=True) as (server, simulator):
        simulator.load(scene.folder, scene.placement, 30)
        server.cameras.clear()
        with pytest.raises(GenieSimRefused, match="get_observation with: ERROR"):
            simulator.begin_recording("grasp")
