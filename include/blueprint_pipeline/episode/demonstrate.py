"""Cuts a recorded episode into motions that belong to one object each, for further episodes to repeat.

Commands are taken, not what was reached: the same commands press as hard and lag as far as they did.

Source: Mandlekar et al., "MimicGen" (2023), arXiv:2310.17596, section 4.2.
"""

from collections.abc import Sequence
from itertools import groupby, takewhile

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import angle_between
from blueprint_pipeline.geometry.transforms import build_pose, invert, pose_from_quat, quat_of
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.subtasks import Part, cut
from blueprint_pipeline.task.demonstration import HandMotion, Segment, SourceDemonstration
from blueprint_pipeline.task.outcome import Phase
from blueprint_pipeline.twin.robot_tools import load_robot_tools

WAY_STEP_M, WAY_STEP_RAD = 0.02, 0.15
"""Between the points that are kept of a way of the hand."""
_STILL_M, _STILL_RAD = 0.003, 0.02
"""A hand that stays within so much stands still: only its gripper moves."""
_REST_M = 1e-4


class NotDemonstrable(InputError):
    """A recorded episode cannot be repeated elsewhere."""

    code = "episode.not_demonstrable"
    template = "Episode {episode_id} cannot be a demonstration: {reason}. Choose others with `bpp episode demonstrate --episode`."

    episode_id: str
    reason: str


def find_undemonstrable(record: EpisodeRecord) -> str | None:
    """Why an episode is no demonstration, in words; ``None``: it may be one."""
    skill = load_skill(record.spec.task.task_type)
    if any(subtask.hand for subtask in skill.subtasks):
        return f"{skill.name} is done with two hands, and only what one hand does is repeated elsewhere"
    if not skill.is_retraceable:
        return f"{skill.name} brings nothing to a place, so that its motion belongs to where it was made"
    if record.spec.derived_from is not None:
        return f"it is derived from {record.spec.derived_from.episode_id} itself"
    if not record.outcome.success or record.states is None:
        return "it did not succeed"
    if record.recoveries:
        return "a try failed in it, and its motion would be repeated with the failure"
    done = [part.subtask.name for part in cut(skill.subtasks, record.phases)]
    wanted = [subtask.name for subtask in skill.subtasks]
    return None if done == wanted else f"its phases are those of {', '.join(done)}, expected {', '.join(wanted)}"


def build_demonstration(record: EpisodeRecord, arrays: EpisodeArrays) -> SourceDemonstration:
    """Cut an episode into its motions.

    Args:
        record: Of the episode.
        arrays: Its states.

    Raises:
        NotDemonstrable: It did not succeed, is derived itself, its skill has no goal, or the gripper never stands still to grip.
    """
    reason = find_undemonstrable(record)
    if reason is not None or record.states is None:
        raise NotDemonstrable(record.episode_id, str(reason))
    cutter = _Cutter(record, arrays)
    segments = tuple(cutter.segment(part) for part in cut(load_skill(record.spec.task.task_type).subtasks, record.phases))
    return SourceDemonstration(
        episode_id=record.episode_id,
        job_id=record.job_id,
        scene_id=record.scene_id,
        states_sha256=record.states.sha256,
        robot=record.robot.embodiment,
        arm=record.spec.arm,
        skill=record.spec.task.task_type,
        target_object=record.spec.task.target_object,
        segments=segments,
    )


