"""Draws in which episodes something goes wrong on purpose, and what."""

from collections.abc import Sequence

import numpy as np

from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.mishap import Mishap, MishapKind, NoMishaps
from blueprint_pipeline.task.skills import SKILLS

MISHAPS_VERSION = "mishaps-1"
"""Of the way in which they are drawn and done; part of the identity of a job that has any."""
LARGEST_TURN_RAD = 0.35
"""Of a hand that misses."""
_DIGITS = 4


def require_mishaps(skills: Sequence[str]) -> None:
    """Check that recoveries can be provoked in some skill of a job; in the others nothing goes wrong.

    Raises:
        NoMishaps: In none of them.
    """
    if not any(load_skill(name).mishaps for name in skills):
        raise NoMishaps(skills, [name for name in SKILLS if load_skill(name).mishaps])


def draw_mishap(kinds: Sequence[MishapKind], share: float, rng: np.random.Generator) -> Mishap | None:
    """What goes wrong in one episode.

    Args:
        kinds: What can go wrong in its skill.
        share: Of the episodes in which something shall.
        rng: Of this episode and of nothing else, so that its task is the same with and without mishaps.

    Returns:
        ``None`` where nothing shall or can.
    """
    if rng.random() >= share or not kinds:
        return None
    return Mishap(
        kinds=tuple(kinds[index] for index in rng.permutation(len(kinds))),
        way_rad=round(float(rng.uniform(-np.pi, np.pi)), _DIGITS),
        turn_rad=round(float(rng.uniform(-LARGEST_TURN_RAD, LARGEST_TURN_RAD)), _DIGITS),
        share=round(float(rng.random()), _DIGITS),
    )
