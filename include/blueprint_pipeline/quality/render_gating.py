"""Judge every rendered episode and fix the final selection: the work of stage ``gate_renders``."""

from blueprint_pipeline.episode.errors import NothingAudited
from blueprint_pipeline.episode.reader import load_audited_plan
from blueprint_pipeline.quality.episode_gating import load_courses, set_metrics
from blueprint_pipeline.quality.errors import NothingKept
from blueprint_pipeline.quality.explain import top_reasons
from blueprint_pipeline.quality.gate_inputs import load_render_case
from blueprint_pipeline.quality.gates.case import RenderCase
from blueprint_pipeline.quality.gates.registry import judge_render, judge_set, validate_config, verdict_of
from blueprint_pipeline.quality.report import (
    QUALITY_GATE_REPORT_PATH,
    RENDER_GATES_PATH,
    EpisodeVerdict,
    GateReport,
    KeptEpisode,
    RenderGateReport,
    Tier,
    load_gate_report,
    load_rendered_selection,
    validate_spread,
)
from blueprint_pipeline.quality.scene_report import build_quality_gate_report
from blueprint_pipeline.quality.tiers import load_tiers
from blueprint_pipeline.stage.contract import StageContext


def gate_renders(scene_id: str, tier: Tier, context: StageContext) -> RenderGateReport:
    """Judge what was rendered; write ``render_gates.json`` and ``quality_gate_report.json``.

    Raises:
        NothingAudited: No episode was selected for rendering.
        NothingKept: No rendered episode passed; both reports are written all the same.
        TooAlike: What is kept does not spread over what the scene allows; both reports are written all the same.
    """
    plan, config = load_audited_plan(context.scene, "gate_renders"), load_tiers()
    validate_config(config)
    simulated, selection = load_gate_report(context.scene), load_rendered_selection(context.scene)
    if not selection:
        raise NothingAudited(scene_id, "gate_renders", "gates.json and the approvals select no episode for rendering")
    before = {episode.episode_id: episode for episode in simulated.episodes}
    verdicts = []
    for done, (shard_index, episode_id) in enumerate(selection, start=1):
        context.stop_if_asked()
        case = load_render_case(context.scene, plan, shard_index, episode_id)
        gates = judge_render(case, config, tier)
        metrics = {**before[episode_id].metrics, **render_metrics(case)}
        verdict = verdict_of(gates)
        verdicts.append(EpisodeVerdict(episode_id=episode_id, shard_index=shard_index, verdict=verdict, gates=gates, metrics=metrics))
        context.progress(done, len(selection))
    kept = tuple(
        KeptEpisode(episode_id=verdict.episode_id, shard_index=verdict.shard_index) for verdict in verdicts if verdict.verdict == "kept"
    )
    measured = set_metrics(load_courses(context.scene, plan, {episode.episode_id for episode in kept}), plan)
    report = RenderGateReport(
        scene_id=scene_id,
        job_id=plan.job_id,
        tier=tier,
        tiers_version=config.version,
        episodes=tuple(verdicts),
        set_metrics=measured,
        set_gates=judge_set(measured, config, tier),
        kept=kept,
    )
    _write(context, simulated, report)
    if not kept:
        reasons = top_reasons(verdicts)
        raise NothingKept(scene_id, "gate_renders", tier=tier, attempted=len(verdicts), borderline=0, reasons=reasons)
    validate_spread(report, "gate_renders")
    return report


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


def _write(context: StageContext, simulated: GateReport, report: RenderGateReport) -> None:
    summary = build_quality_gate_report(simulated.episodes, report)
    context.output(RENDER_GATES_PATH).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    context.output(QUALITY_GATE_REPORT_PATH).write_text(summary.model_dump_json(indent=1) + "\n", encoding="utf-8")
