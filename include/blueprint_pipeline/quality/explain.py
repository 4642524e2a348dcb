"""For people: why episodes were not kept, grouped, with what was measured against its limit."""

from collections import defaultdict
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult, Verdict


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


class ReasonTally:
    """Groups the episodes that are not kept by the gate that decided, one after the other: of each it holds that gate alone."""

    def __init__(self) -> None:
        self._groups: defaultdict[Verdict, defaultdict[tuple[str, str], list[tuple[str, GateResult]]]]
        self._groups = defaultdict(lambda: defaultdict(list))

    def add(self, episode: EpisodeVerdict) -> None:
        """Count an episode."""
        reason = primary_reason(episode)
        if reason is not None:
            self._groups[episode.verdict][reason.gate, cause_of(reason)].append((episode.episode_id, reason))

    def reasons(self, verdict: Verdict = "rejected") -> list[Reason]:
        """Why the episodes of a verdict were not kept, most frequent first."""
        found = [_build_reason(gate, cause, members) for (gate, cause), members in self._groups[verdict].items()]
        return sorted(found, key=lambda reason: (-reason.count, reason.gate, reason.cause))

    def top(self, *, most: int = 3) -> list[str]:
        """The most frequent reasons for rejection as sentences."""
        return [reason.sentence() for reason in self.reasons()[:most]]


def tally_reasons(episodes: Iterable[EpisodeVerdict]) -> ReasonTally:
    """Group episodes by what decided."""
    tally = ReasonTally()
    for episode in episodes:
        tally.add(episode)
    return tally


def cause_of(gate: GateResult) -> str:
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
