"""Wishes for the episodes of a batch: what is empty first, what is given up never, and always the same."""

from collections import Counter
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.job.wishes import SkillWishes, Wanted, make_wishes
from blueprint_pipeline.task.coverage import STEERED, title_of
from blueprint_pipeline.task.coverage_tally import GIVE_UP_AFTER, CellTally

SKILL = "pick_place"
NAMES = {"object": ["can", "bowl", "lemon"], "start": ["left", "middle", "right"], "goal": ["front", "back"]}
PAIRS = [(axes, values) for axes in STEERED for values in product(*(NAMES[axis] for axis in axes))]


def wanted(*, without=(), kept=(), hopeless=()):
    """All cells but some, of which some are filled and some were given up."""
    declared = {axis: [(name,) for name in names] for axis, names in NAMES.items()}
    past = {}
    for axes, values in PAIRS:
        title = title_of(axes)
        if (axes, values) not in without:
            declared.setdefault(title, []).append(values)
        if (axes, values) in kept:
            past.setdefault(title, {})[values] = CellTally(kept=1)
        if (axes, values) in hopeless:
            past.setdefault(title, {})[values] = CellTally(counted=Counter({"plan_pick.no_path": GIVE_UP_AFTER}))
    return {SKILL: Wanted(declared=declared, past=past)}


def pairs_of(wish):
    named = {"object": wish.object, "start": wish.start, "goal": wish.goal}
    return {(axes, tuple(named[axis] for axis in axes)) for axes in STEERED}


@given(without=st.sets(st.sampled_from(PAIRS), max_size=4), hopeless=st.sets(st.sampled_from(PAIRS), max_size=4), seed=st.integers(0, 99))
def test_wishes_are_possible_and_the_same_again(without, hopeless, seed):
    """Never what the site does not allow, nor what was given up; a longer batch begins with a shorter one."""
    cells = wanted(without=without, hopeless=hopeless)
    wishes = make_wishes(cells, [SKILL], 20, seed)
    assert wishes[:7] == make_wishes(cells, [SKILL], 7, seed)
    for wish in wishes:
        assert wish is None or not pairs_of(wish) & (without | hopeless)


def test_a_batch_fills_all_pairs_of_a_small_scene():
    """Nine wishes could not fill nine pairs of objects and starts better; all 21 pairs take few more."""
    filled = [set.union(*(pairs_of(wish) for wish in make_wishes(wanted(), [SKILL], length, 3))) for length in (9, 14)]
    assert {pair for pair in PAIRS if pair[0] == ("object", "start")} <= filled[0]
    assert filled[1] == set(PAIRS)


@given(kept=st.sets(st.sampled_from(PAIRS), min_size=3, max_size=18), seed=st.integers(0, 99))
def test_what_others_filled_is_left_for_later(kept, seed):
    """The first wish takes a cell with as many empty pairs as any."""
    first = make_wishes(wanted(kept=kept), [SKILL], 1, seed)[0]
    most = max(
        len({(axes, tuple(dict(zip(NAMES, values, strict=True))[axis] for axis in axes)) for axes in STEERED} - kept)
        for values in product(*NAMES.values())
    )
    assert len(pairs_of(first) - kept) == most


def test_nothing_is_wished_where_all_is_given_up():
    assert make_wishes(wanted(hopeless=PAIRS), [SKILL], 3, 0) == [None] * 3


def test_seeds_begin_elsewhere_and_objects_take_turns():
    """Two batches that look at no other do not wish for the same."""
    batches = [make_wishes(wanted(), [SKILL], 6, seed) for seed in range(4)]
    assert len({tuple(batch) for batch in batches}) == 4
    assert all(Counter(wish.object for wish in batch) == Counter(dict.fromkeys(NAMES["object"], 2)) for batch in batches)


def test_a_skill_whose_goals_nobody_knows_gets_no_goal():
    cells = wanted()[SKILL]
    declared = {title: values for title, values in cells.declared.items() if "goal" not in title}
    wish = SkillWishes(Wanted(declared=declared, past={})).next(np.random.default_rng(0))
    assert wish.goal is None
    assert (wish.object,) in declared["object"]
