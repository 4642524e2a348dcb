"""Judge every rendered episode and fix the final selection: the work of stage ``gate_renders``."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from blueprint_pipeline.episode.errors import NothingAudited
from blueprint_pipeline.episode.reader import load_audited_plan
from blueprint_pipeline.episode.record import Selection
from blueprint_pipeline.quality.episode_gating import load_courses, set_metrics
from blueprint_pipeline.quality.errors import NothingKept
from blueprint_pipeline.quality.failures import load_failures
from blueprint_pipeline.quality.gate_inputs import load_render_case
from blueprint_pipeline.quality.gates.case import RenderCase
from blueprint_pipeline.quality.gates.registry import judge_render, validate_config, verdict_of, verdict_of_failure
from blueprint_pipeline.quality.judgement import Judgement, VerdictBook
from blueprint_pipeline.quality.report import (
    QUALITY_GATE_REPORT_PATH,
    RENDER_EVIDENCE,
    RENDER_REPORTS,
    GateReport,
    load_gate_report,
    load_rendered_selection,
    load_verdicts,
    validate_spread,
)
from blueprint_pipeline.quality.scene_report import build_quality_gate_report
from blueprint_pipeline.quality.tiers import TierConfig, load_tiers
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, Tier, read_verdicts
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import JobPlan


def gate_renders(scene_id: str, tier: Tier, context: StageContext) -> Judgement:
    """Judge what was kept and rendered; write its verdicts, ``render_gates.json`` and ``quality_gate_report.json``.

    Raises:
        NothingAudited: No episode was selected for rendering.
        NothingKept: No rendered episode passed; both reports are written all the same.
        TooAlike: What is kept does not spread over what the scene allows; both reports are written all the same.
    """
    plan, config = load_audited_plan(context.scene, "gate_renders"), load_tiers()
    validate_config(config)
    simulated = load_gate_report(context.scene)
    judgement = judge_renders(context, plan, config, tier, simulated)
    report = judgement.report
    _write_report(context, report, "kept")
    _write_summary(context, simulated, report)
    if not report.count("kept"):
        reasons = judgement.reasons.top()
        raise NothingKept(scene_id, "gate_renders", tier=tier, attempted=report.judged, borderline=0, reasons=reasons)
    validate_spread(report, "gate_renders")
    return judgement


def gate_failures(tier: Tier, context: StageContext) -> Judgement:
    """Judge the honest failures that were rendered; write their verdicts and ``failure_gates.json``. It is no fault that there are none."""
    plan, config = load_audited_plan(context.scene, "gate_renders"), load_tiers()
    validate_config(config)
    simulated = load_gate_report(context.scene)
    selection = [(verdict.shard_index, verdict.episode_id) for verdict in load_failures(context.scene, simulated)]
    book = VerdictBook(context, RENDER_EVIDENCE["failures"])
    for shard_index, verdicts in _judge_shards(context, plan, config, tier, (simulated, selection, "failures")):
        book.enter(shard_index, verdicts)
    judgement = book.close(plan, config, tier, {})
    _write_report(context, judgement.report, "failures")
    return judgement


def judge_renders(context: StageContext, plan: JobPlan, config: TierConfig, tier: Tier, simulated: GateReport) -> Judgement:
    """Ask all gates of every episode that was to be rendered.

    Raises:
        NothingAudited: No episode was.
    """
    selection = load_rendered_selection(context.scene, simulated)
    if not selection:
        raise NothingAudited(plan.scene_id, "gate_renders", "gates.json and the approvals select no episode for rendering")
    book, kept = VerdictBook(context, RENDER_EVIDENCE["kept"]), set()
    for shard_index, verdicts in _judge_shards(context, plan, config, tier, (simulated, selection, "kept")):
        book.enter(shard_index, verdicts)
        kept |= {verdict.episode_id for verdict in verdicts if verdict.verdict == "kept"}
    return book.close(plan, config, tier, set_metrics(load_courses(context.scene, plan, kept), plan))


def _judge_shards(
    context: StageContext,
    plan: JobPlan,
    config: TierConfig,
    tier: Tier,
    rendered: tuple[GateReport, Sequence[tuple[int, str]], Selection],
) -> Iterator[tuple[int, list[EpisodeVerdict]]]:
    """Verdicts on what was rendered, shard by shard: the report after simulation, what of it was rendered, and as what."""
    simulated, episodes, selection = rendered
    decide, done = verdict_of if selection == "kept" else verdict_of_failure, 0
    for shard_index, selected in groupby(episodes, key=lambda item: item[0]):
        before = _skill_scores(context, simulated, shard_index)
        verdicts = []
        for _, episode_id in selected:
            context.stop_if_asked()
            case = load_render_case(context.scene, plan, shard_index, episode_id, selection)
            gates, metrics = judge_render(case, config, tier), {**before[episode_id], **render_metrics(case)}
            verdict = decide(gates)
            verdicts.append(EpisodeVerdict(episode_id=episode_id, shard_index=shard_index, verdict=verdict, gates=gates, metrics=metrics))
            done += 1
            context.progress(done, len(episodes))
        yield shard_index, verdicts


def _skill_scores(context: StageContext, simulated: GateReport, shard_index: int) -> dict[str, dict[str, float | None]]:
    """What was measured of each episode of a shard before it was rendered."""
    shards = [shard for shard in simulated.shards if shard.shard_index == shard_index]
    return {episode.episode_id: episode.metrics for episode in read_verdicts(context.scene.read_bytes, simulated.evidence, shards)}


def render_metrics(case: RenderCase) -> dict[str, float | None]:
    """What the pictures look like, by camera; for the report only."""
    found: dict[str, float | None] = {}
    for camera in case.cameras:
        record = case.certificate.videos.get(camera) if case.certificate else None
        sight = record.sight if record else None
        found[f"target_visible_ratio_{camera}"] = sight.target_visible_ratio if sight else None
        found[f"emptiest_share_{camera}"] = sight.emptiest_share if sight else None
        found[f"sharpness_{camera}"] = record.sharpness if record else None
        found[f"mean_luma_{camera}"] = record.mean_luma if record else None
    return found


def _write_report(context: StageContext, report: GateReport, selection: Selection) -> None:
    context.output(RENDER_REPORTS[selection]).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _write_summary(context: StageContext, simulated: GateReport, rendered: GateReport) -> None:
    summary = build_quality_gate_report(
        load_verdicts(context.scene, simulated),
        read_verdicts(lambda path: (context.staging / path).read_bytes(), rendered.evidence, rendered.shards),
        rendered,
    )
    context.output(QUALITY_GATE_REPORT_PATH).write_text(summary.model_dump_json(indent=1) + "\n", encoding="utf-8")
