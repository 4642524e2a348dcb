"""Economy of movement against movements whose values are known."""

import numpy as np
import pytest

from blueprint_pipeline.quality.metrics.activity import (
    gripper_chatter_hz,
    idle_ratio,
    joint_limit_saturation,
    path_efficiency,
    share_in_runs,
)


def test_a_straight_line_is_fully_efficient_and_a_half_circle_is_two_over_pi():
    line = np.linspace([0, 0, 0], [1, 2, 3], 50)
    angle = np.linspace(0, np.pi, 2000)
    arc = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    assert path_efficiency(line) == pytest.approx(1.0)
    assert path_efficiency(arc) == pytest.approx(2 / np.pi, rel=1e-5)


def test_a_tool_that_stays_has_no_efficiency():
    assert path_efficiency(np.ones((30, 3))) is None
    assert path_efficiency(np.ones((1, 3))) is None


def test_only_long_runs_count():
    mask = np.array([1, 1, 0, 1, 1, 1, 0, 1], dtype=bool)
    assert share_in_runs(mask, shortest=3) == 3 / 8
    assert share_in_runs(mask, shortest=1) == 6 / 8
    assert share_in_runs(np.zeros(4, dtype=bool), shortest=1) == 0


def test_idle_is_the_share_of_long_standstill():
    velocity = np.zeros((90, 7))
    velocity[:60] = 1.0
    assert idle_ratio(velocity, fps=30) == pytest.approx(1 / 3)
    velocity[:] = 1.0
    velocity[10:20] = 0.0  # a third of a second is too short
    assert idle_ratio(velocity, fps=30) == 0
    assert idle_ratio(np.zeros((90, 7)), fps=30) is None


def test_chatter_counts_reversals_of_the_command():
    command = np.tile([0.0, 0.08], 16)[:31]
    assert gripper_chatter_hz(command, fps=30) == pytest.approx(29.0)
    assert gripper_chatter_hz(np.linspace(0.08, 0.0, 31), fps=30) == 0
    assert gripper_chatter_hz(np.array([0.08]), fps=30) is None


def test_joints_near_an_end_of_their_range_saturate():
    position = np.zeros((100, 2))
    position[40:, 1] = 0.99
    ends = np.array([1.0, 1.0])
    assert joint_limit_saturation(position, -ends, ends, fps=30) == pytest.approx(0.6)
    assert joint_limit_saturation(0 * position, -ends, ends, fps=30) == 0
