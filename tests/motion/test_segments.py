"""Which of several free paths is taken: the first in which the hand does not wander, else the straightest, and never a long way round."""

import numpy as np
import pytest

from blueprint_pipeline.motion import segments
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.segments import LEAST_STRAIGHT, LONGEST_DETOUR, find_direct, find_path

START, GOAL = np.zeros(2), np.array([1.0, 0.0])


def path(longer):
    """From start to goal, so many times as long as the straight one."""
    up = np.sqrt((longer / 2) ** 2 - 0.25)
    return np.array([START, [0.5, up], GOAL])


@pytest.fixture
def ways(monkeypatch):
    """Sets what there is: (how much longer, share that is straight) of paths that need no search, and of those that a search finds."""

    def set_ways(direct, searched):
        shares = dict((*direct, *searched))
        monkeypatch.setattr(segments, "_direct_paths", lambda *_: (path(longer) for longer, _ in direct))
        monkeypatch.setattr(segments, "_searched_paths", lambda *_: (path(longer) for longer, _ in searched))
        monkeypatch.setattr(segments, "_straightness", lambda _, found: shares[round(length(found), 3)])

    return set_ways


def length(found):
    return float(np.linalg.norm(np.diff(found, axis=0), axis=1).sum())


def found_path():
    return round(length(find_path(None, START, GOAL, 0.0, seed=0)), 3)


def test_the_first_that_does_not_wander_is_taken(ways):
    ways([(1.0, 0.3), (1.2, LEAST_STRAIGHT), (1.1, 0.9)], [(1.3, 1.0)])
    assert found_path() == 1.2
    assert round(length(find_direct(None, START, GOAL, 0.0)), 3) == 1.2


def test_a_search_is_asked_where_all_others_wander(ways):
    ways([(1.0, 0.3)], [(1.4, 0.8)])
    assert found_path() == 1.4
    assert find_direct(None, START, GOAL, 0.0) is None


def test_where_every_hand_wanders_the_straightest_is_taken(ways):
    ways([(1.0, 0.2), (1.5, 0.4)], [(1.6, 0.3)])
    assert found_path() == 1.5


def test_who_may_not_wander_gets_no_path_on_which_a_hand_does(ways):
    ways([(1.0, 0.2), (1.5, 0.4)], [(1.6, 0.3)])
    with pytest.raises(CandidateRejected, match="a long way round") as refused:
        find_path(None, START, GOAL, 0.0, seed=0, may_wander=False)
    assert refused.value.failure_code == "detour"
    ways([(1.0, 0.2)], [(1.4, 0.8)])
    assert round(length(find_path(None, START, GOAL, 0.0, seed=0, may_wander=False)), 3) == 1.4


def test_a_long_way_round_is_no_path_however_straight(ways):
    """One that wanders is better; where there is no other, the failure says how long it is."""
    ways([(1.0, 0.2)], [(LONGEST_DETOUR + 1, 0.9)])
    assert found_path() == 1.0
    ways([], [(3.0, 0.9)])
    with pytest.raises(CandidateRejected, match=r"3\.0 times as long") as refused:
        found_path()
    assert refused.value.failure_code == "detour"


def test_a_short_way_over_something_may_be_long_for_it(ways):
    """Between two places that are near one another it cannot be else."""
    ways([(LONGEST_DETOUR + 1, 0.7)], [])
    assert found_path() == LONGEST_DETOUR + 1


@pytest.mark.filterwarnings("error")
def test_who_is_there_stays_there(monkeypatch):
    """No path is compared with a way of no length."""
    monkeypatch.setattr(segments, "_direct_paths", lambda *_: iter([np.array([START, START])]))
    monkeypatch.setattr(segments, "_straightness", lambda *_: 1.0)
    np.testing.assert_array_equal(find_path(None, START, START, 0.0, seed=0), [START, START])


def test_no_path_at_all_says_so(ways):
    ways([], [])
    with pytest.raises(CandidateRejected) as refused:
        found_path()
    assert refused.value.failure_code == "no_path"
