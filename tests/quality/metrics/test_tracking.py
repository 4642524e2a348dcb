"""Lag and agreement of actions and states against shifted signals."""

import numpy as np
import pytest

from blueprint_pipeline.quality.metrics.tracking import action_state_consistency, action_state_lag_s


def signal(time_s: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(1.3 * time_s), 0.4 * np.cos(2.1 * time_s)], axis=1)


@pytest.mark.parametrize("lag_s", [0.0, 0.1, -0.1, 0.05])
def test_a_shift_is_found_to_a_fraction_of_a_frame(lag_s):
    time_s = np.arange(0, 9, 1 / 30)
    assert action_state_lag_s(signal(time_s), signal(time_s - lag_s), fps=30) == pytest.approx(lag_s, abs=0.006)


def test_perfect_tracking_scores_one_whatever_the_lag():
    time_s = np.arange(0, 9, 1 / 30)
    assert action_state_consistency(signal(time_s), signal(time_s), fps=30) == pytest.approx(1.0, abs=1e-6)
    assert action_state_consistency(signal(time_s), signal(time_s - 0.1), fps=30) == pytest.approx(1.0, abs=5e-3)


def test_known_error_gives_known_score():
    """An offset of a quarter of the setpoints' root mean square takes a quarter off."""
    setpoint = np.sqrt(2) * np.sin(np.linspace(0, 2 * np.pi, 10_001))[:-1, None]
    assert action_state_consistency(setpoint, setpoint + 0.25, fps=30) == pytest.approx(0.75, abs=1e-3)


def test_states_that_do_something_else_score_low():
    time_s = np.arange(0, 9, 1 / 30)
    assert action_state_consistency(signal(time_s), signal(3 * time_s), fps=30) < 0.3


def test_an_arm_at_rest_cannot_be_measured():
    still = np.ones((30, 7))
    assert action_state_lag_s(still, still, fps=30) is None
    assert action_state_consistency(still, still, fps=30) is None
    assert action_state_lag_s(signal(np.arange(4.0)), signal(np.arange(4.0)), fps=30) is None
