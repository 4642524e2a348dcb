"""From a path to setpoints: as fast as velocity and acceleration limits allow, sampled at the control rate.

Source: Pham and Pham, "A new approach to time-optimal path parameterization based on reachability analysis" (2018); toppra.
"""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Protocol

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.arm import Joint

DENSIFY_RAD = 0.15
"""Largest joint step between the points that the spline goes through: a spline over sparse points leaves the checked path."""
_GRIDPOINTS_A_SEGMENT = 4
_FEWEST_GRIDPOINTS = 40
_PYPLOT = "matplotlib.pyplot"


@dataclass(frozen=True)
class Pace:
    """Shares of the arm's limits that a motion may use, 0 to 1."""

    velocity: float
    acceleration: float

    def slower(self, factor: float) -> "Pace":
        """The same motion at ``factor`` of the speed."""
        return Pace(self.velocity * factor, self.acceleration * factor**2)


class Jointed(Protocol):
    """What moves along one path: an arm, or several together."""

    @property
    def joints(self) -> tuple[Joint, ...]:
        """In the order of its configurations."""


def time_path(waypoints: FloatArray, arm: Jointed, *, pace: Pace, fps: int, densify_rad: float = DENSIFY_RAD) -> FloatArray:
    """Setpoints (T, n) along a path, from rest to rest; the first is one frame after the start, the last is the goal.

    Args:
        waypoints: Joint positions (k, n), k >= 2.
        arm: Whose velocity and acceleration limits hold; arms that move together arrive together.
        pace: Shares of the limits.
        fps: Setpoints a second.
        densify_rad: Largest joint step between the spline's points.
    """
    points = densify(waypoints, densify_rad)
    if len(points) == 1:
        return np.empty((0, waypoints.shape[1]))
    distance = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    toppra = _load_toppra()
    path = toppra.SplineInterpolator(distance, points)
    grid = np.linspace(0, distance[-1], max(_FEWEST_GRIDPOINTS, _GRIDPOINTS_A_SEGMENT * len(points)) + 1)
    trajectory = toppra.algorithm.TOPPRA(
        _constraints(arm, pace), path, gridpoints=grid, parametrizer="ParametrizeConstAccel"
    ).compute_trajectory(0, 0)
    duration_s = trajectory.duration
    while True:
        frames = max(1, int(np.ceil(duration_s * fps)))
        setpoints: FloatArray = trajectory(np.linspace(0, trajectory.duration, frames + 1)[1:])
        excess = _excess(np.concatenate([points[:1], setpoints]), arm, pace, fps)
        if excess <= 1:
            return setpoints
        duration_s = max(duration_s * excess, (frames + 1) / fps)


def _excess(rows: FloatArray, arm: Jointed, pace: Pace, fps: int) -> float:
    """How much longer a motion must take for its sampled velocities and accelerations to keep the limits; at most 1: it keeps them.

    The parametrisation keeps them at its grid points, not between them.
    """
    velocity, acceleration = _limits(arm, pace)
    speed = np.diff(rows, axis=0) * fps
    change = np.diff(np.concatenate([np.zeros_like(rows[:1]), speed, np.zeros_like(rows[:1])]), axis=0) * fps
    return float(max((np.abs(speed) / velocity).max(), np.sqrt((np.abs(change) / acceleration).max())))


def densify(waypoints: FloatArray, step_rad: float) -> FloatArray:
    """The same straight pieces with more points on them; repeated points go."""
    points = [waypoints[0]]
    for start, end in pairwise(waypoints):
        count = int(np.ceil(np.abs(end - start).max() / step_rad - 1e-9))
        points += [start + share * (end - start) for share in np.arange(1, count + 1) / max(count, 1)]
    return np.array(points)


def _limits(arm: Jointed, pace: Pace) -> tuple[FloatArray, FloatArray]:
    """Velocities and accelerations that a motion may have, (n,) each."""
    velocity = pace.velocity * np.array([joint.max_velocity_rad_s for joint in arm.joints])
    acceleration = pace.acceleration * np.array([joint.max_acceleration_rad_s2 for joint in arm.joints])
    return velocity, acceleration


def _constraints(arm: Jointed, pace: Pace) -> list[object]:
    velocity, acceleration = _limits(arm, pace)
    return [
        _load_toppra().constraint.JointVelocityConstraint(np.column_stack([-velocity, velocity])),
        _load_toppra().constraint.JointAccelerationConstraint(np.column_stack([-acceleration, acceleration])),
    ]


@cache
def _load_toppra() -> ModuleType:
    """Import toppra without the plotting library that it imports and we never use: 1.4 CPU-s a worker.

    ``matplotlib.pyplot`` becomes a lazy module: who uses it gets it, at first use.

    Source: Python documentation, importlib, "Implementing lazy imports".
    """
    if _PYPLOT not in sys.modules:
        spec = importlib.util.find_spec(_PYPLOT)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
            module = importlib.util.module_from_spec(spec)
            sys.modules[_PYPLOT] = module
            spec.loader.exec_module(module)
    toppra = importlib.import_module("toppra")
    toppra.setup_logging("ERROR")
    return toppra
