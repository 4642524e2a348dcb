"""``geniesim/quality_gate_report.json``: one result a gate over all episodes, for who knows the predecessor's format.

``timestamp`` is ``null`` throughout: the file is the same bytes when made again; when it was made stands in the stage's commit record.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.quality.report import GateReport
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult

Checkpoint = Literal["episodes_gated", "renders_gated"]


class GateSummary(FrozenModel):
    """Counts over gates."""

    total_gates: int
    passed: int
    failed: int
    blocking_failures: int
    can_proceed: bool


class CheckpointResult(FrozenModel):
    """One gate over all episodes that it was asked for, or over those that are kept, together."""

    gate_id: str
    checkpoint: Checkpoint
    passed: bool
    """Whether every episode passed; one that did not is not delivered, and stops nothing else."""
    severity: Literal["info", "warning", "error"]
    """``error``: a gate on the kept episodes together failed, and none of them is delivered."""
    message: str
    details: dict[str, object]
    recommendations: tuple[str, ...]
    requires_human_approval: bool
    timestamp: None = None


class QualityGateReport(FrozenModel):
    """The file."""

    scene_id: str
    timestamp: None = None
    summary: GateSummary
    results: tuple[CheckpointResult, ...]


def build_quality_gate_report(
    simulated: Iterable[EpisodeVerdict], rendered: Iterable[EpisodeVerdict], final: GateReport
) -> QualityGateReport:
    """Sum the verdicts up by gate. The run can proceed only where an episode is kept, and all gates on those together passed.

    Args:
        simulated: Verdicts after simulation.
        rendered: Verdicts after rendering.
        final: The report on what was rendered.
    """
    kept = final.count("kept")
    results = [*_summarise("episodes_gated", simulated), *_summarise("renders_gated", rendered)]
    results += [_set_result(gate, kept=kept) for gate in final.set_gates]
    failed = sum(not result.passed for result in results)
    blocking = len(final.failed_set_gates()) + (0 if kept else 1)
    summary = GateSummary(
        total_gates=len(results),
        passed=len(results) - failed,
        failed=failed,
        blocking_failures=blocking,
        can_proceed=not blocking,
    )
    return QualityGateReport(scene_id=final.scene_id, summary=summary, results=tuple(results))


@dataclass
class _GateTally:
    """One gate over the episodes that were seen so far."""

    first: GateResult
    episodes: int = 0
    not_measured: int = 0
    borderline: bool = False
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Id and message of each episode that did not pass."""

    def add(self, episode_id: str, gate: GateResult) -> None:
        self.episodes += 1
        self.not_measured += gate.value is None
        self.borderline = self.borderline or gate.borderline
        if not gate.passed:
            self.failed.append((episode_id, gate.message))


def _summarise(checkpoint: Checkpoint, episodes: Iterable[EpisodeVerdict]) -> list[CheckpointResult]:
    tallies: dict[str, _GateTally] = {}
    for episode in episodes:
        for gate in episode.gates:
            tallies.setdefault(gate.gate, _GateTally(gate)).add(episode.episode_id, gate)
    return [_checkpoint_result(checkpoint, tally) for tally in tallies.values()]


def _checkpoint_result(checkpoint: Checkpoint, tally: _GateTally) -> CheckpointResult:
    first, failed = tally.first, tally.failed
    rule = f"{first.direction.replace('_', ' ')} {first.limit:g} {first.unit}"
    return CheckpointResult(
        gate_id=first.gate,
        checkpoint=checkpoint,
        passed=not failed,
        severity="warning" if failed else "info",
        message=f"{tally.episodes - len(failed)} of {tally.episodes} episodes passed ({rule})",
        details={
            "limit": first.limit,
            "direction": first.direction,
            "unit": first.unit,
            "episodes": tally.episodes,
            "not_measured": tally.not_measured,
            "failed_episode_ids": [episode_id for episode_id, _ in failed],
        },
        recommendations=tuple(f"{episode_id}: {message}" for episode_id, message in failed[:5] if message),
        requires_human_approval=tally.borderline,
    )


def _set_result(gate: GateResult, *, kept: int) -> CheckpointResult:
    return CheckpointResult(
        gate_id=gate.gate,
        checkpoint="renders_gated",
        passed=gate.passed,
        severity="info" if gate.passed else "error",
        message=f"{kept} kept episodes together: {gate.sentence()}",
        details={
            "limit": gate.limit,
            "direction": gate.direction,
            "unit": gate.unit,
            "episodes": kept,
            "not_measured": int(gate.value is None),
            "failed_episode_ids": [],
        },
        recommendations=(),
        requires_human_approval=False,
    )
