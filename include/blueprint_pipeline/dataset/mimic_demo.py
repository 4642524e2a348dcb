"""One episode as a demonstration for Isaac Lab Mimic: every array of its group, by its path in it.

World frame: z up, metres; quaternions x, y, z, w.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from scipy.spatial.transform import Rotation

from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.dataset.frames import Recorded
from blueprint_pipeline.dataset.mimic_layout import REFERENCES, ROBOT, ActionScale, arm_key, object_name, signal_names, subtasks_by_arm
from blueprint_pipeline.dataset.provenance import load_integration_state
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import continuous_quats
from blueprint_pipeline.robot.layout import ArmLayout
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.subtasks import cut
from blueprint_pipeline.twin.robot_tools import load_robot_tools

_VECTORS = (
    "time_s",
    "qpos",
    "qvel",
    "ctrl",
    "robot_qpos",
    "robot_qvel",
    "robot_command",
    "gripper_width_m",
    "gripper_command_m",
    "ee_pose",
    "object_poses",
    "joint_positions",
)
_INFO = "obs/datagen_info"
_TO_XYZW = [0, 1, 2, 4, 5, 6, 3]

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What is written of a demonstration."""

    attributes: dict[str, object]
    arrays: Arrays
    """By path in its group. None of them is text: Isaac Lab makes tensors of all."""
    links: dict[str, str]
    """Other paths of the same arrays."""
    groups: tuple[str, ...]
    """That must be there even if nothing is in them."""


def build_demo(recorded: Recorded, arms: Sequence[ArmLayout], scale: ActionScale) -> Demo:
    """Arrange an episode.

    Args:
        recorded: The episode.
        arms: The layout of every arm.
        scale: Of its actions.

    Raises:
        EpisodeUnusable: A subtask of its skill was not done, or nothing says where its goal is.
    """
    record = recorded.record
    rows = _load_rows(recorded.states)
    frames = record.frames
    commands = np.hstack(
        [
            part
            for index, arm in enumerate(arms)
            for part in (rows["robot_command"][:, arm.joints], rows["gripper_command_m"][:, index : index + 1])
        ]
    )[:frames]
    policy = _observations(rows, record, arms)
    last = np.arange(frames) == frames - 1
    arrays: Arrays = {
        "actions": scale.actions(commands).astype(np.float32),
        "processed_actions": commands,
        "rewards": (last & record.outcome.success).astype(np.float32),
        "dones": last.astype(np.uint8),
        "states": np.hstack([rows["time_s"], rows["qpos"], rows["qvel"]])[:frames],
        "replay/ctrl": rows["ctrl"][:frames],
        "replay/integration_state": np.array(load_integration_state(recorded.states, record.episode_id)),
        **{f"obs/{name}": values[:frames] for name, values in policy.items()},
        **{f"next_obs/{name}": values[1:] for name, values in policy.items()},
        **_initial_state(rows, record, arms),
        **_signals(record, arms),
        **_poses(rows, record, arms),
    }
    own, links = _references(record)
    arrays |= own
    return Demo(
        attributes={
            "num_samples": frames,
            "success": record.outcome.success,
            "seed": record.spec.seed,
            "episode_id": record.episode_id,
            "skill": record.spec.task.task_type,
            "instruction": record.spec.task.instruction,
            "target_object": record.spec.task.target_object,
            "derived_from": record.spec.derived_from.episode_id if record.spec.derived_from else "",
        },
        arrays=arrays,
        links=links,
        groups=(f"{_INFO}/subtask_term_signals",),
    )


def _load_rows(path: Path) -> dict[str, FloatArray]:
    """Columns of ``states.parquet``, (T + 1, size) each; :func:`~blueprint_pipeline.dataset.frames.load_frames` has checked them."""
    table = pq.read_table(path, columns=list(_VECTORS))
    rows = {}
    for name in _VECTORS:
        column = table.column(name).combine_chunks()
        flat = column.to_numpy() if name == "time_s" else column.flatten().to_numpy(zero_copy_only=False)
        rows[name] = flat.reshape(table.num_rows, -1)
    return rows


def _observations(rows: dict[str, FloatArray], record: EpisodeRecord, arms: Sequence[ArmLayout]) -> Arrays:
    """What a policy without pictures sees, (T + 1, size) float32 each, by Isaac Lab's names."""
    tools = {arm_key(arm, "eef"): _xyzw(pose) for arm, pose in zip(arms, np.split(rows["ee_pose"], len(arms), axis=1), strict=True)}
    found = {
        "joint_pos": rows["robot_qpos"],
        "joint_vel": rows["robot_qvel"],
        "gripper_pos": rows["gripper_width_m"],
        **{f"{name}_pos": pose[:, :3] for name, pose in tools.items()},
        **{f"{name}_quat": pose[:, 3:] for name, pose in tools.items()},
        "object": np.hstack([_xyzw(pose) for pose in np.split(rows["object_poses"], len(record.object_ids), axis=1)]),
        **({"part_pos": rows["joint_positions"]} if record.joint_columns else {}),
    }
    return {name: values.astype(np.float32) for name, values in found.items()}


