"""Subtasks cover an episode without a gap, whatever was repeated in it; every skill's name all of its phases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.skill.placing import ALL_PHASES, SUBTASKS
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.skill.subtasks import WHOLE, cut, of_hand
from blueprint_pipeline.task.outcome import Phase
from blueprint_pipeline.task.skills import SKILLS


def runs(names: list[str], lengths: list[int]) -> list[Phase]:
    """Phases of these names and lengths, one after the other."""
    phases, start = [], 0
    for name, length in zip(names, lengths, strict=True):
        phases.append(Phase(name=name, start_frame=start, end_frame=start + length))
        start += length
    return phases


@pytest.mark.parametrize("name", SKILLS)
def test_subtasks_name_every_phase_of_their_skill_once(name: str) -> None:
    """Hand by hand, in order, and their ways are phases of theirs; or the task is not cut."""
    skill = load_skill(name)
    if skill.subtasks == (WHOLE,):
        return
    for hand in {subtask.hand for subtask in skill.subtasks}:
        assert tuple(phase for subtask in of_hand(skill.subtasks, hand) for phase in subtask.phases) == skill.phases
    assert all(subtask.ways < set(subtask.phases) for subtask in skill.subtasks)
    assert len({subtask.name for subtask in skill.subtasks}) == len(skill.subtasks)


@given(st.lists(st.tuples(st.sampled_from([*ALL_PHASES, "look"]), st.integers(1, 40)), min_size=1, max_size=20))
def test_parts_cover_the_episode(drawn: list[tuple[str, int]]) -> None:
    """Each begins where the one before ends, in the order of the subtasks; the last ends with the episode, or work of an earlier one."""
    phases = runs([name for name, _ in drawn], [length for _, length in drawn])
    parts = cut(SUBTASKS, phases)
    assert [part.start_frame for part in parts] == [0, *(part.end_frame for part in parts[:-1])]
    assert parts[-1].end_frame <= phases[-1].end_frame
    assert all(part.end_frame > part.start_frame for part in parts)
    order = [SUBTASKS.index(part.subtask) for part in parts]
    assert order == sorted(set(order))


def test_what_is_done_again_belongs_to_its_subtask() -> None:
    """A second grasp after a first that slipped: the grasp ends with the second one, the place with the episode."""
    names = ["approach", "close", "let_go", "approach_again", "close_again", "lift_again", "transport", "release", "home"]
    assert [(part.subtask.name, part.start_frame, part.end_frame) for part in cut(SUBTASKS, runs(names, [10] * 9))] == [
        ("grasp", 0, 60),
        ("place", 60, 90),
    ]


def test_a_task_that_is_not_cut_is_one_part() -> None:
    """Whatever its phases are called."""
    parts = cut((WHOLE,), runs(["approach", "push", "approach", "push", "home"], [5] * 5))
    assert [(part.subtask, part.start_frame, part.end_frame) for part in parts] == [(WHOLE, 0, 25)]
