"""What conditions measure of a part that moves on a joint: where it ends, and how it went, with NumPy alone.

Each takes an observed motion, and the joint as JSON has it; :mod:`.predicates` names them.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from .joints import JointMeasure
from .touches import is_touched

if TYPE_CHECKING:
    from .predicates import ObservedMotion


def measure_end_share(motion: "ObservedMotion", **joint: Any) -> float:
    """How far the target, a part that opens or goes in, is open or in at the end, as a share of its way."""
    return float(JointMeasure(**joint).shares(motion.target_poses[-1:])[0])


def measure_moved_share(motion: "ObservedMotion", **joint: Any) -> float:
    """By how much of its way it ends from where it began."""
    first, last = JointMeasure(**joint).shares(motion.target_poses[[0, -1]])
    return float(abs(last - first))


def measure_end_pace(motion: "ObservedMotion", frames: int, **joint: Any) -> float:
    """How fast it moves in the last frames, at most, as a share of its way a second."""
    shares = JointMeasure(**joint).shares(motion.target_poses[-frames - 1 :])
    return float(np.abs(np.diff(shares)).max(initial=0.0) * motion.fps)


def measure_pushed_share(motion: "ObservedMotion", target: str, robot_prefix: str, **joint: Any) -> float:
    """How far it was in, at most, while the robot touched it: at the beginning or at the end of a frame of touch."""
    touched = np.array([is_touched(frame, target, robot_prefix) for frame in motion.contacts])
    touched[1:] |= touched[:-1].copy()
    shares = JointMeasure(**joint).shares(motion.target_poses)
    return float(shares[touched].max(initial=0.0))


def measure_pushes(motion: "ObservedMotion", beyond: float, below: float, **joint: Any) -> float:
    """How often it went in beyond one share of its way; between two times it comes back below another."""
    count, is_in = 0, False
    for share in JointMeasure(**joint).shares(motion.target_poses):
        if not is_in and share >= beyond:
            count, is_in = count + 1, True
        elif share <= below:
            is_in = False
    return float(count)


def measure_turned(motion: "ObservedMotion", sign: float, **joint: Any) -> float:
    """By what angle it ends turned from where it began [rad]; above 0 where its position grew, or, with a sign of -1, fell."""
    first, last = JointMeasure(**joint).positions(motion.target_poses[[0, -1]])
    return float(sign * (last - first))
