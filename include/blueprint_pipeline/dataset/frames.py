"""The tabular part of one episode, as a dataset holds it: float32 vectors, one row a frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.dataset.features import (
    ACTION,
    EE_POSE,
    EE_ROTATION,
    JOINT_POSITIONS,
    OBJECT_POSE,
    OBJECT_POSES,
    STATE,
    VELOCITY,
    VectorFeature,
    camera_pose_key,
)
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import continuous_quats, rotation_columns
from blueprint_pipeline.robot.layout import ArmLayout
from blueprint_pipeline.twin.robot_cameras import RobotCameras

Float32 = npt.NDArray[np.float32]
PixelKind = Literal["depth", "segmentation"]

_COLUMNS = (
    "frame_index",
    "phase",
    "robot_qpos",
    "robot_qvel",
    "robot_command",
    "gripper_width_m",
    "gripper_command_m",
    "ee_pose",
    "object_poses",
)


@dataclass(frozen=True)
class PhaseRun:
    """Successive frames of one phase of the motion."""

    name: str
    frames: int


@dataclass(frozen=True)
class Recorded:
    """Where frames come from: for formats that keep more than float32 vectors, or more than observations and actions."""

    record: EpisodeRecord
    states: Path
    """``states.parquet``."""


@dataclass(frozen=True)
class SideVideos:
    """What was drawn of an episode beside colour."""

    files: Mapping[tuple[PixelKind, str], Path] = field(default_factory=dict)
    """By kind and camera."""
    labels: tuple[str, ...] = ()
    """Names that segmentation values count in."""


@dataclass(frozen=True)
class EpisodeFrames:
    """Vectors by feature key, each of shape (T, size), and what is said of the frames."""

    episode_id: str
    task: str
    """The instruction."""
    vectors: dict[str, Float32]
    phases: tuple[PhaseRun, ...]
    """One after the other, T frames in all."""
    success: bool
    """Whether the task was done when the episode ended."""
    recorded: Recorded | None = None
    """``None``: they were made up, and no recording has them."""
    side_videos: SideVideos = SideVideos()

    @property
    def length(self) -> int:
        """T: frames of the episode."""
        return len(next(iter(self.vectors.values())))


def load_frames(path: Path, record: EpisodeRecord, arms: Sequence[ArmLayout], cameras: RobotCameras) -> EpisodeFrames:
    """Read an episode's states and give its vectors.

    Row t holds the state at the start of frame t and, as action, the setpoint that is commanded at its end. Quaternions have no jumps of
    sign (see :func:`~blueprint_pipeline.geometry.rotations.continuous_quats`), whatever sign the simulator gave them.
    The last row of ``states.parquet`` (the state after the last frame) has no frame and is left out.

    Args:
        path: ``states.parquet`` of the recording.
        record: The episode's record.
        arms: The layout of every arm of its robot.
        cameras: Those that its robot carries.

    Raises:
        EpisodeUnusable: The states do not fit the record or the robot, or hold a value that is not finite.
    """
    table = pq.read_table(path, columns=[*_COLUMNS, "joint_positions"])
    if record.frames < 1 or table.num_rows != record.frames + 1:
        raise EpisodeUnusable(
            record.episode_id, str(path), "number of rows", table.num_rows, f"frames + 1 = {record.frames + 1}, frames >= 1"
        )
    index = table.column("frame_index").to_numpy()
    if not np.array_equal(index, np.arange(table.num_rows)):
        raise EpisodeUnusable(record.episode_id, str(path), "frame_index", "not 0, 1, 2, …", "0, 1, 2, …")
    wanted = (*_COLUMNS[2:], *(("joint_positions",) if record.joint_columns else ()))
    rows = {name: _matrix(table, name, record, path)[: record.frames] for name in wanted}
    target = record.spec.task.target_object
    if target not in record.object_ids:
        raise EpisodeUnusable(
            record.episode_id, "episode.json", "object_ids", ", ".join(record.object_ids), f"the target {target} among them"
        )
    first = 7 * record.object_ids.index(target)
    tools = np.split(rows["ee_pose"], len(arms), axis=1)
    vectors = {
        STATE: _by_arm(rows["robot_qpos"], rows["gripper_width_m"], arms),
        ACTION: _by_arm(rows["robot_command"], rows["gripper_command_m"], arms),
        VELOCITY: rows["robot_qvel"],
        EE_POSE: np.hstack([_continuous(pose) for pose in tools]),
        EE_ROTATION: np.hstack([rotation_columns(pose[:, 3:]) for pose in tools]),
        OBJECT_POSE: _continuous(rows["object_poses"][:, first : first + 7]),
        OBJECT_POSES: np.hstack([_continuous(poses) for poses in np.split(rows["object_poses"], len(record.object_ids), axis=1)]),
    }
    if record.joint_columns:
        vectors[JOINT_POSITIONS] = rows["joint_positions"]
    seen_from = cameras.poses(rows["robot_qpos"], rows["gripper_width_m"], record.spec.variation.mounts)
    vectors |= {camera_pose_key(name): _continuous(poses) for name, poses in seen_from.items()}
    return EpisodeFrames(
        episode_id=record.episode_id,
        task=record.spec.task.instruction,
        vectors={key: value.astype(np.float32) for key, value in vectors.items()},
        phases=_runs(table.column("phase").to_pylist()[: record.frames]),
        success=record.outcome.success,
        recorded=Recorded(record, path),
    )


def _runs(names: Sequence[str]) -> tuple[PhaseRun, ...]:
    return tuple(PhaseRun(name, sum(1 for _ in same)) for name, same in groupby(names))


def _continuous(poses: FloatArray) -> FloatArray:
    """Poses (T, 7) whose quaternions have no jumps of sign."""
    return np.hstack([poses[:, :3], continuous_quats(poses[:, 3:])])


def _by_arm(joints: FloatArray, grippers: FloatArray, arms: Sequence[ArmLayout]) -> FloatArray:
    """Columns of each arm's joints followed by its gripper; columns that no arm claims come last, for :func:`validate_sizes` to find."""
    parts = [part for index, arm in enumerate(arms) for part in (joints[:, arm.joints], grippers[:, index : index + 1])]
    return np.hstack([*parts, joints[:, arms[-1].joints.stop :], grippers[:, len(arms) :]])


