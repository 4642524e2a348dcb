"""What goes wrong on purpose in some episodes, so that they show how a robot notices it and makes it good.

A mishap is drawn with the plan of a job, and recorded with the episode. Each is sure to fail and touches nothing but its target.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.frozen import FrozenModel

MishapKind = Literal["beside", "high", "loose", "short"]
"""``beside``: the fingers close beside the object; ``high``: above it; ``loose``: they stop before they touch it, and the hand rises
without it; ``short``: a push ends before the object is where it should be."""


class NoMishaps(InputError):
    """Something shall go wrong on purpose in skills in which nothing can."""

    code = "task.no_mishaps"
    template = (
        "Nothing can go wrong on purpose in {skills}, so no share of recoveries can be provoked there. Set recoveries to 0, or add {able}."
    )

    skills: Sequence[str]
    able: Sequence[str]
    """Skills in which something can."""


class Mishap(FrozenModel):
    """What shall go wrong in the first try of an episode."""

    kinds: tuple[MishapKind, ...] = Field(min_length=1)
    """In the order in which they are tried: the first that the situation allows is done."""
    way_rad: float
    """Direction about the hand's approach, from its own x axis, in which it goes ``beside``."""
    turn_rad: float
    """By which the hand is turned about its approach, beside or above the object."""
    share: float = Field(ge=0, le=1)
    """Of the range of each kind: 0 just misses, 1 misses by far."""


class Provoked(FrozenModel):
    """A mishap as it was done."""

    kind: MishapKind
    from_frame: int
    """From here on the motion is not the one that was meant."""
    offset_hand_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How far the hand is off its grasp, in its own frame (fingers close along y, approach along z)."""
    turn_rad: float = 0.0
    gap_m: float = 0.0
    """Of ``loose``: how much wider than the object the fingers stay."""
    way_share: float = 1.0
    """Of ``short``: how much of its way the push goes."""
