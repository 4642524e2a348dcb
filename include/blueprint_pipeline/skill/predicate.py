"""Whether a pick-and-place succeeded, condition by condition, with how far each was from failing.

Judged on what was observed, not on what was commanded. World frame: z up, metres; quaternions wxyz.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.simulation.protocol import BodyContact
from blueprint_pipeline.task.outcome import PredicateCheck
from blueprint_pipeline.task.spec import PickPlaceTask

LIFT_M = 0.05
HEIGHT_SLACK_M = 0.02
"""How far the object may end above or below the goal before the excess counts as distance."""
OPENING_GAIN_M = 0.004
REST_SPEED_M_S = 0.01
LAST_FRAMES = 6
"""Frames at the end over which rest and touch are judged (0.2 s at 30 Hz)."""
ROBOT_PREFIX = "robot/"


@dataclass(frozen=True, kw_only=True)
class ObservedMotion:
    """What is judged: T + 1 rows, frame by frame."""

    target_poses: FloatArray
    """(T + 1, 7): xyz + quat wxyz of the target."""
    target_speed_m_s: FloatArray
    """(T + 1,): linear speed of the target."""
    gripper_width_m: FloatArray
    """(T + 1,)."""
    contacts: Sequence[tuple[BodyContact, ...]]
    """T + 1 entries."""


def check_pick_place(task: PickPlaceTask, motion: ObservedMotion) -> tuple[PredicateCheck, ...]:
    """Ask every condition of the task; it succeeded if all hold."""
    height = motion.target_poses[:, 2]
    lift = float(height.max() - height[0])
    offset = motion.target_poses[-1, :3] - np.array(task.goal_position_m)
    missed = float(np.hypot(np.linalg.norm(offset[:2]), max(0.0, abs(float(offset[2])) - HEIGHT_SLACK_M)))
    opened = float(motion.gripper_width_m[-1] - motion.gripper_width_m.min())
    speed = float(motion.target_speed_m_s[-LAST_FRAMES:].max())
    touched = sum(_is_held(frame, task.target_object) for frame in motion.contacts[-LAST_FRAMES - 1 :])
    checks = [
        PredicateCheck(name="lifted", held=lift >= LIFT_M, value=lift, limit=LIFT_M, unit="m"),
        PredicateCheck(name="arrived", held=missed <= task.goal_radius_m, value=missed, limit=task.goal_radius_m, unit="m"),
        PredicateCheck(name="released", held=opened >= OPENING_GAIN_M, value=opened, limit=OPENING_GAIN_M, unit="m"),
        PredicateCheck(name="at_rest", held=speed <= REST_SPEED_M_S, value=speed, limit=REST_SPEED_M_S, unit="m/s"),
        PredicateCheck(name="untouched", held=touched == 0, value=float(touched), limit=0.0, unit="frames"),
    ]
    if task.upright:
        tilt = tilt_rad(motion.target_poses[0, 3:], motion.target_poses[-1, 3:])
        upright = PredicateCheck(name="upright", held=tilt <= task.max_tilt_rad, value=tilt, limit=task.max_tilt_rad, unit="rad")
        checks.insert(2, upright)
    return tuple(checks)


def tilt_rad(start_quat_wxyz: FloatArray, end_quat_wxyz: FloatArray) -> float:
    """Angle between what was up in the object at the start and the world's up at the end; turning about up is no tilt."""
    up_in_object = _rotate(_conjugate(start_quat_wxyz), np.array([0.0, 0.0, 1.0]))
    return float(np.arccos(np.clip(_rotate(end_quat_wxyz, up_in_object)[2], -1.0, 1.0)))


def _is_held(contacts: tuple[BodyContact, ...], target: str) -> bool:
    for contact in contacts:
        first, second = contact.bodies.split("|")
        if (first == target and second.startswith(ROBOT_PREFIX)) or (second == target and first.startswith(ROBOT_PREFIX)):
            return True
    return False


def _conjugate(quat_wxyz: FloatArray) -> FloatArray:
    conjugate: FloatArray = quat_wxyz * np.array([1.0, -1.0, -1.0, -1.0])
    return conjugate


def _rotate(quat_wxyz: FloatArray, vector: FloatArray) -> FloatArray:
    """Source: Rodrigues' formula for unit quaternions, v + 2 w (u x v) + 2 u x (u x v)."""
    w, u = quat_wxyz[0], quat_wxyz[1:]
    cross = np.cross(u, vector)
    rotated: FloatArray = vector + 2 * w * cross + 2 * np.cross(u, cross)
    return rotated
