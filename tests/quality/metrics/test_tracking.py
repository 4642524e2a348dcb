"""Lag and agreement of actions and states against shifted signals."""

import numpy as np
import pytest

from blueprint.quality.metrics.tracking import action_state_consistency, action_state_lag_s


def signal(time_s: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(1.3 * time_s), 0.4 * np.cos(2.1 * time_s)], axis=1)


@pytest.mark.parametrize("lag_s", [0.0, 0.1, -0.1, 0.05])
def test_a_shift_is_found_to_a_fraction_of_a_frame(lag_s):
    time_s = np.arange(0, 9, 1 / 30)
    assert action_state_lag_s(signal(time_s), signal(time_s - lag_s), fps=30) == pytest.approx(lag_s, abs=0.006)


def test_perfect_tracking_scores_one_and_standing_at_the_mean_zero():
    setpoint = signal(np.arange(0, 9, 1 / 30))
    assert action_state_consistency(setpoint, setpoint) == 1.0
    assert action_state_consistency(setpoint, np.broadcast_to(setpoint.mean(axis=0), setpoint.shape)) == pytest.approx(0.0)


def test_known_error_gives_known_score():
    setpoint = np.sqrt(2) * np.sin(np.linspace(0, 2 * np.pi, 10_001))[:-1, None]  # unit root mean square
    assert action_state_consistency(setpoint, setpoint + 0.25) == pytest.approx(0.75)


def test_an_arm_at_rest_cannot_be_measured():
    still = np.ones((30, 7))
    assert action_state_lag_s(still, still, fps=30) is None
    assert action_state_consistency(still, still) is None
    assert action_state_lag_s(signal(np.arange(4.0)), signal(np.arange(4.0)), fps=30) is None
