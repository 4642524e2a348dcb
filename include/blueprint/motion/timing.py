"""From a path to setpoints: as fast as velocity and acceleration limits allow, sampled at the control rate.

Source: Pham and Pham, "A new approach to time-optimal path parameterization based on reachability analysis" (2018); toppra.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import toppra
from toppra.algorithm import TOPPRA
from toppra.constraint import JointAccelerationConstraint, JointVelocityConstraint

from blueprint.motion.pose import FloatArray
from blueprint.robot.embodiment import Arm

DENSIFY_RAD = 0.15
"""Largest joint step between the points that the spline goes through: a spline over sparse points leaves the checked path."""
_GRIDPOINTS_A_SEGMENT = 4
_FEWEST_GRIDPOINTS = 40

toppra.setup_logging("ERROR")


@dataclass(frozen=True)
class Pace:
    """Shares of the arm's limits that a motion may use, 0 to 1."""

    velocity: float
    acceleration: float

    def slower(self, factor: float) -> "Pace":
        """The same motion at ``factor`` of the speed."""
        return Pace(self.velocity * factor, self.acceleration * factor**2)


def time_path(waypoints: FloatArray, arm: Arm, *, pace: Pace, fps: int, densify_rad: float = DENSIFY_RAD) -> FloatArray:
    """Setpoints (T, n) along a path, from rest to rest; the first is one frame after the start, the last is the goal.

    Args:
        waypoints: Joint positions (k, n), k >= 2.
        arm: Whose velocity and acceleration limits hold.
        pace: Shares of the limits.
        fps: Setpoints a second.
        densify_rad: Largest joint step between the spline's points.
    """
    points = densify(waypoints, densify_rad)
    if len(points) == 1:
        return np.empty((0, waypoints.shape[1]))
    distance = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    path = toppra.SplineInterpolator(distance, points)
    grid = np.linspace(0, distance[-1], max(_FEWEST_GRIDPOINTS, _GRIDPOINTS_A_SEGMENT * len(points)) + 1)
    trajectory = TOPPRA(_constraints(arm, pace), path, gridpoints=grid, parametrizer="ParametrizeConstAccel").compute_trajectory(0, 0)
    frames = max(1, int(np.ceil(trajectory.duration * fps)))
    setpoints: FloatArray = trajectory(np.linspace(0, trajectory.duration, frames + 1)[1:])
    return setpoints


def densify(waypoints: FloatArray, step_rad: float) -> FloatArray:
    """The same straight pieces with more points on them; repeated points go."""
    points = [waypoints[0]]
    for start, end in pairwise(waypoints):
        count = int(np.ceil(np.abs(end - start).max() / step_rad - 1e-9))
        points += [start + share * (end - start) for share in np.arange(1, count + 1) / max(count, 1)]
    return np.array(points)


def _constraints(arm: Arm, pace: Pace) -> list[object]:
    velocity = pace.velocity * np.array([joint.max_velocity_rad_s for joint in arm.joints])
    acceleration = pace.acceleration * np.array([joint.max_acceleration_rad_s2 for joint in arm.joints])
    return [
        JointVelocityConstraint(np.column_stack([-velocity, velocity])),
        JointAccelerationConstraint(np.column_stack([-acceleration, acceleration])),
    ]
