"""The stages that judge: what was simulated, what people decided, what was rendered."""

from blueprint_pipeline.quality.approvals import batch_name, batch_path, record_approval
from blueprint_pipeline.quality.episode_gating import gate_episodes
from blueprint_pipeline.quality.explain import top_reasons
from blueprint_pipeline.quality.render_gating import gate_renders
from blueprint_pipeline.quality.report import (
    APPROVALS_FOLDER,
    GATES_PATH,
    QUALITY_GATE_REPORT_PATH,
    RENDER_GATES_PATH,
    VERDICTS_FOLDER,
    ApprovalDecision,
    Tier,
)
from blueprint_pipeline.scene.manifest import MANIFEST_PATH
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult
from blueprint_pipeline.task.plan import PLAN_PATH

CHECKSUMS_PATH = "geniesim/checksums.json"
"""Only an import without losses leaves it."""


class GateRequest(StageRequest):
    """Which tier's limits decide."""

    tier: Tier = "core"


class GateEpisodesResult(StageResult):
    """Episode ids by verdict, and why the rejected ones were."""

    tier: Tier
    kept: tuple[str, ...]
    rejected: tuple[str, ...]
    borderline: tuple[str, ...]
    top_reasons: tuple[str, ...]


class RecordApprovalRequest(StageRequest):
    """What people decided; empty where nobody was asked."""

    decisions: tuple[ApprovalDecision, ...] = ()


class RecordApprovalResult(StageResult):
    """Episode ids by decision."""

    approved: tuple[str, ...]
    rejected: tuple[str, ...]


class GateRendersResult(StageResult):
    """The final selection."""

    tier: Tier
    kept: tuple[str, ...]
    rejected: tuple[str, ...]
    top_reasons: tuple[str, ...]


def _run_gate_episodes(request: GateRequest, context: StageContext) -> GateEpisodesResult:
    report = gate_episodes(request.scene_id, request.tier, context)
    return GateEpisodesResult(
        tier=request.tier,
        kept=tuple(episode.episode_id for episode in report.with_verdict("kept")),
        rejected=tuple(episode.episode_id for episode in report.with_verdict("rejected")),
        borderline=tuple(episode.episode_id for episode in report.with_verdict("borderline")),
        top_reasons=tuple(top_reasons(report.episodes)),
    )


def _run_record_approval(request: RecordApprovalRequest, context: StageContext) -> RecordApprovalResult:
    log = record_approval(request.scene_id, request.decisions, context)
    return RecordApprovalResult(
        approved=tuple(entry.episode_id for entry in log.entries if entry.status == "approved"),
        rejected=tuple(entry.episode_id for entry in log.entries if entry.status == "rejected"),
    )


def _run_gate_renders(request: GateRequest, context: StageContext) -> GateRendersResult:
    report = gate_renders(request.scene_id, request.tier, context)
    return GateRendersResult(
        tier=request.tier,
        kept=tuple(episode.episode_id for episode in report.kept),
        rejected=tuple(episode.episode_id for episode in report.with_verdict("rejected")),
        top_reasons=tuple(top_reasons(report.episodes)),
    )


GATE_EPISODES = Stage(
    name="gate_episodes",
    description="Judge every simulated episode by the tier's gates; keep, reject, or ask a person.",
    request=GateRequest,
    result=GateEpisodesResult,
    run=_run_gate_episodes,
    reads=lambda _: [PLAN_PATH, CHECKSUMS_PATH, "geniesim/recordings", MANIFEST_PATH],
    writes=lambda _: [GATES_PATH, VERDICTS_FOLDER],
)

RECORD_APPROVAL = Stage(
    name="record_approval",
    description="Add what people decided on borderline episodes to the audit; without a decision an episode is rejected.",
    request=RecordApprovalRequest,
    result=RecordApprovalResult,
    run=_run_record_approval,
    reads=lambda _: [GATES_PATH],
    writes=lambda request: [batch_path(request.decisions)],
    unit=lambda request: batch_name(request.decisions),
)

GATE_RENDERS = Stage(
    name="gate_renders",
    description="Judge every rendered episode: replay certificate and pictures; fix the final selection.",
    request=GateRequest,
    result=GateRendersResult,
    run=_run_gate_renders,
    reads=lambda _: [PLAN_PATH, "geniesim/recordings", GATES_PATH, APPROVALS_FOLDER, "geniesim/renders"],
    writes=lambda _: [RENDER_GATES_PATH, QUALITY_GATE_REPORT_PATH],
)