def validate_sizes(frames: EpisodeFrames, features: tuple[VectorFeature, ...]) -> None:
    """Check that an episode has the columns of its dataset.

    Raises:
        EpisodeUnusable: A vector is missing or has another size.
    """
    for feature in features:
        found = frames.vectors.get(feature.key)
        if found is None or found.shape != (frames.length, feature.size):
            raise EpisodeUnusable(
                frames.episode_id,
                "states.parquet",
                feature.key,
                "absent" if found is None else found.shape,
                f"({frames.length}, {feature.size})",
            )


def _matrix(table: pa.Table, name: str, record: EpisodeRecord, path: Path) -> FloatArray:
    """A column of lists as (rows, size)."""
    column = table.column(name).combine_chunks()
    is_list = pa.types.is_list(column.type)
    flat = column.flatten() if is_list else column
    values = flat.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    ragged = is_list and np.unique(np.diff(column.offsets.to_numpy())).size != 1
    if values.size == 0 or ragged or column.null_count:
        raise EpisodeUnusable(
            record.episode_id,
            str(path),
            name,
            f"{values.size} values and {column.null_count} nulls in {table.num_rows} rows",
            "lists of one length",
        )
    if not np.isfinite(values).all():
        raise EpisodeUnusable(record.episode_id, str(path), name, "not finite", "finite numbers")
    matrix: FloatArray = values.reshape(table.num_rows, -1)
    return matrix
