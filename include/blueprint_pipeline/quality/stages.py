"""The stages that judge: what was simulated, what people decided, what was rendered."""

from blueprint_pipeline.episode.record import RENDERS_FOLDERS, Selection
from blueprint_pipeline.quality.approval_log import APPROVALS_FOLDER, ApprovalDecision
from blueprint_pipeline.quality.approvals import batch_name, batch_path, record_approval
from blueprint_pipeline.quality.episode_gating import gate_episodes
from blueprint_pipeline.quality.render_gating import gate_failures, gate_renders
from blueprint_pipeline.quality.report import GATES_PATH, QUALITY_GATE_REPORT_PATH, RENDER_EVIDENCE, RENDER_REPORTS
from blueprint_pipeline.quality.verdicts import QUALITY_FOLDER, VERDICTS_FOLDER, Tier
from blueprint_pipeline.scene.manifest import MANIFEST_PATH
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult, name_unit
from blueprint_pipeline.task.plan import PLAN_PATH

CHECKSUMS_PATH = "geniesim/checksums.json"
"""Only an import without losses leaves it."""


class GateRequest(StageRequest):
    """Which tier's limits decide."""

    tier: Tier = "core"


class GateEpisodesResult(StageResult):
    """How many episodes have each verdict, and why the rejected ones were."""

    tier: Tier
    kept: int
    rejected: int
    borderline: int
    top_reasons: tuple[str, ...]


class GateRendersRequest(GateRequest):
    """Which of the episodes were rendered."""

    selection: Selection = "kept"


class RecordApprovalRequest(StageRequest):
    """What people decided; empty where nobody was asked."""

    decisions: tuple[ApprovalDecision, ...] = ()


class RecordApprovalResult(StageResult):
    """Episode ids by decision."""

    approved: tuple[str, ...]
    rejected: tuple[str, ...]


class GateRendersResult(StageResult):
    """How many episodes the final selection keeps, and why the others are not in it."""

    selection: Selection
    tier: Tier
    kept: int
    rejected: int
    top_reasons: tuple[str, ...]


def _run_gate_episodes(request: GateRequest, context: StageContext) -> GateEpisodesResult:
    judgement = gate_episodes(request.scene_id, request.tier, context)
    report = judgement.report
    return GateEpisodesResult(
        tier=request.tier,
        kept=report.count("kept"),
        rejected=report.count("rejected"),
        borderline=report.count("borderline"),
        top_reasons=tuple(judgement.reasons.top()),
    )


def _run_record_approval(request: RecordApprovalRequest, context: StageContext) -> RecordApprovalResult:
    log = record_approval(request.scene_id, request.decisions, context)
    return RecordApprovalResult(
        approved=tuple(entry.episode_id for entry in log.entries if entry.status == "approved"),
        rejected=tuple(entry.episode_id for entry in log.entries if entry.status == "rejected"),
    )


def _run_gate_renders(request: GateRendersRequest, context: StageContext) -> GateRendersResult:
    is_kept = request.selection == "kept"
    judgement = gate_renders(request.scene_id, request.tier, context) if is_kept else gate_failures(request.tier, context)
    report = judgement.report
    return GateRendersResult(
        selection=request.selection,
        tier=request.tier,
        kept=report.count("kept"),
        rejected=report.count("rejected"),
        top_reasons=tuple(judgement.reasons.top()),
    )


def _written_renders(selection: Selection) -> list[str]:
    found = [RENDER_REPORTS[selection], f"{QUALITY_FOLDER}/{RENDER_EVIDENCE[selection]}"]
    return [*found, QUALITY_GATE_REPORT_PATH] if selection == "kept" else found


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
    reads=lambda _: [GATES_PATH, VERDICTS_FOLDER],
    writes=lambda request: [batch_path(request.decisions)],
    unit=lambda request: batch_name(request.decisions),
)

GATE_RENDERS = Stage(
    name="gate_renders",
    description="Judge every rendered episode: replay certificate and pictures; fix the final selection.",
    request=GateRendersRequest,
    result=GateRendersResult,
    run=_run_gate_renders,
    reads=lambda request: [
        *(PLAN_PATH, "geniesim/recordings", GATES_PATH, VERDICTS_FOLDER, APPROVALS_FOLDER),
        RENDERS_FOLDERS[request.selection],
    ],
    writes=lambda request: _written_renders(request.selection),
    unit=lambda request: name_unit(request.selection),
)
