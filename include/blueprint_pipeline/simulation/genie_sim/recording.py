"""A recording of Genie Sim's server as it lies on disk, read into measurements by physics step.

Read is ``state.json``, which the server's extraction writes from its ROS bag (MCAP): per frame every joint's position, velocity and effort,
the drives' targets, and the pose of every object. ``aligned_joints.h5`` beside it, which the maker's own tools read, must have the same
frames: it has no objects, and derives the grippers' action from their state. Times are taken from our clock's hand, which is recorded as
the objects are.

Source: ``server/recording/extract_ros_bag.py``, ``sim_data_converter.py``.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import continuous_quats
from blueprint_pipeline.simulation.genie_sim.errors import RecordingUnusable
from blueprint_pipeline.simulation.genie_sim.stage import CLOCK_PATH, CLOCK_STEP_M

STATE_FILE = "state.json"
ALIGNED_FILE = "aligned_joints.h5"
RESULT_FILE = "task_result.json"
"""Written last."""
_FEWEST_FRAMES = 2
_SAME_RAD = 1e-5
"""Between the two files: one of them may have been written in float32."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What was recorded, F frames, by physics step of our clock."""

    folder: Path
    steps: FloatArray
    """(F,), strictly rising; between whole steps where the server's own reading was."""
    joint_names: tuple[str, ...]
    """The n joints of which position, velocity and effort are recorded."""
    positions: FloatArray
    """(F, n) [rad, m]."""
    velocities: FloatArray
    """(F, n)."""
    efforts: FloatArray
    """(F, n) [N m, N]."""
    object_poses: FloatArray
    """(F, n_objects, 7): xyz and quat wxyz, in the order asked for."""

    def covers(self, steps: FloatArray) -> bool:
        """Whether it begins before and ends after these steps."""
        return bool(self.steps[0] <= steps.min() and steps.max() <= self.steps[-1])

    def joints_at(self, values: FloatArray, names: tuple[str, ...], steps: FloatArray) -> FloatArray:
        """Of ``positions``, ``velocities`` or ``efforts`` those of some joints, linearly between frames: (len(steps), len(names))."""
        columns = [self.joint_names.index(name) for name in names]
        return np.stack([np.interp(steps, self.steps, values[:, column]) for column in columns], axis=1)

    def objects_at(self, steps: FloatArray) -> FloatArray:
        """Poses of the objects, positions linearly and rotations along the shortest arc between frames: (len(steps), n_objects, 7)."""
        found = np.zeros((len(steps), self.object_poses.shape[1], 7))
        for index in range(found.shape[1]):
            rows = self.object_poses[:, index]
            found[:, index, :3] = np.stack([np.interp(steps, self.steps, rows[:, axis]) for axis in range(3)], axis=1)
            turn = Slerp(self.steps, Rotation.from_quat(rows[:, 3:], scalar_first=True))
            found[:, index, 3:] = continuous_quats(turn(steps).as_quat(scalar_first=True))
        return found


def load_recording(folder: Path, object_ids: tuple[str, ...]) -> Recording:
    """Read ``state.json`` of a recording, and hold ``aligned_joints.h5`` against it.

    Args:
        folder: Of the recording.
        object_ids: Which objects, by the last part of their prims' paths, as the server calls them.

    Raises:
        RecordingUnusable: A file is not there or not in its format, lacks an object or the clock, a number in it is not finite, or the two
            files differ.
    """
    try:
        frames = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))["frames"]
        if len(frames) < _FEWEST_FRAMES:
            raise RecordingUnusable(str(folder), f"{STATE_FILE} has {len(frames)} frames")
        return _parse(folder, frames, object_ids)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise RecordingUnusable(str(folder), f"{STATE_FILE} is not as it should be: {type(error).__name__} {error}") from error


def _parse(folder: Path, frames: list[Any], object_ids: tuple[str, ...]) -> Recording:
    clock = CLOCK_PATH.rpartition("/")[2]
    names = tuple(frames[0]["robot"]["joints"]["joint_name"])
    if any(tuple(frame["robot"]["joints"]["joint_name"]) != names for frame in frames):
        raise RecordingUnusable(str(folder), "its frames have other joints")
    wanted = (clock, *object_ids)
    missing = [name for name in wanted if any(name not in frame["objects"] for frame in frames)]
    if missing:
        raise RecordingUnusable(str(folder), f"not every frame has a pose of {', '.join(missing)}")
    values = {key: np.array([frame["robot"]["joints"][f"joint_{key}"] for frame in frames], dtype=np.float64) for key in _SERIES}
    poses = np.array([[frame["objects"][name]["pose"] for name in wanted] for frame in frames], dtype=np.float64)
    steps = poses[:, 0, 0, 3] / CLOCK_STEP_M
    if any(value.shape != (len(frames), len(names)) for value in values.values()) or poses.shape[2:] != (4, 4):
        raise RecordingUnusable(str(folder), "a frame has another number of joints than it names, or a pose that is no 4x4 matrix")
    if not all(np.isfinite(value).all() for value in (*values.values(), poses)):
        raise RecordingUnusable(str(folder), "a number in it is not finite")
    _check_aligned(folder, names, values["position"])
    rising = np.concatenate([[True], np.diff(steps) > 0])
    quats = Rotation.from_matrix(poses[rising, 1:, :3, :3].reshape(-1, 3, 3)).as_quat(scalar_first=True)
    objects = np.concatenate([poses[rising, 1:, :3, 3].reshape(-1, 3), quats], axis=1)
    return Recording(
        folder=folder,
        steps=steps[rising],
        joint_names=names,
        positions=values["position"][rising],
        velocities=values["velocity"][rising],
        efforts=values["effort"][rising],
        object_poses=objects.reshape(int(rising.sum()), len(object_ids), 7),
    )


def _check_aligned(folder: Path, names: tuple[str, ...], positions: FloatArray) -> None:
    """Hold the arms' positions in HDF5, a group a frame, against those of all joints (F, n)."""
    with h5py.File(folder / ALIGNED_FILE, "r") as file:
        if len(file) != len(positions):
            raise RecordingUnusable(str(folder), f"{STATE_FILE} has {len(positions)} frames, {ALIGNED_FILE} {len(file)}")
        joints = [str(name) for name in file["0/state/joint"].attrs["name"]]
        rows = np.array([file[f"{frame}/state/joint/position"][()] for frame in range(len(file))], dtype=np.float64)
    expected = positions[:, [names.index(name) for name in joints]]
    if rows.shape != expected.shape or not np.abs(rows - expected).max() <= _SAME_RAD:
        raise RecordingUnusable(str(folder), f"{STATE_FILE} and {ALIGNED_FILE} have the arms elsewhere")


_SERIES = ("position", "velocity", "effort")
