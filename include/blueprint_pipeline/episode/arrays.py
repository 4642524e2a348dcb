"""A recording's table as typed arrays, and whether it is in the format of :mod:`blueprint_pipeline.episode.record`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from blueprint_pipeline.episode.errors import RecordingUnreadable
from blueprint_pipeline.episode.record import STATE_COLUMNS
from blueprint_pipeline.geometry.arrays import FloatArray

_JOINTS = ("robot_qpos", "robot_qvel", "robot_torque", "robot_command")
_GRIPPERS = ("gripper_width_m", "gripper_command_m")
_POSES = ("ee_pose", "object_poses")
_FIXED_LISTS = ("qpos", "qvel", "ctrl", "actuator_force", *_JOINTS, *_GRIPPERS, *_POSES, "joint_positions")
_MAY_BE_EMPTY = ("object_poses", "joint_positions")
_CONTACTS = ("contact_bodies", "contact_depth_m", "contact_force_n")
_POSE_SIZE = 7
_QUAT_NORM_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Contacts:
    """Pairs of bodies that touched, one entry a pair and frame. All of shape (n_contacts,)."""

    row: npt.NDArray[np.int64]
    """Row of the table, 0 to T."""
    pair: tuple[str, ...]
    """``"bodyA|bodyB"``."""
    depth_m: FloatArray
    force_n: FloatArray
    """Not a number where nobody measured it."""


@dataclass(frozen=True, kw_only=True)
class EpisodeArrays:
    """``states.parquet`` in memory: T frames and the state after the last one, so T + 1 rows.

    Joint arrays are [rad] and [rad/s] (fingers [m], [m/s]); poses are xyz [m] + quaternion wxyz in the world.
    """

    frame_index: npt.NDArray[np.int64]
    time_s: FloatArray
    phase: tuple[str, ...]
    qpos: FloatArray
    qvel: FloatArray
    ctrl: FloatArray
    actuator_force: FloatArray
    robot_qpos: FloatArray
    robot_qvel: FloatArray
    robot_torque: FloatArray
    robot_command: FloatArray
    """Shape (T + 1, n_joints), as the three above."""
    gripper_width_m: FloatArray
    gripper_command_m: FloatArray
    """Shape (T + 1, n_arms), as the one above."""
    ee_pose: FloatArray
    """Shape (T + 1, n_arms, 7)."""
    object_poses: FloatArray
    """Shape (T + 1, n_objects, 7)."""
    joint_positions: FloatArray
    """Shape (T + 1, n_parts): how far parts of objects are open [m, rad]."""
    contacts: Contacts

    @property
    def frames(self) -> int:
        """T: frames of motion."""
        return len(self.time_s) - 1


def check_table(table: pa.Table, *, frames: int, n_objects: int, n_parts: int, unmeasured: frozenset[str] = frozenset()) -> list[str]:
    """Findings about a recording's columns, types, lengths and numbers; empty where all is right.

    Args:
        table: The contents of ``states.parquet``.
        frames: T, as ``episode.json`` says; the table must have T + 1 rows.
        n_objects: What moves, as ``episode.json`` says.
        n_parts: Joints whose positions are recorded, as ``episode.json`` says.
        unmeasured: Columns that nobody measured, as ``episode.json`` says: they hold nothing that is a number.
    """
    if findings := [*_check_schema(table.schema), *_check_nulls(table)]:
        return findings
    findings = [] if table.num_rows == frames + 1 else [f"{table.num_rows} rows, expected {frames + 1} (T + 1)"]
    if table.num_rows == 0:
        return [*findings, "no rows"]
    for name in _FIXED_LISTS:
        findings += _check_fixed_list(table, name, is_measured=name not in unmeasured)
    findings += [] if np.isfinite(table["time_s"].to_numpy()).all() else ["time_s has a value that is not finite"]
    findings += _check_contacts(table, unmeasured)
    findings += _check_integration_state(table)
    if not findings:
        findings += _check_sizes(table)
        findings += _check_poses(table, {"ee_pose": _size(table, "gripper_width_m"), "object_poses": n_objects})
        if (found := _size(table, "joint_positions")) != n_parts:
            findings.append(f"joint_positions has {found} numbers a row, expected {n_parts}")
    return findings


def _check_schema(found: pa.Schema) -> list[str]:
    """Columns that are missing, unknown or of another type; their order does not matter."""
    missing = [f"{name}: missing" for name in STATE_COLUMNS if name not in found.names]
    unknown = [f"{name}: unknown" for name in found.names if name not in STATE_COLUMNS]
    twice = [f"{name}: twice" for name in STATE_COLUMNS if found.names.count(name) > 1]
    retyped = [
        f"{field.name}: {field.type}, expected {STATE_COLUMNS[field.name]}"
        for field in found
        if field.name in STATE_COLUMNS and field.type != STATE_COLUMNS[field.name]
    ]
    return [*missing, *unknown, *twice, *retyped]


def _check_nulls(table: pa.Table) -> list[str]:
    """Columns with rows that hold nothing."""
    counts = {name: table[name].null_count for name in table.column_names if name != "integration_state"}
    return [f"{name}: {count} rows are null" for name, count in counts.items() if count]


def _check_fixed_list(table: pa.Table, name: str, *, is_measured: bool) -> list[str]:
    column = table[name].combine_chunks()
    lengths = np.diff(column.offsets.to_numpy())
    if lengths.min() != lengths.max():
        return [f"{name} has {lengths.min()} to {lengths.max()} numbers a row, expected one length"]
    if lengths[0] == 0 and name not in _MAY_BE_EMPTY:
        return [f"{name} is empty"]
    flat = column.flatten()
    if not is_measured:
        return _check_unmeasured(name, flat)
    if flat.null_count or not np.isfinite(flat.to_numpy(zero_copy_only=False)).all():
        return [f"{name} has a value that is not finite"]
    return []


def _check_unmeasured(name: str, values: pa.Array) -> list[str]:
    if values.null_count == 0 and np.isnan(values.to_numpy(zero_copy_only=False)).all():
        return []
    return [f"{name} has a value, and its simulator measures none"]


def _check_contacts(table: pa.Table, unmeasured: frozenset[str]) -> list[str]:
    columns = [table[name].combine_chunks() for name in _CONTACTS]
    counts = [np.diff(column.offsets.to_numpy()) for column in columns]
    if any((count != counts[0]).any() for count in counts[1:]):
        return ["contact_bodies, contact_depth_m and contact_force_n differ in length within a row"]
    findings = [
        f"{name} has a value that is not finite or below zero"
        for name, column in zip(_CONTACTS[1:], columns[1:], strict=True)
        if name not in unmeasured and not _all_at_least_zero(column.flatten())
    ]
    for name, column in zip(_CONTACTS, columns, strict=True):
        findings += _check_unmeasured(name, column.flatten()) if name in unmeasured else []
    malformed = [pair for pair in columns[0].flatten().unique().to_pylist() if pair is None or pair.count("|") != 1]
    return findings + [f"contact_bodies has '{pair}', expected 'bodyA|bodyB'" for pair in malformed]


def _all_at_least_zero(values: pa.Array) -> bool:
    numbers = values.to_numpy(zero_copy_only=False)
    return values.null_count == 0 and bool((np.isfinite(numbers) & (numbers >= 0)).all())


def _check_integration_state(table: pa.Table) -> list[str]:
    column = table["integration_state"].combine_chunks()
    first = column[0].as_py()
    if not first or not np.isfinite(np.asarray(first, dtype=np.float64)).all():
        return ["integration_state of row 0 is missing or not finite: the episode could not be replayed"]
    return [] if column.null_count == len(column) - 1 else ["integration_state stands in rows other than 0"]


def _check_sizes(table: pa.Table) -> list[str]:
    findings = []
    for what, names in (("joint", _JOINTS), ("gripper", _GRIPPERS)):
        sizes = {name: _size(table, name) for name in names}
        findings += [f"{what} columns differ in size: {sizes}"] if len(set(sizes.values())) != 1 else []
    return findings


def _check_poses(table: pa.Table, counts: Mapping[str, int]) -> list[str]:
    findings = []
    for name, count in counts.items():
        poses = _matrix(table, name)
        if poses.shape[1] != _POSE_SIZE * count:
            findings.append(f"{name} has {poses.shape[1]} numbers a row, expected {_POSE_SIZE * count}")
            continue
        norms = np.linalg.norm(poses.reshape(-1, _POSE_SIZE)[:, 3:], axis=1)
        if norms.size and np.abs(norms - 1).max() > _QUAT_NORM_TOLERANCE:
            findings.append(f"{name} has a quaternion of norm {norms[np.abs(norms - 1).argmax()]:.6f}, expected 1")
    return findings


def _size(table: pa.Table, name: str) -> int:
    return int(_matrix(table, name).shape[1])


def _matrix(table: pa.Table, name: str) -> FloatArray:
    flat = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float64).reshape(table.num_rows, -1) if flat.size else np.zeros((table.num_rows, 0))


def parse_arrays(table: pa.Table) -> EpisodeArrays:
    """Take a table without findings (:func:`check_table`) apart into arrays."""
    bodies = table["contact_bodies"].combine_chunks()
    contacts = Contacts(
        row=np.repeat(np.arange(table.num_rows, dtype=np.int64), np.diff(bodies.offsets.to_numpy())),
        pair=tuple(bodies.flatten().to_pylist()),
        depth_m=np.asarray(table["contact_depth_m"].combine_chunks().flatten().to_numpy(zero_copy_only=False), dtype=np.float64),
        force_n=np.asarray(table["contact_force_n"].combine_chunks().flatten().to_numpy(zero_copy_only=False), dtype=np.float64),
    )
    lists = {name: _matrix(table, name) for name in _FIXED_LISTS if name not in _POSES}
    poses = {name: _matrix(table, name).reshape(table.num_rows, -1, _POSE_SIZE) for name in _POSES}
    return EpisodeArrays(
        frame_index=table["frame_index"].to_numpy(),
        time_s=table["time_s"].to_numpy(),
        phase=tuple(table["phase"].to_pylist()),
        contacts=contacts,
        **lists,
        **poses,
    )


def load_arrays(path: Path, *, frames: int, n_objects: int, n_parts: int, unmeasured: frozenset[str] = frozenset()) -> EpisodeArrays:
    """Read and check one ``states.parquet``.

    Raises:
        RecordingUnreadable: The file is no parquet file, or its table has findings.
    """
    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()))  # of the file itself, its end would be read twice
    except (pa.ArrowInvalid, OSError) as error:
        raise RecordingUnreadable(path.name, [f"no readable parquet file ({error})"]) from error
    findings = check_table(table, frames=frames, n_objects=n_objects, n_parts=n_parts, unmeasured=unmeasured)
    if findings:
        raise RecordingUnreadable(path.name, findings)
    return parse_arrays(table)
