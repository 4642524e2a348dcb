"""What a batch of episodes covers: the axes along which episodes differ, and the cells of each axis and of declared pairs of axes.

Every planned episode belongs to one :class:`Cell`. The full cross product of all axes is not counted: six objects, nine starts, nine goals,
seven things to stand beside, nine kinds of light and five forms of sentence are 153 090 cells, which no batch fills, and of which most say
nothing new. Counted is what combinatorial testing counts, *t-way coverage*: the values of each axis, and the pairs of values of those pairs
of axes that are declared in :data:`COMBINATIONS`. All of it is counted for each robot and each skill by itself, as data of one arm or of
one skill teach another one little; so a pair is in truth a robot, a skill and two values.

Pairs, and not more, because that is what policies were found to need: trained on data in which each factor was varied, or each pair, they
compose what they have seen into combinations that they have not. Objects pair with starts (what is grasped how, where), objects with goals
(what is set down where), starts with goals (which ways the arm goes) and objects with light (which picture is the can).

Sources: Kuhn, Kacker, Lei, "Practical Combinatorial Testing", NIST SP 800-142 (2010), and "Combinatorial Coverage Measurement", NISTIR 7878
(2012): coverage of t-way combinations by tests that were not made for it. Gao et al., "Efficient Data Collection for Robotic Manipulation
via Compositional Generalization", arXiv 2403.05110: policies compose factors of which the data have no combination.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.task.variation import Variation, VariationRanges

Cover = Literal["none", "even", "missing"]
COVERS: tuple[Cover, ...] = ("none", "even", "missing")
"""How starts, targets and goals of a batch are chosen.

``none``: objects take turns; starts and goals are drawn, each by itself. ``even``: as evenly over the cells as one batch can, whatever
other batches have. ``missing``: first what no kept episode of the scene's other batches has.
"""
NOTHING_BESIDE = "nothing"


class Cell(FrozenModel):
    """Where an episode lies on every axis but the robot, which is that of its job."""

    skill: str
    object: str
    """What is moved: an object, or a part of one."""
    start: str
    """Where it starts: one of nine parts of its support in the directions of the scene's camera (``back left``, ``middle``), or how far a
    part is open, by thirds of the range in which its skill begins."""
    goal: str
    """Where it shall end, coarsely: a part of the support, a side of another object, what receives it, or how far open."""
    beside: str = NOTHING_BESIDE
    """The object beside which it shall end, where the sentence names one."""
    light: str
    """Kind of light of the episode's variation (:func:`light_of`)."""
    sentence: str
    """Form of the instruction: the words before what is moved (``pick up``, ``move``)."""

    def values(self, axes: Sequence[str]) -> tuple[str, ...]:
        """The values on some axes."""
        return tuple(getattr(self, axis) for axis in axes)


AXES = ("object", "start", "goal", "beside", "light", "sentence")
COMBINATIONS: tuple[tuple[str, ...], ...] = (
    *((axis,) for axis in AXES),
    ("object", "start"),
    ("object", "goal"),
    ("start", "goal"),
    ("object", "light"),
)
"""What is counted, within each robot and skill."""
STEERED = (("object", "start"), ("object", "goal"), ("start", "goal"))
"""Pairs whose cells a batch can be asked to fill. Light and sentences are drawn evenly for every episode, and left to that."""


def title_of(axes: Sequence[str]) -> str:
    """A combination in words, also its key in files.

    >>> title_of(("object", "start"))
    'object x start'
    """
    return " x ".join(axes)


Declared = dict[str, dict[str, tuple[tuple[str, ...], ...]]]
"""Cells by skill and combination (:func:`title_of`)."""


class Unmet(FrozenModel):
    """A pair that was wished for an episode, and for which no start or no goal was found; the episode was planned otherwise."""

    skill: str
    axes: tuple[str, ...]
    values: tuple[str, ...]


class CellCount(FrozenModel):
    """What became of the episodes of one cell."""

    cell: Cell
    asked: int = Field(ge=0)
    """Planned."""
    attempted: int = Field(ge=0)
    """Simulated and judged."""
    kept: int = Field(ge=0)
    """By the last gates that judged them."""
    failed: dict[str, int] = {}
    """By the stable code of the reason. What is neither kept nor failed waits for a person, or was not judged yet."""


class BatchCoverage(FrozenModel):
    """What became of a whole batch: every episode of its plan is counted in one of the cells."""

    schema_version: Literal["1.0"] = "1.0"
    cover: Cover
    seed: int
    versions: dict[str, str]
    declared: Declared
    cells: tuple[CellCount, ...]
    unmet: tuple[Unmet, ...] = ()