class _Cutter:
    """One episode whose motions are taken apart."""

    def __init__(self, record: EpisodeRecord, arrays: EpisodeArrays) -> None:
        self._record, self._arrays = record, arrays
        self._arm = [arm.name for arm in load_embodiment(record.robot.embodiment).arms].index(record.spec.arm)
        commanded = load_robot_tools(record.robot).poses(arrays.robot_command)[:, self._arm]
        self._tools = [pose_from_quat(pose[:3], pose[3:]) for pose in commanded]
        self._target = record.object_ids.index(record.spec.task.target_object)

    def segment(self, part: Part) -> Segment:
        """The motion of a subtask, without the ways before and after it; of what was tried more than once, the last."""
        runs = [phase for phase in self._record.phases if part.start_frame <= phase.start_frame < part.end_frame]
        groups = [list(group) for is_way, group in groupby(runs, lambda phase: phase.name in part.subtask.ways) if not is_way]
        first = groups[-1][0].start_frame
        reference = self._target_at(first) if part.subtask.reference == "target" else self._goal()
        motions = tuple(self._motion(phase, reference) for phase in groups[-1])
        acts = next((index for index, motion in enumerate(motions) if motion.is_still), 0)
        if not 0 < acts < len(motions) - 1:
            reason = f"in {part.subtask.name} the hand does not come, stand still to grip or to let go, and go"
            raise NotDemonstrable(self._record.episode_id, reason)
        held = invert(self._measured_tool(first)) @ self._target_at(first)
        return Segment(
            subtask=part.subtask.name,
            reference=part.subtask.reference,
            motions=motions,
            held=_as_pose(held) if part.subtask.reference == "goal" else None,
        )

    def _motion(self, phase: Phase, reference: FloatArray) -> HandMotion:
        """The commands of a phase, beginning with the one before it."""
        tools = self._tools[max(phase.start_frame - 1, 0) : phase.end_frame]
        widths = self._arrays.gripper_command_m[max(phase.start_frame - 1, 0) : phase.end_frame, self._arm]
        points = _reduce(tools)
        at_rest = [_is_near(tool, tools[-1], _REST_M, _REST_M) and width == widths[-1] for tool, width in zip(tools, widths, strict=True)]
        rested = sum(1 for _ in takewhile(bool, reversed(at_rest)))
        return HandMotion(
            phase=phase.name,
            tool_poses=tuple(_as_pose(invert(reference) @ tool) for tool in points),
            width_m=float(widths[-1]),
            reached_m=float(self._arrays.gripper_width_m[phase.end_frame, self._arm]),
            grip_speed_m_s=float(np.abs(np.diff(widths)).max(initial=0.0)) * self._record.fps,
            hold_s=(rested - 1) / self._record.fps,
        )

    def _target_at(self, frame: int) -> FloatArray:
        pose = self._arrays.object_poses[frame, self._target]
        return pose_from_quat(pose[:3], pose[3:])

    def _measured_tool(self, frame: int) -> FloatArray:
        pose = self._arrays.ee_pose[frame, self._arm]
        return pose_from_quat(pose[:3], pose[3:])

    def _goal(self) -> FloatArray:
        task = self._record.spec.task
        place_m = task.goal_m(self._record.spec.object_poses[task.target_object])
        if place_m is None:
            raise NotDemonstrable(self._record.episode_id, "its task names no place that the target is brought to")
        return build_pose(np.array(place_m), np.eye(3))


def _reduce(tools: Sequence[FloatArray]) -> list[FloatArray]:
    """Points of a way, some way apart, with its first and its last; or its last alone, where the hand stands still."""
    if all(_is_near(tool, tools[-1], _STILL_M, _STILL_RAD) for tool in tools):
        return [tools[-1]]
    points = [tools[0]]
    for tool in tools[1:]:
        if not _is_near(tool, points[-1], WAY_STEP_M, WAY_STEP_RAD):
            points.append(tool)
    if _is_near(points[-1], tools[-1], WAY_STEP_M / 2, WAY_STEP_RAD / 2) and len(points) > 1:
        points.pop()
    return [*points, tools[-1]]


def _is_near(first: FloatArray, second: FloatArray, way_m: float, turn_rad: float) -> bool:
    return float(np.linalg.norm(first[:3, 3] - second[:3, 3])) < way_m and angle_between(first[:3, :3], second[:3, :3]) < turn_rad


def _as_pose(pose: FloatArray) -> Pose:
    return Pose.of([*pose[:3, 3], *quat_of(pose)])
