"""How an attempt went: its phases, the conditions of its success, and how it ended."""

from typing import Literal

from blueprint_pipeline.frozen import FrozenModel


class Phase(FrozenModel):
    """A named part of the motion: frames [start, end)."""

    name: Literal["approach", "pre_grasp", "close", "lift", "transport", "place", "release", "retract", "home"]
    start_frame: int
    end_frame: int


class PredicateCheck(FrozenModel):
    """One condition of the success predicate, with how far it was from failing."""

    name: Literal["lifted", "arrived", "upright", "released", "at_rest", "untouched"]
    held: bool
    value: float
    limit: float
    unit: str


class Outcome(FrozenModel):
    """How an attempt ended."""

    success: bool
    failure_stage: Literal["plan_pick", "plan_place", "execute", "predicate"] | None
    """Where it failed; ``None`` on success."""
    failure_code: str | None
    failure_reason: str | None
    predicate: tuple[PredicateCheck, ...]
    """Empty where the motion was never executed."""
