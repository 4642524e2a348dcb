"""A recording on disk as measurements: between its frames, and damaged."""

import json

import numpy as np
import pytest

from blueprint_pipeline.simulation.genie_sim.errors import RecordingUnusable
from blueprint_pipeline.simulation.genie_sim.recording import load_recording
from blueprint_pipeline.simulation.genie_sim.stage import CLOCK_PATH, CLOCK_STEP_M
from tests.simulation.genie_sim.recording import write_aligned

CLOCK = CLOCK_PATH.rpartition("/")[2]


def frame_at(step, *, joints=("a_arm_1", "b_arm_2"), objects=("cup",)):
    """One frame of a ``state.json``."""
    pose = np.eye(4)
    pose[0, 3] = step * CLOCK_STEP_M
    others = {name: {"pose": [[1, 0, 0, 0.1 * step], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]} for name in objects}
    values = [float(step + index) for index in range(len(joints))]
    rows = {"joint_name": list(joints), "joint_position": values, "joint_velocity": values, "joint_effort": values}
    return {"objects": {CLOCK: {"pose": pose.tolist()}, **others}, "robot": {"joints": rows}}


def write_state(folder, frames, aligned=None):
    (folder / "state.json").write_text(json.dumps({"frames": frames}))
    write_aligned(folder / "aligned_joints.h5", aligned or frames)
    return folder


def test_values_between_frames_are_on_the_way(tmp_path):
    """By the clock's hand, not by the order of frames; a frame that repeats is one."""
    found = load_recording(write_state(tmp_path, [frame_at(0), frame_at(16), frame_at(16), frame_at(32)]), ("cup",))
    assert found.steps.tolist() == [0, 16, 32]
    steps = np.array([4.0, 20.0])
    np.testing.assert_allclose(found.joints_at(found.velocities, ("b_arm_2", "a_arm_1"), steps), [[5.0, 4.0], [21.0, 20.0]])
    np.testing.assert_allclose(found.objects_at(steps)[:, 0, 0], [0.4, 2.0])
    assert (found.covers(steps), found.covers(np.array([33.0]))) == (True, False)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda frames: frames[:1], "has 1 frames"),
        (lambda frames: [frames[0], frame_at(16, joints=("b_arm_2", "a_arm_1"))], "other joints"),
        (lambda frames: [frames[0], frame_at(16, objects=())], "pose of cup"),
        (lambda frames: [frames[0], {**frames[1], "objects": {"cup": frames[1]["objects"]["cup"]}}], f"pose of {CLOCK}"),
        (lambda frames: [frames[0], {"objects": {}}], "KeyError"),
        (lambda frames: [frames[0], json.loads(json.dumps(frames[1]).replace("17.0", "NaN"))], "not finite"),
        (lambda frames: [frames[0], json.loads(json.dumps(frames[1]).replace("17.0", '"a lot"'))], "ValueError"),
        (
            lambda frames: [{**frame, "objects": {**frame["objects"], "cup": {"pose": [[1, 0], [0, 1]]}}} for frame in frames],
            "ValueError|4x4",
        ),
    ],
)
def test_a_damaged_file_becomes_no_episode(tmp_path, damage, told):
    sound = [frame_at(0), frame_at(16)]
    with pytest.raises(RecordingUnusable, match=told):
        load_recording(write_state(tmp_path, damage(sound), sound), ("cup",))


@pytest.mark.parametrize(
    ("aligned", "told"),
    [
        ([frame_at(0)], "state.json has 2 frames, aligned_joints.h5 1"),
        ([frame_at(0), frame_at(17)], "have the arms elsewhere"),
        ([frame_at(0, joints=("a_arm_1", "c_arm_3")), frame_at(16)], "ValueError"),
    ],
)
def test_two_files_of_one_recording_must_agree(tmp_path, aligned, told):
    """What the maker's tools read, and what is read here."""
    write_state(tmp_path, [frame_at(0), frame_at(16)])
    write_aligned(tmp_path / "aligned_joints.h5", aligned)
    with pytest.raises(RecordingUnusable, match=told):
        load_recording(tmp_path, ("cup",))


def test_no_file_and_no_json_become_no_episode(tmp_path):
    with pytest.raises(RecordingUnusable, match="FileNotFoundError"):
        load_recording(tmp_path, ("cup",))
    write_state(tmp_path, [frame_at(0), frame_at(16)])
    (tmp_path / "aligned_joints.h5").write_bytes(b"no HDF5")
    with pytest.raises(RecordingUnusable, match="OSError"):
        load_recording(tmp_path, ("cup",))
    (tmp_path / "state.json").write_text('{"frames": [')
    with pytest.raises(RecordingUnusable, match="JSONDecodeError"):
        load_recording(tmp_path, ("cup",))
