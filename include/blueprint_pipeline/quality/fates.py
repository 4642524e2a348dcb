"""What became of every episode of a scene's batch, cell by cell, by what the gates said: kept, failed and why, or not decided yet.

An episode's reason has a stable code, by which kinds of reasons are told apart:

- ``plan_pick.no_path``, ``predicate.not_in_region``: the attempt's own, where it ended with a failure: its stage and its code;
- ``gate.penetration``: the gate that rejected what was simulated;
- ``record.schema``: a gate on files, clocks or licences, which says nothing of the robot; ``record.no_gates``: no gate was asked;
- ``render.sharpness``: a gate on what was drawn;
- ``person.rejected``: a person rejected it, or nobody answered.
"""

from collections.abc import Iterator, Mapping

from blueprint_pipeline.quality.explain import cause_of, primary_reason
from blueprint_pipeline.quality.report import GateReport, load_verdicts
from blueprint_pipeline.quality.verdicts import EpisodeVerdict
from blueprint_pipeline.task.coverage import KEPT, BatchCoverage, PlannedCoverage
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.workspace.storage import SceneFolder

FORMAL_GATES = frozenset({"recording", "schema", "timestamps", "licences"})
"""Gates after simulation that look at files and papers, and not at what was done."""
NOT_APPROVED, UNKNOWN = "person.rejected", "record.no_gates"


def judge_batch(
    scene: SceneFolder, plan: JobPlan, coverage: PlannedCoverage, gates: GateReport, renders: GateReport | None
) -> BatchCoverage:
    """What became of every episode of a plan.

    Args:
        scene: Has the verdicts.
        plan: The job.
        coverage: Its cells.
        gates: What was said of its simulated episodes.
        renders: And of their pictures; ``None`` before they were judged: what is kept so far then counts as kept.
    """
    fates = dict(_fates(scene, gates, renders))
    judged = {episode_id for shard in gates.shards for episode_id in shard.verdicts}
    ids = [spec.episode_id for spec in plan.episodes]
    return coverage.sum_up(plan.seed, [fates.get(name) for name in ids], [name in judged for name in ids])


def _fates(scene: SceneFolder, gates: GateReport, renders: GateReport | None) -> Iterator[tuple[str, str | None]]:
    """Id and fate of every judged episode."""
    drawn = {} if renders is None else {verdict.episode_id: fate_of(verdict, drawn=True) for verdict in load_verdicts(scene, renders)}
    for verdict in load_verdicts(scene, gates):
        yield verdict.episode_id, _last(verdict, drawn, is_final=renders is not None)


def _last(verdict: EpisodeVerdict, drawn: Mapping[str, str | None], *, is_final: bool) -> str | None:
    """What was said of an episode last."""
    if verdict.episode_id in drawn:
        return drawn[verdict.episode_id]
    if is_final and verdict.verdict == "borderline":
        return NOT_APPROVED
    return fate_of(verdict, drawn=False)


def fate_of(verdict: EpisodeVerdict, *, drawn: bool) -> str | None:
    """Kept, or the code of the reason why not; ``None`` while a person is to decide.

    Args:
        verdict: Of one episode.
        drawn: Whether its pictures were judged, or what was simulated.
    """
    reason = primary_reason(verdict)
    if reason is None:
        return KEPT if verdict.verdict == "kept" else UNKNOWN
    if drawn:  # what is near a limit in pictures is not delivered, and nobody is asked
        return f"render.{reason.gate}"
    if verdict.verdict == "borderline":
        return None
    if cause := cause_of(reason):
        return ".".join(cause.split(": "))
    return f"{'record' if reason.gate in FORMAL_GATES else 'gate'}.{reason.gate}"
