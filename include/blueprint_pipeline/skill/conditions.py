"""Conditions of success that skills share, each with its value, its limit and its margin.

Judged on what was observed, not on what was commanded. World frame: z up, metres; quaternions wxyz.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.robot.embodiment import ROBOT_PREFIX
from blueprint_pipeline.simulation.protocol import BodyContact
from blueprint_pipeline.task.outcome import PredicateCheck, at_least, at_most
from blueprint_pipeline.task.task import Task

LIFTED_M = 0.05
HEIGHT_SLACK_M = 0.02
"""How far above or below where it would stand the object may end: it may lie there otherwise than it stood."""
MAX_TILT_RAD = 0.26
"""Of what must stand at the end as it stood at the start."""
OPENING_GAIN_M = 0.004
REST_SPEED_M_S = 0.01
LAST_FRAMES = 6
"""Frames at the end over which rest and touch are judged (0.2 s at 30 Hz)."""


@dataclass(frozen=True, kw_only=True)
class ObservedMotion:
    """What is judged: T + 1 rows, frame by frame."""

    target_poses: FloatArray
    """(T + 1, 7): xyz + quat wxyz of the target."""
    support_poses: FloatArray | None
    """(T + 1, 7): the same of what the target shall stand on at the end; ``None`` where that cannot move."""
    gripper_width_m: FloatArray
    """(T + 1,): measured opening of the acting gripper."""
    contacts: Sequence[tuple[BodyContact, ...]]
    """T + 1 entries: what touched during the frame after each row; the last is empty."""
    fps: int

    @property
    def target_speed_m_s(self) -> FloatArray:
        """Linear speed of the target from row to row, (T,)."""
        speed: FloatArray = np.linalg.norm(np.diff(self.target_poses[:, :3], axis=0), axis=1) * self.fps
        return speed


def observe(
    task: Task,
    object_ids: Sequence[str],
    object_poses: FloatArray,
    *,
    gripper_width_m: FloatArray,
    contacts: Sequence[tuple[BodyContact, ...]],
    fps: int,
) -> ObservedMotion:
    """What of a motion the success of a task is judged by.

    Args:
        task: What was to be done.
        object_ids: Movable objects.
        object_poses: Theirs (T + 1, n, 7), in the order of ``object_ids``.
        gripper_width_m: Of the acting gripper (T + 1,).
        contacts: T + 1 entries: what touched during the frame after each row; the last is empty.
        fps: Frames a second.
    """
    names = list(object_ids)
    support = task.support_object
    return ObservedMotion(
        target_poses=np.asarray(object_poses[:, names.index(task.target_object)]),
        support_poses=np.asarray(object_poses[:, names.index(support)]) if support in names else None,
        gripper_width_m=gripper_width_m,
        contacts=tuple(contacts),
        fps=fps,
    )


class SupportNotObserved(InternalError):
    """A task ends on a movable object whose poses are not among what was observed."""

    code = "task.support_not_observed"
    template = "The poses of '{support}', on which the target shall end, were not observed. This is a defect of the caller: report it."

    support: str


def check_lifted(motion: ObservedMotion) -> PredicateCheck:
    """The target was in the air."""
    height = motion.target_poses[:, 2]
    return at_least("lifted", float(height.max() - height[0]), LIFTED_M, "m")


def check_released(motion: ObservedMotion) -> PredicateCheck:
    """The gripper opened at the end."""
    opened = float(motion.gripper_width_m[-1] - motion.gripper_width_m.min())
    return at_least("released", opened, OPENING_GAIN_M, "m")


def check_at_rest(motion: ObservedMotion) -> PredicateCheck:
    """The target does not move in the last frames."""
    return at_most("at_rest", float(motion.target_speed_m_s[-LAST_FRAMES:].max(initial=0.0)), REST_SPEED_M_S, "m/s")


def check_untouched(motion: ObservedMotion, target: str) -> PredicateCheck:
    """The robot does not touch the target in the last frames."""
    touched = sum(is_touched(frame, target) for frame in motion.contacts[-LAST_FRAMES - 1 :])
    return at_most("untouched", float(touched), 0.0, "frames")


def check_upright(motion: ObservedMotion, max_tilt_rad: float) -> PredicateCheck:
    """The target ends as upright as it began."""
    tilt = tilt_rad(motion.target_poses[0, 3:], motion.target_poses[-1, 3:])
    return at_most("upright", tilt, max_tilt_rad, "rad")


def tilt_rad(start_quat_wxyz: FloatArray, end_quat_wxyz: FloatArray) -> float:
    """Angle between what was up in the object at the start and the world's up at the end; turning about up is no tilt."""
    turn = rotation_from_quat(end_quat_wxyz) @ rotation_from_quat(start_quat_wxyz).T
    return float(np.arccos(np.clip(turn[2, 2], -1.0, 1.0)))


def is_touched(contacts: Sequence[BodyContact], target: str) -> bool:
    """Whether a body of the robot touches the target."""
    for contact in contacts:
        first, second = contact.bodies.split("|")
        if (first == target and second.startswith(ROBOT_PREFIX)) or (second == target and first.startswith(ROBOT_PREFIX)):
            return True
    return False
