"""For people: why episodes were not kept, grouped, with what was measured against its limit."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.quality.report import EpisodeVerdict, GateResult


class Reason(BaseModel):
    """One reason why some episodes were not kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    cause: str
    """What tells groups of the same gate apart, e.g. ``plan_pick: motion.no_grasp``; empty where nothing does."""
    count: int
    episode_ids: tuple[str, ...]
    limit: float
    direction: str
    unit: str
    values: tuple[float, ...]
    """What was measured, one an episode that has a value."""
    example: str
    """The message of the first episode."""

    def sentence(self) -> str:
        """One line, e.g. ``3x unexplained_contacts: 4 to 12 frames, at most 0 allowed (bowl|robot/hand in 12 frames from 30)``."""
        cause = f" ({self.cause})" if self.cause else ""
        example = f" ({self.example})" if self.example else ""
        return f"{self.count}x {self.gate}{cause}: {self._measured()}{example}"

    def _measured(self) -> str:
        if not self.values:
            return "not measured"
        low, high = min(self.values), max(self.values)
        span = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
        return f"{span} {self.unit}, {self.direction.replace('_', ' ')} {self.limit:.4g} allowed"


def primary_reason(episode: EpisodeVerdict) -> GateResult | None:
    """The gate that decided: the first that failed, or the first near its limit; ``None`` for a kept episode."""
    failed = [gate for gate in episode.gates if not gate.passed and not gate.borderline]
    near = [gate for gate in episode.gates if gate.borderline]
    if episode.verdict == "kept":
        return None
    return next(iter(failed if episode.verdict == "rejected" and failed else near or failed), None)


def explain(episodes: Iterable[EpisodeVerdict], *, verdict: str = "rejected") -> list[Reason]:
    """Group the episodes of a verdict by the gate that decided, most frequent first."""
    groups: defaultdict[tuple[str, str], list[tuple[str, GateResult]]] = defaultdict(list)
    for episode in episodes:
        reason = primary_reason(episode) if episode.verdict == verdict else None
        if reason is not None:
            groups[reason.gate, _cause(reason)].append((episode.episode_id, reason))
    reasons = [_build_reason(gate, cause, members) for (gate, cause), members in groups.items()]
    return sorted(reasons, key=lambda reason: (-reason.count, reason.gate, reason.cause))


def top_reasons(episodes: Iterable[EpisodeVerdict], *, most: int = 3) -> list[str]:
    """The most frequent reasons for rejection as sentences."""
    return [reason.sentence() for reason in explain(episodes)[:most]]


def verdict_counts(episodes: Iterable[EpisodeVerdict]) -> dict[str, int]:
    """How many episodes were kept, rejected and left to a person."""
    counts = Counter(episode.verdict for episode in episodes)
    return {"kept": counts["kept"], "rejected": counts["rejected"], "borderline": counts["borderline"]}


def _cause(gate: GateResult) -> str:
    """The stable part of an outcome's message (``stage: code: free text``); other gates are told apart by their name alone."""
    if gate.gate != "outcome":
        return ""
    return ": ".join(gate.message.split(": ")[:2])


def _build_reason(gate: str, cause: str, members: list[tuple[str, GateResult]]) -> Reason:
    first = members[0][1]
    message = first.message.removeprefix(f"{cause}: ") if cause else first.message
    return Reason(
        gate=gate,
        cause=cause,
        count=len(members),
        episode_ids=tuple(episode_id for episode_id, _ in members),
        limit=first.limit,
        direction=first.direction,
        unit=first.unit,
        values=tuple(result.value for _, result in members if result.value is not None),
        example=message,
    )
