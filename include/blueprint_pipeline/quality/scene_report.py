"""``geniesim/quality_gate_report.json``: one result a gate over all episodes, for who knows the predecessor's format.

``timestamp`` is ``null`` throughout: the file is the same bytes when made again; when it was made stands in the stage's commit record.
"""

from typing import Literal

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.quality.report import EpisodeVerdict, GateResult, RenderGateReport


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
    checkpoint: Literal["episodes_gated", "renders_gated"]
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


def build_quality_gate_report(simulated: tuple[EpisodeVerdict, ...], rendered: RenderGateReport) -> QualityGateReport:
    """Sum the verdicts up by gate. The run can proceed only where an episode is kept, and all gates on those together passed.

    Args:
        simulated: Verdicts after simulation.
        rendered: What was said after rendering.
    """
    results = [*_summarise("episodes_gated", simulated), *_summarise("renders_gated", rendered.episodes)]
    results += [_set_result(gate, kept=len(rendered.kept)) for gate in rendered.set_gates]
    failed = sum(not result.passed for result in results)
    blocking = len(rendered.failed_set_gates()) + (0 if rendered.kept else 1)
    summary = GateSummary(
        total_gates=len(results),
        passed=len(results) - failed,
        failed=failed,
        blocking_failures=blocking,
        can_proceed=not blocking,
    )
    return QualityGateReport(scene_id=rendered.scene_id, summary=summary, results=tuple(results))


def _summarise(checkpoint: Literal["episodes_gated", "renders_gated"], episodes: tuple[EpisodeVerdict, ...]) -> list[CheckpointResult]:
    by_gate: dict[str, list[tuple[str, GateResult]]] = {}
    for episode in episodes:
        for gate in episode.gates:
            by_gate.setdefault(gate.gate, []).append((episode.episode_id, gate))
    return [_checkpoint_result(name, checkpoint, members) for name, members in by_gate.items()]


def _checkpoint_result(
    name: str, checkpoint: Literal["episodes_gated", "renders_gated"], members: list[tuple[str, GateResult]]
) -> CheckpointResult:
    failing = [(episode_id, gate) for episode_id, gate in members if not gate.passed]
    first = members[0][1]
    rule = f"{first.direction.replace('_', ' ')} {first.limit:g} {first.unit}"
    return CheckpointResult(
        gate_id=name,
        checkpoint=checkpoint,
        passed=not failing,
        severity="warning" if failing else "info",
        message=f"{len(members) - len(failing)} of {len(members)} episodes passed ({rule})",
        details={
            "limit": first.limit,
            "direction": first.direction,
            "unit": first.unit,
            "episodes": len(members),
            "not_measured": sum(gate.value is None for _, gate in members),
            "failed_episode_ids": [episode_id for episode_id, _ in failing],
        },
        recommendations=tuple(f"{episode_id}: {gate.message}" for episode_id, gate in failing[:5] if gate.message),
        requires_human_approval=any(gate.borderline for _, gate in members),
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
