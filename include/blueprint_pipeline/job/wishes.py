"""What each episode of a batch is wished to be, so that the batch fills cells that are empty: target, start and goal.

One episode after the other gets the target, start and goal that are worth most: each of its pairs is worth one half for every episode that
the pair has already, so an empty one counts most, and none is ever worth nothing. That is the greedy way, one test at a time, in which
covering arrays are built. A wish depends on what was asked for, on the cells that are filled and on the wishes before it, and on nothing
that is drawn or planned; so any number of processes plan the same, and a longer batch begins with the episodes of a shorter one.

Source: Cohen, Dalal, Fredman, Patton, "The AETG System: An Approach to Testing Based on Combinatorial Design", IEEE Transactions on
Software Engineering 23 (7), 1997.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.skill.support_surface import BoolArray
from blueprint_pipeline.task.coverage import STEERED, title_of
from blueprint_pipeline.task.coverage_tally import CellTally, Tallies

_TIE = 1e-6
"""Decides between what is worth the same."""
_WISHES = 3


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What one episode shall be."""

    object: str
    start: str
    goal: str | None
    """``None`` where it is not known which goals there are."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The cells of one skill that a batch shall fill."""

    declared: Mapping[str, Sequence[tuple[str, ...]]]
    """By combination, those that the site allows."""
    past: Mapping[str, Tallies]
    """By combination, what other batches have; empty where they do not count."""


class SkillWishes:
    """The wishes of one skill's episodes, one after the other."""

    def __init__(self, wanted: Wanted) -> None:
        self._objects, self._starts, goals = (
            [values[0] for values in wanted.declared.get(axis, ())] for axis in ("object", "start", "goal")
        )
        self._goals: list[str | None] = [*goals] or [None]
        names: dict[str, Sequence[str | None]] = {"object": self._objects, "start": self._starts, "goal": self._goals}
        self._have: dict[tuple[str, str], FloatArray] = {}
        self._open: dict[tuple[str, str], BoolArray] = {}
        for axes in STEERED:
            first, second = (names[axis] for axis in axes)
            self._have[axes], self._open[axes] = _grid(first, second, wanted, axes)
        objects = wanted.past.get("object", {})
        self._objects_have = np.array([objects.get((name,), CellTally()).kept for name in self._objects], dtype=np.float64)

    def next(self, rng: np.random.Generator) -> Wish | None:
        """The next wish; ``None`` where nothing can be wished: every cell is given up."""
        worth = sum(
            (np.expand_dims(0.5 ** self._have[axes], _missing_axis(axes)) for axes in STEERED),
            start=0.5 ** self._objects_have[:, None, None],
        )
        possible = np.ones_like(worth, dtype=np.bool_)
        for axes in STEERED:
            possible &= np.expand_dims(self._open[axes], _missing_axis(axes))
        if not possible.any():
            return None
        tied = worth + _TIE * rng.random(worth.shape)
        chosen = np.unravel_index(int(np.where(possible, tied, -np.inf).argmax()), worth.shape)
        at = dict(zip(("object", "start", "goal"), map(int, chosen), strict=True))
        self._objects_have[at["object"]] += 1
        for first, second in STEERED:
            self._have[first, second][at[first], at[second]] += 1
        return Wish(object=self._objects[at["object"]], start=self._starts[at["start"]], goal=self._goals[at["goal"]])


def _missing_axis(axes: tuple[str, ...]) -> int:
    (missing,) = (number for number, axis in enumerate(("object", "start", "goal")) if axis not in axes)
    return missing


def _grid(first: Sequence[str | None], second: Sequence[str | None], wanted: Wanted, axes: tuple[str, ...]) -> tuple[FloatArray, BoolArray]:
    """Of each pair of values: how many kept episodes it has, and whether it may be wished for."""
    title = title_of(axes)
    declared, past = set(wanted.declared.get(title, ())), wanted.past.get(title, {})
    have, is_open = np.zeros((len(first), len(second))), np.ones((len(first), len(second)), dtype=np.bool_)
    for row, value in enumerate(first):
        for column, other in enumerate(second):
            if other is not None and value is not None:
                cell = past.get((value, other), CellTally())
                have[row, column] = cell.kept
                is_open[row, column] = (value, other) in declared and cell.why_unreachable() is None
    return have, is_open


def make_wishes(wanted: Mapping[str, Wanted], skills: Sequence[str], episodes: int, seed: int) -> list[Wish | None]:
    """The wish of each episode of a batch, in order; skills take turns."""
    makers = {skill: SkillWishes(found) for skill, found in wanted.items()}
    rng = np.random.default_rng(np.random.SeedSequence([seed, _WISHES]))
    return [makers[skills[number % len(skills)]].next(rng) for number in range(episodes)]
