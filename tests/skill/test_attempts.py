"""Which candidate a plan is made with: the first that needs no long way round, and one that needs it only where no other works."""

import pytest

from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.skill.attempts import MAX_PATH_SEARCHES, SEED_STEP, complete_first

STRAIGHT, WANDERS, BLOCKED, WANDERS_IN_VAIN = "straight", "wanders", "blocked", "wanders in vain"


@pytest.fixture
def asked():
    """What was tried, in order: candidate, seed, whether a hand might wander."""
    return []


@pytest.fixture
def complete(asked):
    def plan(candidate, /, *, seed, may_wander):
        asked.append((candidate, seed, may_wander))
        if candidate == BLOCKED or (candidate == WANDERS_IN_VAIN and may_wander):
            raise CandidateRejected("no_path", "something is in the way")
        if candidate != STRAIGHT and not may_wander:
            raise CandidateRejected("detour", "the hand would go a long way round")
        return candidate, may_wander

    return plan


@pytest.mark.parametrize(
    ("candidates", "planned"),
    [
        ([STRAIGHT, WANDERS], (STRAIGHT, False)),
        ([WANDERS, BLOCKED, STRAIGHT], (STRAIGHT, False)),
        ([BLOCKED, WANDERS, BLOCKED], (WANDERS, True)),
        ([WANDERS_IN_VAIN, WANDERS], (WANDERS, True)),
        ([BLOCKED, WANDERS_IN_VAIN], None),
        ([], None),
    ],
)
def test_a_hand_wanders_only_where_nothing_else_works(complete, candidates, planned):
    assert complete_first(candidates, complete, [], seed=7) == planned


def test_a_candidate_keeps_its_seed_and_its_reason_is_told_once(complete, asked):
    rejected = []
    assert complete_first([BLOCKED, WANDERS], complete, rejected, seed=7) == (WANDERS, True)
    assert asked == [(BLOCKED, 7 + SEED_STEP, False), (WANDERS, 7 + 2 * SEED_STEP, False), (WANDERS, 7 + 2 * SEED_STEP, True)]
    assert [reason.failure_code for reason in rejected] == ["no_path", "detour"]


def test_no_more_candidates_are_made_than_are_tried(complete):
    candidates = iter([BLOCKED] * 9)
    assert complete_first(candidates, complete, [], seed=0) is None
    assert len(list(candidates)) == 9 - MAX_PATH_SEARCHES
