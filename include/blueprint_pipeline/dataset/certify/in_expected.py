"""What a dataset must hold, taken directly from the recordings: nothing here is shared with the writer.

Runs in the certifying environment.
"""

import json
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial.transform import Rotation

from blueprint_pipeline.dataset.certify.request import Answer, CameraMount, ExpectedEpisode

TIMESTAMP_TOLERANCE_S = 1e-4
"""What lerobot's loader allows."""
_CAMERA_POSE = "observation.camera_pose."
_ROUNDING = {"observation.ee_rotation_6d": 1e-6}
"""Columns that are computed from recorded ones; all others but cameras' must be the same bits."""
_CAMERA_TOLERANCE = 1e-4
"""Of cameras' positions [m] and quaternions: a simulator's tool may stand that far from where the robot's model has it with its joints."""
_NOT_OF_STATES = frozenset({"timestamp", "task_index", "subtask_index", "annotation.human.action.task_description"})
"""Columns that are compared with something else than an equal column of the recording."""
_COLUMNS = (
    "robot_qpos",
    "robot_qvel",
    "robot_command",
    "gripper_width_m",
    "gripper_command_m",
    "ee_pose",
    "object_poses",
    "joint_positions",
)


class Refuted(Exception):
    """A check found the dataset wrong."""


def answer(check: str, look: Callable[[], str]) -> Answer:
    """Run one check; ``look`` gives what it found to be right, or raises :class:`Refuted`."""
    try:
        return Answer(check=check, passed=True, reason=look())
    except Refuted as found:
        return Answer(check=check, passed=False, reason=str(found))


def require(holds: bool, what: str) -> None:
    """Refute the dataset unless ``holds``."""
    if not holds:
        raise Refuted(what)


def expected_columns(episode: ExpectedEpisode) -> dict[str, npt.NDArray[Any]]:
    """Every column of what was recorded, (frames, size) or (frames,), in the types of the dataset."""
    rows = pq.read_table(episode.states, columns=list(_COLUMNS)).slice(0, episode.frames).to_pydict()
    target = slice(7 * episode.target_index, 7 * episode.target_index + 7)
    columns = {
        "observation.state": _by_arm(rows["robot_qpos"], rows["gripper_width_m"], episode.arm_joints),
        "action": _by_arm(rows["robot_command"], rows["gripper_command_m"], episode.arm_joints),
        "observation.velocity": np.array(rows["robot_qvel"]),
        "observation.ee_pose": _signed_anew(np.array(rows["ee_pose"])),
        "observation.ee_rotation_6d": _rotation_columns(np.array(rows["ee_pose"])),
        "observation.object_pose": _signed_anew(np.array(rows["object_poses"])[:, target]),
        "observation.object_poses": _signed_anew(np.array(rows["object_poses"])),
    }
    if rows["joint_positions"][0]:
        columns["observation.joint_positions"] = np.array(rows["joint_positions"])
    columns |= {
        _CAMERA_POSE + name: _signed_anew(_seen_from(np.array(rows["ee_pose"]), mount)) for name, mount in episode.camera_mounts.items()
    }
    return {name: values.astype(np.float32) for name, values in columns.items()}


def _seen_from(ee_poses: npt.NDArray[Any], mount: CameraMount) -> npt.NDArray[Any]:
    """Poses in the world (T, 7) of a camera on a tool, from those of all tools."""
    tool = ee_poses[:, 7 * mount.arm : 7 * mount.arm + 7]
    turned = Rotation.from_quat(tool[:, 3:], scalar_first=True)
    quats = (turned * Rotation.from_quat(mount.quat_wxyz, scalar_first=True)).as_quat(scalar_first=True)
    return np.hstack([tool[:, :3] + turned.apply(mount.position_m), quats])


def recorded_phases(episode: ExpectedEpisode) -> list[str]:
    """Name of the phase of each frame."""
    phases: list[str] = pq.read_table(episode.states, columns=["phase"]).column("phase").to_pylist()[: episode.frames]
    return phases


def load_subtasks(dataset: Path) -> list[str]:
    """Names of phases in the order of their index, as a dataset lists them."""
    lines, table = dataset / "meta/subtasks.jsonl", dataset / "meta/subtasks.parquet"
    require(lines.is_file() or table.is_file(), "the dataset does not name its subtasks")
    if lines.is_file():
        rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
        return _in_order([(row["subtask_index"], row["subtask"]) for row in rows])
    columns = pq.read_table(table).to_pydict()
    return _in_order(list(zip(columns["subtask_index"], columns["__index_level_0__"], strict=True)))


def _in_order(numbered: Sequence[tuple[int, str]]) -> list[str]:
    require([number for number, _ in numbered] == list(range(len(numbered))), f"subtasks are not numbered from 0: {numbered}")
    return [name for _, name in numbered]


