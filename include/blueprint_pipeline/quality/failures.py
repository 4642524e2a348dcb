"""Which rejected episodes are honest failures of the robot, and what went wrong in them.

``when_failed`` of every gate in ``include/config/tiers.yaml`` draws the line. An episode whose simulation, recording or licences are in
doubt is no failure of the robot, whatever else it shows: nobody gets it. Nobody is asked about failures, so what is merely near a limit is
none, and what is near a limit of its simulation is in doubt.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from blueprint_pipeline.episode.reader import check_states
from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.quality.explain import cause_of
from blueprint_pipeline.quality.gates.task import observed_motion
from blueprint_pipeline.quality.report import GateReport
from blueprint_pipeline.quality.robot_limits import load_robot_limits
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, GateResult, ShardVerdicts, read_verdicts, verdicts_path
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.outcome import PredicateCheck
from blueprint_pipeline.workspace.storage import SceneFolder

_NOT_JUDGED = "task_predicate"
"""An attempt that broke off was never judged while it was simulated; ``task_recheck`` judges its states."""


class FailedGate(FrozenModel):
    """A gate that refused what the robot did."""

    gate: str
    value: float
    limit: float
    direction: str
    unit: str
    message: str
    phase: str | None
    frame: int | None
    """First frame in which it was so, of its phase; ``None``: it speaks of the whole episode."""


class Failure(FrozenModel):
    """What went wrong in an episode."""

    kind: str
    """``predicate.not_in_region``: the attempt's own stage and code; ``gate.unexplained_contacts``: the first gate that refused it."""
    reason: str
    """For people."""
    phase: str | None
    """Phase of the motion in which it went wrong, where that is known."""
    frame: int | None
    """First frame in which it is known to have gone wrong; the last one where the robot gave up; ``None``: it shows at the end alone."""
    conditions: tuple[PredicateCheck, ...]
    """Conditions of the task that do not hold at the end; none where the task was done."""
    gates: tuple[FailedGate, ...]
    """Gates on what the robot did that refused the episode, in the order in which they were asked."""


def failed_gates(verdict: EpisodeVerdict) -> list[GateResult]:
    """Gates on what the robot did that measured a failure beyond doubt."""
    return [
        gate
        for gate in verdict.gates
        if gate.when_failed == "failure" and gate.value is not None and not gate.passed and not gate.borderline
    ]


def doubtful_gates(verdict: EpisodeVerdict) -> list[GateResult]:
    """Gates by which an episode must not be sold, as a failure or otherwise: what they look for is there, or could not be measured."""
    return [gate for gate in verdict.gates if _leaves_doubt(gate)]


def _leaves_doubt(gate: GateResult) -> bool:
    if gate.value is None:
        return gate.gate != _NOT_JUDGED
    return gate.when_failed not in {"failure", "weakness"} and (gate.borderline or not gate.passed)


def is_failure(verdict: EpisodeVerdict) -> bool:
    """Whether a simulated episode is an honest failure of the robot."""
    return verdict.verdict == "rejected" and bool(failed_gates(verdict)) and not doubtful_gates(verdict)


def kind_of(verdict: EpisodeVerdict) -> str:
    """What went wrong, as a stable code; of an honest failure."""
    first = failed_gates(verdict)[0]
    cause = cause_of(first)
    return ".".join(cause.split(": ")) if cause else f"gate.{first.gate}"


def describe_failure(verdict: EpisodeVerdict, record: EpisodeRecord, states: Path) -> Failure:
    """The label of an honest failure.

    Args:
        verdict: What the gates said after simulation.
        record: The episode.
        states: Its ``states.parquet``: they are judged where nobody did while it was simulated.
    """
    gates = tuple(_describe_gate(gate, record) for gate in failed_gates(verdict))
    frames = [gate.frame for gate in gates if gate.frame is not None]
    frames += [recovery.seen_frame for recovery in record.recoveries if recovery.again_frame is None]
    if not record.outcome.success and not record.outcome.predicate:
        frames.append(record.frames - 1)  # it broke off there
    frame = min(frames, default=None)
    return Failure(
        kind=kind_of(verdict),
        reason=record.outcome.failure_reason or gates[0].message,
        phase=None if frame is None else phase_at(record, frame),
        frame=frame,
        conditions=tuple(check for check in record.outcome.predicate or _judge_states(record, states) if not check.held),
        gates=gates,
    )


def _judge_states(record: EpisodeRecord, states: Path) -> Sequence[PredicateCheck]:
    """Conditions of the task, asked of the recorded states.

    Raises:
        ValueError: The states cannot be read; gate ``schema`` refuses such an episode.
    """
    arrays, findings = check_states(states, record)
    if arrays is None:
        raise ValueError(f"{states} cannot be read: {'; '.join(findings)}")
    task, arms = record.spec.task, load_robot_limits(record.robot.embodiment).arms
    motion = observed_motion(task, record.object_ids, arrays, arm=arms.index(record.spec.arm), fps=record.fps)
    return load_skill(task.task_type).check(task, motion)


def _describe_gate(gate: GateResult, record: EpisodeRecord) -> FailedGate:
    if gate.value is None:
        raise ValueError(f"{gate.gate} measured nothing, so it says of no failure")
    return FailedGate(
        gate=gate.gate,
        value=gate.value,
        limit=gate.limit,
        direction=gate.direction,
        unit=gate.unit,
        message=gate.message,
        phase=None if gate.frame is None else phase_at(record, gate.frame),
        frame=gate.frame,
    )


def phase_at(record: EpisodeRecord, frame: int) -> str | None:
    """The phase of a frame; of the state after the last frame, the last phase."""
    last = min(frame, record.frames - 1)
    return next((phase.name for phase in record.phases if phase.start_frame <= last < phase.end_frame), None)


def load_shard_failures(scene: SceneFolder, shard_index: int) -> list[str]:
    """Honest failures of one shard, in the plan's order, by the shard's own file of verdicts."""
    judged = ShardVerdicts.model_validate_json(scene.read_bytes(verdicts_path("verdicts", shard_index)))
    return [verdict.episode_id for verdict in judged.episodes if is_failure(verdict)]


def load_failures(scene: SceneFolder, report: GateReport) -> list[EpisodeVerdict]:
    """What the gates said of every honest failure of a job after simulation, in the plan's order.

    Raises:
        VerdictsDiffer: A shard's file is not the one that the report was made with.
    """
    rejected = [shard for shard in report.shards if shard.count("rejected")]
    return [verdict for verdict in read_verdicts(scene.read_bytes, report.evidence, rejected) if is_failure(verdict)]


def count_kinds(kinds: Iterable[str]) -> dict[str, int]:
    """How many failures there are of each kind, the most frequent first."""
    return dict(sorted(Counter(kinds).items(), key=lambda item: (-item[1], item[0])))
