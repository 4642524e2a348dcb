"""Conditions of success that skills share, each with its value, its limit and its margin.

Judged on what was observed, not on what was commanded. World frame: z up, metres; quaternions wxyz.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.robot.embodiment import ROBOT_PREFIX
from blueprint_pipeline.simulation.protocol import BodyContact
from blueprint_pipeline.task.outcome import PredicateCheck, at_most

REST_SPEED_M_S = 0.01
LAST_FRAMES = 6
"""Frames at the end over which rest and touch are judged (0.2 s at 30 Hz)."""


@dataclass(frozen=True, kw_only=True)
class ObservedMotion:
    """What is judged: T + 1 rows, frame by frame."""

    target_poses: FloatArray
    """(T + 1, 7): xyz + quat wxyz of the target."""
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
