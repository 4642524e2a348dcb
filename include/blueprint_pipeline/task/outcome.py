"""How an attempt went: its phases, the conditions of its success, and how it ended.

Phases, conditions and stages of failure have the names that the skill gives them.
"""

from collections.abc import Sequence
from typing import Literal

from blueprint_pipeline.frozen import FrozenModel

_LENGTH_M = 0.05
"""A length of the size of what is handled [m]: how far from a limit of 0 is far."""


class Phase(FrozenModel):
    """A named part of the motion: frames [start, end)."""

    name: str
    start_frame: int
    end_frame: int


AGAIN = "_again"
"""At the end of the name of a phase that belongs to another try: ``close_again``."""


def base_phase(name: str) -> str:
    """A phase's name in the first try.

    >>> base_phase("close_again"), base_phase("close")
    ('close', 'close')
    """
    return name.removesuffix(AGAIN)


class Recovery(FrozenModel):
    """A try that was seen to fail, and what was done about it. Frames count from the episode's first."""

    failed_from_frame: int
    """Where the failed try begins; it ends where it was seen to have failed."""
    seen_frame: int
    """Where it was seen; from here on the robot lets go and backs off."""
    again_frame: int | None
    """Where the next try begins; ``None``: there was none."""
    seen: str
    """What was seen, in words."""


class PredicateCheck(FrozenModel):
    """One condition of the success predicate, with how far it was from failing."""

    name: str
    held: bool
    value: float
    limit: float
    direction: Literal["at_most", "at_least"]
    """On which side of the limit the value must lie; the limit itself is allowed."""
    unit: str

    @property
    def margin(self) -> float:
        """How far the value lies on the right side of the limit, in the condition's unit; below 0 where it does not hold."""
        return self.limit - self.value if self.direction == "at_most" else self.value - self.limit


def describe_missed(checks: Sequence[PredicateCheck]) -> str:
    """The conditions that do not hold, with value and limit."""
    missed = (check for check in checks if not check.held)
    return "; ".join(
        f"{check.name}: {check.value:.4g} {check.unit}, {check.direction.replace('_', ' ')} {check.limit:.4g}" for check in missed
    )


def share_of_limit(value: float, limit: float, direction: Literal["at_most", "at_least"]) -> float | None:
    """How much of a limit is used up: value over limit, or limit over value where more is better; 1 at the limit.

    Returns:
        ``None`` where no ratio has a meaning.
    """
    if limit <= 0:
        return None
    if direction == "at_most":
        return max(value, 0.0) / limit
    return limit / value if value > 0 else None


def _tightness(check: PredicateCheck) -> float:
    """1 at the limit, less the further away: the share of the limit that is used up.

    A length with the limit 0 is as tight as one with the limit :data:`_LENGTH_M` and the same margin. What has no ratio and is
    no length counts as loose.
    """
    if check.limit == 0 and check.unit == "m":
        return _LENGTH_M / (_LENGTH_M + max(check.margin, 0.0))
    return share_of_limit(check.value, check.limit, check.direction) or 0.0


def describe_tightest(checks: Sequence[PredicateCheck]) -> str:
    """The condition that used up most of its limit (:func:`_tightness`). Empty: no checks."""
    if not checks:
        return ""
    check = max(checks, key=_tightness)
    return f"{check.name} {check.value:.3g} {check.unit}, {check.direction.replace('_', ' ')} {check.limit:.3g}"


class Outcome(FrozenModel):
    """How an attempt ended."""

    success: bool
    failure_stage: str | None
    """Where it failed: a step of the skill's plan (``plan_pick``), ``execute`` or ``predicate``; ``None`` on success."""
    failure_code: str | None
    failure_reason: str | None
    predicate: tuple[PredicateCheck, ...]
    """Empty where the motion was never executed to its end."""