def _initial_state(rows: dict[str, FloatArray], record: EpisodeRecord, arms: Sequence[ArmLayout]) -> Arrays:
    """Where everything is at the start, as one row: at rest, as every simulator is reset. Objects that open are not among it."""
    start = np.array(record.spec.robot_qpos)
    joints = np.concatenate([start[part] for arm in arms for part in (arm.start_joints, arm.start_fingers)])
    poses = rows["object_poses"][0].reshape(-1, 7)
    bodies = {f"rigid_object/{name}": pose for name, pose in zip(record.object_ids, poses, strict=True) if "/" not in name}
    bodies[f"articulation/{ROBOT}"] = np.array(record.robot.base_pose.as_tuple())
    found: dict[str, FloatArray] = {}
    for name, pose in bodies.items():
        found[f"{name}/root_pose"] = pose[_TO_XYZW]
        found[f"{name}/root_velocity"] = np.zeros(6)
    found[f"articulation/{ROBOT}/joint_position"] = joints
    found[f"articulation/{ROBOT}/joint_velocity"] = np.zeros(len(joints))
    return {f"initial_state/{name}": values[None].astype(np.float32) for name, values in found.items()}


def _signals(record: EpisodeRecord, arms: Sequence[ArmLayout]) -> Arrays:
    """Of each subtask but the last: false, and true from its last frame on, so that Mimic's cut is its end."""
    numbers, found = np.arange(record.frames), Arrays()
    for arm, subtasks in subtasks_by_arm(arms, record.spec.arm, load_skill(record.spec.task.task_type).subtasks):
        if not subtasks:
            continue
        parts = cut(subtasks, record.phases)
        if len(parts) != len(subtasks):
            done, wanted = ", ".join(part.subtask.name for part in parts), ", ".join(subtask.name for subtask in subtasks)
            raise EpisodeUnusable(record.episode_id, "episode.json", "phases", f"those of {done}", f"those of {wanted}")
        for part, name in zip(parts, signal_names(arm, subtasks), strict=True):
            if name is not None:
                found[f"{_INFO}/subtask_term_signals/{name}"] = numbers >= part.end_frame - 1
    return found


def _poses(rows: dict[str, FloatArray], record: EpisodeRecord, arms: Sequence[ArmLayout]) -> Arrays:
    """Of every tool where it is and where its command would have it, and of every object: (T, 4, 4) float32, at the start of a frame."""
    reached, frames = load_robot_tools(record.robot).poses(rows["robot_command"]), record.frames
    found = {}
    for index, arm in enumerate(arms):
        found[f"eef_pose/{arm.arm.name}"] = _matrices(rows["ee_pose"][:frames, 7 * index : 7 * index + 7])
        found[f"target_eef_pose/{arm.arm.name}"] = _matrices(reached[:frames, index])
    for index, name in enumerate(record.object_ids):
        found[f"object_pose/{object_name(name)}"] = _matrices(rows["object_poses"][:frames, 7 * index : 7 * index + 7])
    return {f"{_INFO}/{name}": poses for name, poses in found.items()}


def _references(record: EpisodeRecord) -> tuple[Arrays, dict[str, str]]:
    """The objects of the task under the names that subtasks give them: a place as an object of its own, all others as links."""
    task = record.spec.task
    wanted = {subtask.reference for subtask in load_skill(task.task_type).subtasks}
    target, goal = (f"{_INFO}/object_pose/{name}" for name in REFERENCES)
    links = {target: f"{_INFO}/object_pose/{object_name(task.target_object)}"}
    if "goal" not in wanted:
        return {}, links
    if task.support_object in record.object_ids:
        return {}, links | {goal: f"{_INFO}/object_pose/{object_name(task.support_object)}"}
    place_m = task.goal_m(record.spec.object_poses[task.target_object])
    if place_m is None:
        raise EpisodeUnusable(record.episode_id, "episode.json", "spec.task", "no place that the target is brought to", "one")
    pose = np.eye(4, dtype=np.float32)
    pose[:3, 3] = place_m
    return {goal: np.tile(pose, (record.frames, 1, 1))}, links


def _xyzw(poses: FloatArray) -> FloatArray:
    """Poses (T, 7) with quaternions x, y, z, w without jumps of sign."""
    return np.hstack([poses[:, :3], continuous_quats(poses[:, 3:])[:, [1, 2, 3, 0]]])


def _matrices(poses: FloatArray) -> npt.NDArray[np.float32]:
    """Poses (T, 7), quaternions w, x, y, z, as (T, 4, 4)."""
    matrices = np.tile(np.eye(4), (len(poses), 1, 1))
    matrices[:, :3, :3] = Rotation.from_quat(poses[:, 3:], scalar_first=True).as_matrix()
    matrices[:, :3, 3] = poses[:, :3]
    return matrices.astype(np.float32)
