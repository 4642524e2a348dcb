"""``states.parquet``: what happened, frame by frame, in float64; the same rows give the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from blueprint_pipeline.episode.record import STATE_COLUMNS
from blueprint_pipeline.errors import IntegrityError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.simulation.protocol import BodyContact, SimulationState
from blueprint_pipeline.workspace.checksums import FileDigest, write_file

SCHEMA = pa.schema(list(STATE_COLUMNS.items()))


class StatesUnreadable(IntegrityError):
    """``states.parquet`` cannot be read as an episode's states."""

    code = "episode.states_unreadable"
    template = "{path} cannot be read as recorded states: {reason}. Simulate the shard again."

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class StateRow:
    """One row of the file: the state at the start of a frame, and what is done and touched during it."""

    state: SimulationState
    setpoint: FloatArray
    """(nu,): what is commanded at the end of the frame."""
    robot_command: FloatArray
    """(n_joints,): the joint positions that ``setpoint`` asks for."""
    gripper_command_m: FloatArray
    """(n_arms,): the openings that it asks for."""
    phase: str
    contacts: tuple[BodyContact, ...]


def build_states_table(rows: Sequence[StateRow], integration_state: FloatArray, joint_positions: FloatArray) -> pa.Table:
    """Arrange T + 1 rows in the columns of :data:`blueprint_pipeline.episode.record.STATE_COLUMNS`.

    Args:
        rows: What happened.
        integration_state: Of row 0.
        joint_positions: How far parts of objects are open in each row, (T + 1, n_parts).
    """
    states = [row.state for row in rows]
    columns: dict[str, pa.Array] = {
        "frame_index": pa.array(np.arange(len(rows)), pa.int64()),
        "time_s": pa.array([state.time_s for state in states], pa.float64()),
        "phase": pa.array([row.phase for row in rows], pa.string()),
        "qpos": _lists([state.qpos for state in states]),
        "qvel": _lists([state.qvel for state in states]),
        "ctrl": _lists([row.setpoint for row in rows]),
        "actuator_force": _lists([state.actuator_force for state in states]),
        "robot_qpos": _lists([state.robot_qpos for state in states]),
        "robot_qvel": _lists([state.robot_qvel for state in states]),
        "robot_torque": _lists([state.robot_torque for state in states]),
        "robot_command": _lists([row.robot_command for row in rows]),
        "gripper_width_m": _lists([state.gripper_width_m for state in states]),
        "gripper_command_m": _lists([row.gripper_command_m for row in rows]),
        "ee_pose": _lists([state.ee_pose.ravel() for state in states]),
        "object_poses": _lists([state.object_poses.ravel() for state in states]),
        "joint_positions": _lists(list(joint_positions)),
        "integration_state": pa.array([integration_state.tolist(), *[None] * (len(rows) - 1)], pa.list_(pa.float64())),
        "contact_bodies": pa.array([[contact.bodies for contact in row.contacts] for row in rows], pa.list_(pa.string())),
        "contact_depth_m": pa.array([[contact.depth_m for contact in row.contacts] for row in rows], pa.list_(pa.float64())),
        "contact_force_n": pa.array([[contact.force_n for contact in row.contacts] for row in rows], pa.list_(pa.float64())),
    }
    return pa.table(columns, schema=SCHEMA)


def write_states(path: Path, table: pa.Table) -> FileDigest:
    """Write the table; byte-stream splitting packs slowly changing doubles well."""
    whole = pa.BufferOutputStream()
    floats = [name for name, kind in STATE_COLUMNS.items() if kind == pa.float64()]
    floats += [f"{name}.list.element" for name, kind in STATE_COLUMNS.items() if kind == pa.list_(pa.float64())]
    pq.write_table(
        table,
        whole,
        compression="zstd",
        compression_level=3,
        use_dictionary=["phase", "contact_bodies.list.element"],
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        store_schema=False,
    )
    return write_file(path, whole.getvalue().to_pybytes())


@dataclass(frozen=True, kw_only=True)
class Motion:
    """What a replay needs of ``states.parquet``."""

    integration_state: FloatArray
    qpos: FloatArray
    """(T + 1, nq)."""
    qvel: FloatArray
    """(T + 1, nv)."""
    ctrl: FloatArray
    """(T + 1, nu); the last row repeats the one before."""

    @property
    def frames(self) -> int:
        """T."""
        return len(self.qpos) - 1


def load_motion(path: Path) -> Motion:
    """Read the columns that a replay needs.

    Raises:
        StatesUnreadable: The file is not a Parquet file with these columns, or its rows are of unequal length.
    """
    try:
        table = pq.read_table(path, columns=["qpos", "qvel", "ctrl", "integration_state"])
        matrices = {name: _matrix(table[name]) for name in ("qpos", "qvel", "ctrl")}
        integration_state = np.array(table["integration_state"][0].as_py(), dtype=np.float64)
    except (pa.ArrowException, KeyError, ValueError, IndexError) as error:
        raise StatesUnreadable(str(path), str(error)) from error
    return Motion(integration_state=integration_state, **matrices)


@dataclass(frozen=True, kw_only=True)
class RecordedPoses:
    """Where everything was, row by row."""

    robot_qpos: FloatArray
    """(T + 1, n_joints)."""
    robot_qvel: FloatArray
    """(T + 1, n_joints)."""
    gripper_width_m: FloatArray
    """(T + 1, n_arms)."""
    object_poses: FloatArray
    """(T + 1, n_objects, 7): xyz and quat wxyz."""


def load_poses(path: Path) -> RecordedPoses:
    """Read the columns that say where everything was.

    Raises:
        StatesUnreadable: The file is not a Parquet file with these columns, or its rows are of unequal length.
    """
    try:
        table = pq.read_table(path, columns=["robot_qpos", "robot_qvel", "gripper_width_m", "object_poses"])
        poses = _matrix(table["object_poses"])
        return RecordedPoses(
            robot_qpos=_matrix(table["robot_qpos"]),
            robot_qvel=_matrix(table["robot_qvel"]),
            gripper_width_m=_matrix(table["gripper_width_m"]),
            object_poses=poses.reshape(len(poses), -1, 7),
        )
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise StatesUnreadable(str(path), str(error)) from error


def _matrix(column: pa.ChunkedArray) -> FloatArray:
    lists = column.combine_chunks()
    if np.unique(np.diff(lists.offsets.to_numpy())).size > 1:  # together they may still fill a table of another width
        raise ValueError("its rows are of unequal length")
    matrix: FloatArray = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)
    return matrix


def _lists(vectors: Sequence[FloatArray]) -> pa.Array:
    matrix = np.stack(vectors)
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(matrix.ravel(), pa.float64()))
