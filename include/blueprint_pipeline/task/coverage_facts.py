"""What batches cover, as people and programs read it: of each combination of axes the cells that are filled, and those that are empty."""

from collections import Counter
from collections.abc import Mapping, Sequence

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.task.coverage import COMBINATIONS, BatchCoverage, title_of
from blueprint_pipeline.task.coverage_tally import CellTally, Tallies, emptiest, filled, tally

EMPTY_SHOWN = 12
"""Empty cells of one combination that a table names; the others are counted."""


class CellFacts(FrozenModel):
    """One cell."""

    values: tuple[str, ...]
    """On the axes of its combination."""
    asked: int
    attempted: int
    kept: int
    failed: dict[str, int]
    """By the stable code of the reason."""
    unmet: int
    """Wishes for which no start or no goal was found."""
    empty_because: str | None
    """``None`` where an episode was kept."""

    @property
    def name(self) -> str:
        """The cell in words, e.g. ``lemon, back left``."""
        return ", ".join(self.values).replace("_", " ")


class CombinationFacts(FrozenModel):
    """All cells of an axis, or of a pair of axes, within one skill."""

    skill: str
    axes: tuple[str, ...]
    declared: int
    """Cells for which there is room and words, and those that were planned."""
    filled: int
    """Cells with a kept episode."""
    asked: int
    attempted: int
    kept: int
    failed: dict[str, int]
    cells: tuple[CellFacts, ...]
    """The filled ones first, then those that were attempted most often."""

    @property
    def title(self) -> str:
        """The axes in words, e.g. ``object x start``."""
        return title_of(self.axes)

    def empty(self) -> list[CellFacts]:
        """The cells without a kept episode."""
        return [cell for cell in self.cells if not cell.kept]

    def describe_empty(self, *, reasons: bool = True) -> str:
        """The empty cells by name, the first :data:`EMPTY_SHOWN` of them, each with why."""
        found = self.empty()
        told = [f"{cell.name} ({cell.empty_because})" if reasons else cell.name for cell in found[:EMPTY_SHOWN]]
        more = [f"and {len(found) - EMPTY_SHOWN} more"] if len(found) > EMPTY_SHOWN else []
        return "; ".join([*told, *more])


def sum_combinations(batches: Sequence[BatchCoverage], versions: Mapping[str, str] | None = None) -> list[CombinationFacts]:
    """Every combination of every skill over batches of one robot.

    Args:
        batches: All of one robot.
        versions: Of the skills, as they are today; failures of others decide nothing.
    """
    skills = sorted({skill for batch in batches for skill in batch.declared})
    known = versions or {}
    return [_sum(skill, axes, tally(batches, skill, axes, known.get(skill))) for skill in skills for axes in COMBINATIONS]


def _sum(skill: str, axes: tuple[str, ...], tallies: Tallies) -> CombinationFacts:
    failed: Counter[str] = sum((cell.failed for cell in tallies.values()), start=Counter())
    full = [(values, cell) for values, cell in tallies.items() if cell.kept]
    return CombinationFacts(
        skill=skill,
        axes=axes,
        declared=len(tallies),
        filled=filled(tallies),
        asked=sum(cell.asked for cell in tallies.values()),
        attempted=sum(cell.attempted for cell in tallies.values()),
        kept=sum(cell.kept for cell in tallies.values()),
        failed=dict(sorted(failed.items())),
        cells=tuple(_facts(values, cell) for values, cell in (*full, *emptiest(tallies))),
    )


def _facts(values: tuple[str, ...], cell: CellTally) -> CellFacts:
    return CellFacts(
        values=values,
        asked=cell.asked,
        attempted=cell.attempted,
        kept=cell.kept,
        failed=dict(sorted(cell.failed.items())),
        unmet=cell.unmet,
        empty_because=None if cell.kept else cell.describe(),
    )
