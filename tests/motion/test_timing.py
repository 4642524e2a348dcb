"""Timed trajectories respect the arm's limits, start and end at rest, and stay on the path."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprint_pipeline.motion.timing import Pace, densify, time_path
from blueprint_pipeline.robot.embodiment import load_embodiment

ARM = load_embodiment("franka_panda").arms[0]
FPS = 30
VELOCITY = np.array([joint.max_velocity_rad_s for joint in ARM.joints])
ACCELERATION = np.array([joint.max_acceleration_rad_s2 for joint in ARM.joints])
HOME = np.array(ARM.default_qpos_rad)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.02, 0.8), st.floats(0.1, 1.0), st.floats(0.1, 1.0))
def test_limits_hold_between_setpoints(seed: int, corners: int, size: float, velocity: float, acceleration: float) -> None:
    """Differences of setpoints, as the controller will see them, stay within the shares of the limits that were given."""
    steps = np.random.default_rng(seed).normal(size=(corners, 7)) * size
    waypoints = np.concatenate([HOME[None], HOME + np.cumsum(steps, axis=0)])
    setpoints = time_path(waypoints, ARM, pace=Pace(velocity, acceleration), fps=FPS)
    rows = np.concatenate([HOME[None], setpoints])
    speed = np.diff(rows, axis=0) * FPS
    assert (np.abs(speed) <= velocity * VELOCITY + 1e-9).all()
    change = np.diff(np.concatenate([np.zeros((1, 7)), speed, np.zeros((1, 7))]), axis=0) * FPS
    assert (np.abs(change) <= acceleration * ACCELERATION + 1e-6).all()
    np.testing.assert_allclose(setpoints[-1], waypoints[-1], atol=1e-9)


def test_the_path_is_kept() -> None:
    """No setpoint is farther from the straight pieces than a corner's rounding."""
    waypoints = np.stack([HOME, HOME + 0.6, HOME + np.array([0.6, -0.6, 0.6, 0.2, 0, 0, 0])])
    setpoints = time_path(waypoints, ARM, pace=Pace(0.5, 0.3), fps=FPS)
    dense = densify(waypoints, 0.005)
    farthest = max(np.linalg.norm(dense - point, axis=1).min() for point in setpoints)
    assert farthest < 0.05


def test_slower_is_slower() -> None:
    """Half the speed takes about twice as long."""
    waypoints = np.stack([HOME, HOME + 0.5])
    fast, slow = (time_path(waypoints, ARM, pace=pace, fps=FPS) for pace in (Pace(0.6, 0.3), Pace(0.6, 0.3).slower(0.5)))
    assert 1.8 < len(slow) / len(fast) < 2.2


def test_no_way_takes_no_time() -> None:
    """A path of one point repeated has no setpoints."""
    assert len(time_path(np.stack([HOME, HOME]), ARM, pace=Pace(0.5, 0.5), fps=FPS)) == 0


def test_densify_bounds_the_step_and_keeps_the_corners() -> None:
    """No joint moves more than the step, and the corners stay."""
    points = densify(np.stack([HOME, HOME + 0.4, HOME]), 0.15)
    assert np.abs(np.diff(points, axis=0)).max() <= 0.15
    assert any(np.allclose(point, HOME + 0.4) for point in points)
