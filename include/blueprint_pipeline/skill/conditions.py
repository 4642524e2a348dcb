"""Conditions of success that skills share, and what of a motion they are asked on.

What each measures stands in :mod:`blueprint_pipeline.kit.predicates`; here are the limits.
"""

from collections.abc import Collection, Sequence

import numpy as np

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.predicates import Condition, ConditionValue, ObservedMotion
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.task.outcome import PredicateCheck
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

LIFTED = Condition(name="lifted", measure="lift", limit=LIFTED_M, direction="at_least", unit="m")
"""The target was in the air."""
RELEASED = Condition(name="released", measure="opening", limit=OPENING_GAIN_M, direction="at_least", unit="m")
"""The gripper opened at the end."""
AT_REST = Condition(
    name="at_rest", measure="end_speed", arguments={"frames": LAST_FRAMES}, limit=REST_SPEED_M_S, direction="at_most", unit="m/s"
)
"""The target does not move in the last frames."""


def untouched(target: str) -> Condition:
    """The robot does not touch the target in the last frames."""
    arguments = {"target": target, "robot_prefix": ROBOT_PREFIX, "frames": LAST_FRAMES}
    return Condition(name="untouched", measure="end_touches", arguments=arguments, limit=0.0, direction="at_most", unit="frames")


def nothing_else_touched(target: str) -> Condition:
    """The robot touches the target alone, and nothing else touches that, at any time."""
    arguments = {"target": target, "support": target, "robot_prefix": ROBOT_PREFIX}
    name = "nothing_else_touched"
    return Condition(name=name, measure="other_touches", arguments=arguments, limit=0.0, direction="at_most", unit="frames")


def upright(max_tilt_rad: float) -> Condition:
    """The target ends as upright as it began."""
    return Condition(name="upright", measure="end_tilt", limit=max_tilt_rad, direction="at_most", unit="rad")


def observe(
    task: Task,
    object_ids: Sequence[str],
    object_poses: FloatArray,
    *,
    gripper_width_m: FloatArray,
    contacts: Sequence[Collection[str]],
    fps: int,
) -> ObservedMotion:
    """What of a motion the success of a task is judged by.

    Args:
        task: What was to be done.
        object_ids: Movable objects.
        object_poses: Theirs (T + 1, n, 7), in the order of ``object_ids``.
        gripper_width_m: Of the acting gripper (T + 1,).
        contacts: T + 1 entries: the pairs of bodies that touched during the frame after each row; the last is empty.
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


def as_check(judgement: ConditionValue) -> PredicateCheck:
    """A judgement as records hold it."""
    asked = judgement.condition
    return PredicateCheck(
        name=asked.name, held=judgement.held, value=judgement.value, limit=asked.limit, direction=asked.direction, unit=asked.unit
    )


class SupportNotObserved(InternalError):
    """A task ends on a movable object whose poses are not among what was observed."""

    code = "task.support_not_observed"
    template = "The poses of '{support}', on which the target shall end, were not observed. This is a defect of the caller: report it."

    support: str
