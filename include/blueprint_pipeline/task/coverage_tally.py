"""Batches of a scene added up: of each cell what was asked for, what is filled, what failed and why, and what is asked for no more."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from blueprint_pipeline.task.coverage import BatchCoverage, title_of

GIVE_UP_AFTER = 6
"""A pair of which no episode was kept is asked for no more after so many failures for the same physical reason, or so many batches' wishes
for which no start or goal was found. Where every second attempt succeeds, six failures in a row happen to 1 of 64 cells."""
NOT_PHYSICAL = ("record.", "render.", "person.")
"""Beginnings of codes that say nothing of what the robot can do there: files, pictures, and what people decided."""


@dataclass(kw_only=True)
class CellTally:
    """One cell over all batches."""

    asked: int = 0
    attempted: int = 0
    kept: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """By the stable code of the reason."""
    counted: Counter[str] = field(default_factory=Counter)
    """The same, of today's version of the skill alone: what an older one could not do, this one may."""
    unmet: int = 0
    """Wishes for which no start or no goal was found, by today's version of the skill."""

    @property
    def undecided(self) -> int:
        """Episodes that were not judged yet, or wait for a person."""
        return self.asked - self.kept - self.failed.total()

    def why_unreachable(self) -> str | None:
        """Why the cell is asked for no more, in words (:data:`GIVE_UP_AFTER`); ``None`` where it is."""
        if self.kept:
            return None
        physical = Counter({code: number for code, number in self.counted.items() if not code.startswith(NOT_PHYSICAL)})
        code, number = next(iter(by_count(physical)), ("", 0))
        if number >= GIVE_UP_AFTER:
            return f"{number} of {self.attempted} failed with {code}"
        return f"no start or goal was found in {self.unmet} tries" if self.unmet >= GIVE_UP_AFTER else None

    def describe(self) -> str:
        """Why a cell is empty, in words."""
        if (unreachable := self.why_unreachable()) is not None:
            return f"unreachable: {unreachable}"
        told = [f"{number} of {self.attempted} failed with {code}" for code, number in by_count(self.failed)]
        told += [f"{self.undecided} not decided yet"] if self.undecided else []
        told += [f"no start or goal was found in {self.unmet} tries"] if self.unmet else []
        return "; ".join(told) or "never asked"


def by_count(codes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Codes with their numbers, the most frequent first."""
    return sorted(codes.items(), key=lambda item: (-item[1], item[0]))


Tallies = dict[tuple[str, ...], CellTally]


def tally(batches: Iterable[BatchCoverage], skill: str, axes: Sequence[str], version: str | None = None) -> Tallies:
    """The cells of a combination of axes over batches of one robot.

    Args:
        batches: All of one robot.
        skill: Whose cells.
        axes: Of the combination.
        version: Of the skill, as it is today; ``None``: failures of any version count.

    Returns:
        By values, in their order: every cell that a batch declares.
    """
    found: Tallies = {}
    title = title_of(axes)
    for batch in batches:
        counts = version is None or batch.versions.get(skill) == version
        for values in batch.declared.get(skill, {}).get(title, ()):
            found.setdefault(values, CellTally())
        for count in batch.cells:
            if count.cell.skill == skill:
                cell = found.setdefault(count.cell.values(axes), CellTally())
                cell.asked, cell.attempted, cell.kept = cell.asked + count.asked, cell.attempted + count.attempted, cell.kept + count.kept
                cell.failed.update(count.failed)
                cell.counted.update(count.failed if counts else {})
        for unmet in batch.unmet if counts else ():
            if unmet.skill == skill and unmet.axes == tuple(axes):
                found.setdefault(unmet.values, CellTally()).unmet += 1
    return dict(sorted(found.items()))


def filled(tallies: Mapping[tuple[str, ...], CellTally]) -> int:
    """How many cells have a kept episode."""
    return sum(cell.kept > 0 for cell in tallies.values())


def emptiest(tallies: Mapping[tuple[str, ...], CellTally]) -> list[tuple[tuple[str, ...], CellTally]]:
    """The cells without a kept episode: those that were asked for most often first, then by name."""
    empty = [(values, cell) for values, cell in tallies.items() if not cell.kept]
    return sorted(empty, key=lambda item: (-item[1].attempted, item[0]))