class PlannedCoverage(FrozenModel):
    """In a plan: the cells that its scene allows, and that of each episode."""

    batch: str
    """Hash of what was asked for, apart from how many episodes: the same request again is the same batch (:func:`batch_of`)."""
    cover: Cover = "none"
    versions: dict[str, str]
    """Of each skill."""
    declared: Declared
    """The cells for which there is room and words, and all that were planned."""
    cells: tuple[Cell, ...]
    """Of each episode, in the plan's order."""
    unmet: tuple[Unmet, ...] = ()

    def sum_up(self, seed: int, fates: Sequence[str | None], attempted: Sequence[bool]) -> BatchCoverage:
        """What became of the episodes, cell by cell.

        Args:
            seed: Of the plan.
            fates: Of each episode, as in :func:`count_cells`.
            attempted: Which of them were judged.
        """
        return BatchCoverage(
            cover=self.cover,
            seed=seed,
            versions=self.versions,
            declared=self.declared,
            cells=count_cells(self.cells, fates, attempted),
            unmet=self.unmet,
        )


BRIGHT, DIM = 0.9, 0.7
"""Shares of the scene's own light from which light is ``bright``, and from which ``dim``; below it is ``dark``."""
COLORED = 0.03
"""Share by which blue, or red, must be less than the other for light to be ``warm``, or ``cool``; else it is ``white``."""


def light_of(variation: Variation) -> str:
    """Kind of an episode's light: how bright and how warm, beside the light of the reconstruction.

    >>> light_of(Variation(light_level=0.75, light_tint=(1.0, 0.98, 0.95)))
    'dim warm'
    """
    level = "bright" if variation.light_level >= BRIGHT else "dim" if variation.light_level >= DIM else "dark"
    red, _, blue = variation.light_tint
    return f"{level} {'warm' if blue < red * (1 - COLORED) else 'cool' if red < blue * (1 - COLORED) else 'white'}"


def lights_within(ranges: VariationRanges) -> tuple[str, ...]:
    """The kinds of light that ranges allow, brightest first; those that they only touch are not among them."""
    low, high = ranges.light_level
    bands = {"bright": (BRIGHT, 1.0), "dim": (DIM, BRIGHT), "dark": (0.0, DIM)}
    levels = [name for name, (least, most) in bands.items() if max(low, least) < min(high, most)] or ["bright"]
    warmths = ("warm", "white", "cool") if ranges.warmth > COLORED else ("white",)
    return tuple(f"{level} {warmth}" for level in levels for warmth in warmths)


def sentence_form(sentence: str) -> str:
    """The words before what is moved.

    >>> sentence_form("pick up the can and put it to the left of the bowl")
    'pick up'
    """
    return sentence.partition(" the ")[0]


def cell_of(task: Task, start: str, variation: Variation) -> Cell:
    """The cell of an episode.

    Args:
        task: Its task.
        start: Where the target starts, in words.
        variation: How its scene differs.
    """
    return Cell(
        skill=task.task_type,
        object=task.target_object,
        start=start,
        goal=task.goal_name,
        beside=task.goal_beside or NOTHING_BESIDE,
        light=light_of(variation),
        sentence=sentence_form(task.instruction),
    )


def count_cells(cells: Sequence[Cell], fates: Sequence[str | None], attempted: Sequence[bool]) -> tuple[CellCount, ...]:
    """Sum up what became of episodes; the sums are those of the episodes, always.

    Args:
        cells: Of each episode.
        fates: Of each: ``kept``, the code of the reason why it failed, or ``None`` where that is not known yet.
        attempted: Which of them were judged.
    """
    found: dict[Cell, list[tuple[str | None, bool]]] = {}
    for cell, fate, tried in zip(cells, fates, attempted, strict=True):
        found.setdefault(cell, []).append((fate, tried))
    return tuple(_count(cell, found[cell]) for cell in sorted(found, key=lambda cell: cell.values(tuple(Cell.model_fields))))


KEPT = "kept"


def _count(cell: Cell, episodes: Sequence[tuple[str | None, bool]]) -> CellCount:
    fates = [fate for fate, _ in episodes]
    codes = sorted({fate for fate in fates if fate is not None} - {KEPT})
    return CellCount(
        cell=cell,
        asked=len(episodes),
        attempted=sum(tried for _, tried in episodes),
        kept=fates.count(KEPT),
        failed={code: fates.count(code) for code in codes},
    )


def declare(cells: Sequence[Cell], allowed: Mapping[str, Mapping[str, Sequence[tuple[str, ...]]]]) -> Declared:
    """By skill and combination, all cells: those that are allowed, and those of the episodes."""
    return {
        skill: {
            title_of(axes): tuple(
                sorted({*map(tuple, found.get(title_of(axes), ())), *(cell.values(axes) for cell in cells if cell.skill == skill)})
            )
            for axes in COMBINATIONS
        }
        for skill, found in allowed.items()
    }
