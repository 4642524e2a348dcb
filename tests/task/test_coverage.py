"""What batches cover: counts add up whatever happened, and what is asked for no more is told with the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.skill.instruction import PUSH, PUT, SLIDE
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.coverage import (
    COMBINATIONS,
    KEPT,
    STEERED,
    Unmet,
    light_of,
    lights_within,
    sentence_form,
    title_of,
)
from blueprint_pipeline.task.coverage_facts import EMPTY_SHOWN, sum_combinations
from blueprint_pipeline.task.coverage_tally import GIVE_UP_AFTER, CellTally, filled, tally
from blueprint_pipeline.task.variation import PLAIN, VARIATIONS, Variation
from tests.task.coverage_cases import SKILL, batch_of, batch_with, cell, episodes

PAIR = ("object", "start")


@given(drawn=episodes)
def test_counts_are_those_of_the_episodes(drawn):
    """Of every axis and pair: nothing is dropped, nothing counted twice, and every cell is declared."""
    batch = batch_of(drawn)
    assert sum(count.asked for count in batch.cells) == len(drawn)
    for skill in batch.declared:
        mine = [fate for found, fate in drawn if found.skill == skill]
        for axes in COMBINATIONS:
            found = tally([batch], skill, axes)
            assert set(found) == set(batch.declared[skill][title_of(axes)])
            assert sum(count.asked for count in found.values()) == len(mine)
            assert sum(count.kept for count in found.values()) == mine.count(KEPT)
            assert sum(count.failed.total() for count in found.values()) == sum(fate not in {KEPT, None} for fate in mine)
            assert sum(count.undecided for count in found.values()) == mine.count(None)
            assert sum(count.attempted for count in found.values()) == len(mine) - mine.count(None)


@given(first=episodes, second=episodes)
def test_batches_add_up(first, second):
    """Two batches have what one of all their episodes has, in any order."""
    apart, together = [batch_of(first), batch_of(second)], batch_of([*first, *second])
    for skill in together.declared:
        for axes in COMBINATIONS:
            assert tally(apart, skill, axes) == tally([together], skill, axes) == tally(apart[::-1], skill, axes)


def test_a_cell_for_which_there_is_room_counts_though_nobody_asked():
    found = tally([batch_of([(cell("can", "left"), KEPT)], {SKILL: {"object x start": [("bowl", "left")]}})], SKILL, PAIR)
    assert {values: count.kept for values, count in found.items()} == {("bowl", "left"): 0, ("can", "left"): 1}
    assert filled(found) == 1
    assert found["bowl", "left"].describe() == "never asked"


@pytest.mark.parametrize(
    ("kept", "failed", "expected"),
    [
        (0, {"plan_pick.no_path": GIVE_UP_AFTER}, "6 of 6 failed with plan_pick.no_path"),
        (0, {"plan_pick.no_path": GIVE_UP_AFTER, "gate.detour": 2}, "6 of 8 failed with plan_pick.no_path"),
        (0, {"plan_pick.no_path": GIVE_UP_AFTER - 1, "gate.detour": 5}, None),
        (1, {"plan_pick.no_path": 3 * GIVE_UP_AFTER}, None),
        (0, {"render.sharpness": GIVE_UP_AFTER}, None),
        (0, {"person.rejected": GIVE_UP_AFTER}, None),
        (0, {"record.schema": GIVE_UP_AFTER}, None),
    ],
)
def test_a_pair_is_given_up_for_one_physical_reason_met_often(kept, failed, expected):
    """Not where one was kept, nor for many reasons met seldom, nor for what says nothing of the robot."""
    found = tally([batch_with({("can", "left"): (kept, failed)})], SKILL, PAIR, "1")["can", "left"]
    assert found.why_unreachable() == expected
    if expected:
        assert found.describe() == f"unreachable: {expected}"


def test_failures_add_up_over_batches_and_an_older_skill_decides_nothing():
    batch = batch_with({("can", "left"): (0, {"plan_pick.no_path": 3})})
    assert tally([batch, batch], SKILL, PAIR, "1")["can", "left"].why_unreachable() == "6 of 6 failed with plan_pick.no_path"
    improved = tally([batch, batch], SKILL, PAIR, "2")["can", "left"]
    assert improved.why_unreachable() is None
    assert improved.failed == {"plan_pick.no_path": 6}


def test_wishes_that_nothing_fits_are_given_up_too():
    unmet = Unmet(skill=SKILL, axes=PAIR, values=("can", "left"))
    batch = batch_with({("bowl", "left"): (1, {})}, unmet=[unmet] * GIVE_UP_AFTER)
    assert tally([batch], SKILL, PAIR, "1")["can", "left"].why_unreachable() == "no start or goal was found in 6 tries"
    assert tally([batch], SKILL, ("object", "goal"), "1").get(("can", "front"), CellTally()).unmet == 0


@given(data=st.data())
def test_lights_that_are_drawn_are_declared(data):
    """Whatever a row allows, and nearer to plain, where a draw would hide the work."""
    ranges = data.draw(st.sampled_from([row for row in VARIATIONS.values() if not row.is_plain]))
    low, high = ranges.light_level
    share = data.draw(st.sampled_from([1.0, 0.5, 0.25]))
    level = data.draw(st.floats(1 + share * (low - 1), high, exclude_min=True))
    warmth = share * data.draw(st.floats(-ranges.warmth, ranges.warmth))
    tint = (1.0, 1 - warmth / 2, 1 - warmth) if warmth > 0 else (1 + warmth, 1 + warmth / 2, 1.0)
    assert light_of(Variation(light_level=level, light_tint=tint)) in lights_within(ranges)


def test_the_light_of_the_reconstruction_is_one_kind():
    assert lights_within(VARIATIONS["none"]) == (light_of(PLAIN),) == ("bright white",)


def test_every_form_of_a_sentence_has_words():
    """Of all templates: the words before what is moved, and nothing of it."""
    texts = [template.text for template in (*PUT, *PUSH, *SLIDE)]
    texts += [text for name in ("open", "close") for goal in load_skill(name).goals for text in goal.templates]
    forms = {sentence_form(text.format(object="can", part="can", place="there")) for text in texts}
    assert {"put", "place", "set", "pick up", "move", "push", "slide", "open", "pull", "close", "shut"} <= forms
    assert not any("can" in form or "{" in form for form in forms)


def test_facts_name_the_empty_cells_and_count_the_rest():
    """In words, with why; no more than a table can take."""
    many = {(f"can_{number:02}", "left"): (0, {}) for number in range(EMPTY_SHOWN + 3)}
    facts = {found.title: found for found in sum_combinations([batch_with({**many, ("bowl", "left"): (2, {"gate.detour": 1})})])}
    pair = facts[title_of(PAIR)]
    assert (pair.declared, pair.filled, pair.asked, pair.kept, pair.failed) == (EMPTY_SHOWN + 4, 1, 3, 2, {"gate.detour": 1})
    assert pair.describe_empty().startswith("can 00, left (never asked); can 01, left")
    assert pair.describe_empty(reasons=False).endswith("and 3 more")
    assert set(facts) == {title_of(axes) for axes in COMBINATIONS}
    assert set(STEERED) <= set(COMBINATIONS)