def _check_phases(found: npt.NDArray[Any], episode: ExpectedEpisode, subtasks: Sequence[str], index: int) -> None:
    """Every frame's ``subtask_index`` leads to the name of the phase that was recorded."""
    names = dict(enumerate(subtasks))
    pairs = zip(found.reshape(-1).tolist(), recorded_phases(episode), strict=True)
    wrong = [frame for frame, (number, phase) in enumerate(pairs) if names.get(number) != phase]
    require(not wrong, f"episode {index} ({episode.episode_id}): subtask_index differs from the recording in frames {wrong[:3]}")


def _signed_anew(poses: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Poses (T, 7 n) with the signs of quaternions that a dataset has: the largest component of row 0 positive, then the nearer sign."""
    for quats in (poses[:, first + 3 : first + 7] for first in range(0, poses.shape[1], 7)):
        if quats[0, np.abs(quats[0]).argmax()] < 0:
            quats[0] *= -1
        for row in range(1, len(quats)):
            if quats[row - 1] @ quats[row] < 0:
                quats[row] *= -1
    return poses


def _rotation_columns(poses: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What a rotation makes of the x axis and of the y axis, (T, 6 n), written out from its quaternion w, x, y, z."""
    columns = []
    for first in range(0, poses.shape[1], 7):
        w, x, y, z = (poses[:, first + 3 : first + 7] / np.linalg.norm(poses[:, first + 3 : first + 7], axis=1, keepdims=True)).T
        columns += [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]
        columns += [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)]
    return np.stack(columns, axis=1)


def _by_arm(joints: list[list[float]], grippers: list[list[float]], arm_joints: tuple[int, ...]) -> npt.NDArray[Any]:
    """Each arm's joints followed by its gripper, (frames, n_joints + n_arms)."""
    rows = []
    for row, widths in zip(joints, grippers, strict=True):
        left = iter(row)
        rows.append([value for count, width in zip(arm_joints, widths, strict=True) for value in (*islice(left, count), width)])
    return np.array(rows)


def check_columns(
    found: dict[str, npt.NDArray[Any]], episode: ExpectedEpisode, *, subtasks: Sequence[str], index: int, first: int, fps: int
) -> None:
    """Compare all frames of one episode with its recording, bit by bit; what is computed from it, within rounding.

    Instructions are compared by the caller, who can read them.

    Args:
        found: Columns of the dataset, (frames, …).
        episode: What was simulated.
        subtasks: Names of phases, in the order of their index.
        index: Of the episode in the dataset.
        first: ``index`` of its first frame.
        fps: Rate [Hz].

    Raises:
        Refuted: A value differs, a column is missing, or there is one that nothing is known of.
    """
    number = np.arange(episode.frames)
    expected = expected_columns(episode)
    expected |= {"frame_index": number, "index": first + number, "episode_index": np.full(episode.frames, index)}
    last = number == episode.frames - 1
    expected |= {"next.done": last, "next.success": last & episode.success}
    unknown = sorted(found.keys() - expected.keys() - _NOT_OF_STATES)
    require(not unknown, f"episode {index}: column {', '.join(unknown)} is not of the recording")
    for name in (*expected, "timestamp", "task_index", "subtask_index"):
        require(name in found, f"episode {index}: column {name} is missing")
    for name, values in expected.items():
        own = found[name].reshape(values.shape) if found[name].size == values.size else found[name]
        if own.shape != values.shape or not np.allclose(own, values, rtol=0, atol=_tolerance(name)):
            where = np.argwhere(own != values)[0].tolist() if own.shape == values.shape else f"shape {own.shape}, expected {values.shape}"
            raise Refuted(f"episode {index} ({episode.episode_id}): {name} differs from the recording at {where}")
    _check_phases(found["subtask_index"], episode, subtasks, index)
    late = np.abs(found["timestamp"].reshape(-1).astype(np.float64) - number / fps).max()
    require(float(late) <= TIMESTAMP_TOLERANCE_S, f"episode {index}: a timestamp is {late:.6f} s off frame_index / fps")


def _tolerance(column: str) -> float:
    return _CAMERA_TOLERANCE if column.startswith(_CAMERA_POSE) else _ROUNDING.get(column, 0.0)


def image_difference(one: npt.NDArray[np.uint8], two: npt.NDArray[np.uint8]) -> int:
    """Largest difference of two images' levels; 256 where their shapes differ."""
    if np.array_equal(one, two):
        return 0
    return int(np.abs(one.astype(np.int16) - two.astype(np.int16)).max()) if one.shape == two.shape else 256


def parquet_columns(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All columns of a parquet file as arrays."""
    return table_columns(pq.read_table(path))


def table_columns(table: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """All columns of an Arrow table as arrays."""
    return {name: np.array(table.column(name).to_pylist(), dtype=_dtype(table.schema.field(name).type)) for name in table.column_names}


def _dtype(kind: object) -> type[np.generic]:
    if str(kind) == "bool":
        return np.bool_
    return np.float32 if "float" in str(kind) else np.int64
