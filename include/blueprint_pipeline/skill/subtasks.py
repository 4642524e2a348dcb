"""The parts of a demonstration that belong to one object each: what imitation from few demonstrations cuts them into.

Within a subtask the hand moves in the frame of one object, its reference: moved with that object, the same motion does the same again.
The ways of the arm that lead from one such motion to the next belong to nothing.

Source: Mandlekar et al., "MimicGen: A Data Generation System for Scalable Robot Learning using Human Demonstrations" (2023),
arXiv:2310.17596; Jiang et al., "DexMimicGen" (2024), arXiv:2410.24185, for two arms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from blueprint_pipeline.task.outcome import Phase, base_phase

Reference = Literal["target", "goal"]
"""``target``: the object that the task moves. ``goal``: what it is brought to: an object that receives it, or a place."""


@dataclass(frozen=True, kw_only=True)
class Subtask:
    """A part of a task whose motion belongs to one object."""

    name: str
    reference: Reference | None
    """``None``: its motion belongs to no object but to where the robot is, as that to where two hands meet."""
    phases: tuple[str, ...]
    """Names of its phases, in order."""
    ways: frozenset[str] = frozenset()
    """Those of its phases in which the arm only travels: they lead to its motion, or away from it."""
    hand: int = 0
    """Whose motion it is: 0 of the arm that acts, or begins; 1 of the robot's next one. Each cuts the whole task for itself."""


WHOLE = Subtask(name="task", reference="target", phases=())
"""A task that is not cut: all of it belongs to the target."""


@dataclass(frozen=True)
class Part:
    """A subtask of one episode: frames [start, end)."""

    subtask: Subtask
    start_frame: int
    end_frame: int


def of_hand(subtasks: Sequence[Subtask], hand: int) -> tuple[Subtask, ...]:
    """Those of one hand, in order."""
    return tuple(subtask for subtask in subtasks if subtask.hand == hand)


def cut(subtasks: Sequence[Subtask], phases: Sequence[Phase]) -> tuple[Part, ...]:
    """The subtasks of an episode one after the other, without a gap, from its first frame to its last.

    A subtask ends where the last of its phases does, if that is done more than once, as where a try failed; a phase that no subtask names
    belongs to the one that it follows. A subtask of which nothing was done is left out.

    Args:
        subtasks: Of one hand, in order, one or more.
        phases: Of the episode, in order, without gaps.
    """
    number_of = {name: number for number, subtask in enumerate(subtasks) for name in subtask.phases}
    ends = [0] * len(subtasks)
    current = 0
    for phase in phases:
        current = number_of.get(base_phase(phase.name), current)
        ends[current] = phase.end_frame
    parts: list[Part] = []
    start = 0
    for number, subtask in enumerate(subtasks):
        end = max(ends[: number + 1])
        if ends[number] and end > start:
            parts.append(Part(subtask, start, end))
            start = end
    return tuple(parts)
