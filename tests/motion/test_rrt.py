"""Path search: straight where it can be, around where it must, none where there is none, and the same every time."""

from itertools import pairwise

import numpy as np
import pytest

from blueprint_pipeline.motion.rrt import RESOLUTION_RAD, plan_path

BOUNDS = (np.full(3, -2.0), np.full(3, 2.0))
START, GOAL = np.array([-1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0])


def wall(qpos: np.ndarray) -> bool:
    """A wall across the way that is open on one side."""
    return not (abs(qpos[0]) < 0.2 and qpos[1] < 1.0)


def test_a_free_way_is_straight() -> None:
    """Two points, no search."""
    path = plan_path(START, GOAL, bounds=BOUNDS, is_free=lambda _: True, seed=1)
    assert path is not None
    np.testing.assert_array_equal(path, [START, GOAL])


def test_it_goes_around() -> None:
    """Between the waypoints nothing is in the wall but what the resolution of the search lets through."""
    path = plan_path(START, GOAL, bounds=BOUNDS, is_free=wall, seed=1)
    assert path is not None
    np.testing.assert_allclose(path[[0, -1]], [START, GOAL])
    for first, last in pairwise(path):
        shares = np.linspace(0, 1, 300)
        blocked = np.mean([not wall(first + share * (last - first)) for share in shares])
        assert blocked * np.linalg.norm(last - first) <= RESOLUTION_RAD, "a corner may be cut by less than the search's resolution"


def test_a_closed_wall_has_no_path() -> None:
    """The search ends by its own limit."""
    assert plan_path(START, GOAL, bounds=BOUNDS, is_free=lambda qpos: abs(qpos[0]) > 0.2, seed=1) is None


def test_the_seed_decides() -> None:
    """Same seed, same path, though another search came between; another seed, another path."""
    first, other, again = (plan_path(START, GOAL, bounds=BOUNDS, is_free=wall, seed=seed) for seed in (5, 6, 5))
    assert first is not None
    np.testing.assert_array_equal(first, again)
    assert other is None or other.shape != first.shape or not np.array_equal(other, first)


@pytest.mark.parametrize(("start", "goal"), [(-1.0, 0.0), (0.0, 1.0), (-3.0, 1.0), (-1.0, 3.0)])
def test_an_impossible_start_or_goal_ends_at_once(start: float, goal: float) -> None:
    """In a wall or beyond the limits: no path, and no waiting for another goal."""
    first, last = np.array([start, 0.0, 0.0]), np.array([goal, 0.0, 0.0])
    assert plan_path(first, last, bounds=BOUNDS, is_free=wall, seed=1) is None
