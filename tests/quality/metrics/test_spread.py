"""How wide a set spreads, over what is possible."""

import numpy as np
import pytest

from blueprint_pipeline.quality.metrics.spread import effective_number, ellipse_share, heading_spread, headings

EVEN_M2 = np.diag([0.6**2 / 12, 0.5**2 / 12])
"""Covariance of places drawn evenly from 60 by 50 cm."""
EVEN = dict.fromkeys(["can", "a", "b", "c", *(f"object_{index}" for index in range(7))], EVEN_M2)


def places(width_m: float, depth_m: float, count: int = 400) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, 2)) * [width_m, depth_m]


def test_places_from_all_of_the_surface_spread_fully():
    assert ellipse_share(places(0.6, 0.5), ["can"] * 400, EVEN) == pytest.approx(1.0, abs=0.1)


def test_four_centimetres_about_one_pose_are_next_to_nothing():
    """Wherever the pose is."""
    assert ellipse_share(places(0.08, 0.08) + 0.2, ["can"] * 400, EVEN) == pytest.approx(0.08**2 / (0.6 * 0.5), rel=0.2)


def test_objects_that_stay_each_at_its_place_do_not_spread():
    """Seven places all over the table, always the same."""
    spots, names = places(0.6, 0.5, 7), [f"object_{index % 7}" for index in range(70)]
    assert ellipse_share(np.tile(spots, (10, 1)) + places(0.01, 0.01, 70), names, EVEN) < 0.01


def test_each_object_is_compared_with_where_it_has_room():
    """A kettle that fits on a third of the surface, and starts all over that, spreads as far as it can."""
    room = {"kettle": EVEN_M2 * np.diag([1 / 9, 1.0]), "can": EVEN_M2}
    starts = np.concatenate([places(0.2, 0.5), places(0.6, 0.5)])
    assert ellipse_share(starts, ["kettle"] * 400 + ["can"] * 400, room) == pytest.approx(1.0, abs=0.1)
    assert ellipse_share(places(0.2, 0.5), ["can"] * 400, room) == pytest.approx(1 / 3, abs=0.05)


def test_a_spread_in_one_direction_is_none():
    """All on a line."""
    line = places(0.6, 0.5) * [1.0, 0.0]
    assert ellipse_share(line, ["can"] * 400, EVEN) == pytest.approx(0.0, abs=1e-6)


def test_too_few_tell_nothing():
    assert ellipse_share(places(0.6, 0.5, 3), ["a", "b", "c"], EVEN) is None
    assert heading_spread(np.zeros(2), ["a", "b"]) is None
    assert effective_number([]) is None


def test_headings_all_round_are_wide_and_half_a_radian_is_not():
    rng = np.random.default_rng(0)
    assert heading_spread(rng.uniform(-np.pi, np.pi, 400), ["can"] * 400) > 0.8
    assert heading_spread(rng.uniform(-0.6, 0.6, 400), ["can"] * 400) == pytest.approx(0.06, abs=0.02)
    assert heading_spread(np.zeros(10), ["can"] * 10) == pytest.approx(0.0)


def test_the_turn_about_the_vertical_is_told_from_a_tilt():
    quats = np.array([[np.cos(0.3), 0.0, 0.0, np.sin(0.3)], [np.cos(0.05), np.sin(0.05), 0.0, 0.0]])
    np.testing.assert_allclose(headings(quats), [0.6, 0.0])


def test_rare_objects_count_less():
    assert effective_number(["a", "b", "c"] * 4) == pytest.approx(3.0)
    assert 1.0 < effective_number(["a"] * 19 + ["b"]) < 1.3
