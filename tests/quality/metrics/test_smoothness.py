"""Smoothness against movements whose values are known."""

import numpy as np
import pytest

from blueprint_pipeline.quality.metrics.smoothness import ldlj, sparc, speed

FPS = 1000.0


def minimum_jerk_speed(duration_s: float, distance_m: float = 1.0, fps: float = FPS) -> np.ndarray:
    s = np.linspace(0, 1, int(duration_s * fps) + 1)
    return distance_m / duration_s * (30 * s**2 - 60 * s**3 + 30 * s**4)


@pytest.mark.parametrize(("duration_s", "distance_m"), [(1.0, 1.0), (3.0, 0.2)])
def test_ldlj_of_a_minimum_jerk_movement_is_known_and_free_of_scale(duration_s, distance_m):
    """The integral of jerk^2 = 720 D^2 / T^5 and v_peak = 1.875 D / T give -ln(720 / 1.875^2)."""
    assert ldlj(minimum_jerk_speed(duration_s, distance_m), fps=FPS) == pytest.approx(-np.log(720 / 1.875**2), rel=2e-3)


def test_ldlj_of_a_half_sine():
    """The speed sin(pi t / T) gives -ln(pi^4 / 2)."""
    time = np.linspace(0, 2, 2001)
    assert ldlj(np.sin(np.pi * time / 2), fps=FPS) == pytest.approx(-np.log(np.pi**4 / 2), rel=2e-3)


def test_sparc_of_one_bell_is_between_its_bounds_and_free_of_scale():
    """The arc of a falling curve from (0, 1) to (1, 0.05) is between the straight line and the two legs."""
    one = sparc(minimum_jerk_speed(1.0, fps=100), fps=100)
    assert -1.95 <= one <= -np.hypot(1, 0.95)
    assert sparc(7 * minimum_jerk_speed(1.0, fps=100), fps=100) == pytest.approx(one)
    assert sparc(minimum_jerk_speed(2.0, fps=100), fps=100) == pytest.approx(one, abs=0.05)


def test_submovements_and_tremor_lower_both_scores():
    smooth = minimum_jerk_speed(2.0, fps=100)
    halves = np.concatenate([minimum_jerk_speed(1.0, fps=100)[:-1], minimum_jerk_speed(1.0, fps=100)])
    tremor = np.abs(smooth + 0.1 * np.sin(2 * np.pi * 6 * np.linspace(0, 2, len(smooth))))
    for score in (sparc, ldlj):
        assert score(halves, fps=100) < score(smooth, fps=100)
        assert score(tremor, fps=100) < score(smooth, fps=100)


@pytest.mark.parametrize("score", [sparc, ldlj])
def test_nothing_to_measure_is_none(score):
    assert score(np.zeros(50), fps=30) is None
    assert score(np.ones(3), fps=30) is None


def test_constant_speed_has_no_jerk_to_take_the_logarithm_of():
    assert ldlj(np.ones(50), fps=30) is None


def test_speed_of_a_circle():
    time = np.linspace(0, 2, 2001)
    circle = 0.3 * np.stack([np.cos(5 * time), np.sin(5 * time), 0 * time], axis=1)
    assert speed(circle, fps=FPS)[5:-5] == pytest.approx(1.5, rel=1e-4)
