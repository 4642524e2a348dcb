"""Record what people decided on borderline episodes: the work of stage ``record_approval``."""

from collections.abc import Sequence
from hashlib import sha256

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.quality.approval_log import (
    APPROVALS_FOLDER,
    ApprovalDecision,
    ApprovalEntry,
    ApprovalLog,
    approved_episode_ids,
    load_approvals,
    sort_entries,
)
from blueprint_pipeline.quality.errors import NothingKept
from blueprint_pipeline.quality.explain import tally_reasons
from blueprint_pipeline.quality.report import GateReport, load_borderline, load_gate_report, load_verdicts
from blueprint_pipeline.quality.verdicts import EpisodeVerdict, Verdict
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.workspace.canonical import key_of


class UnknownDecision(InputError):
    """A person decided on an episode that waits for no decision."""

    code = "quality.unknown_decision"
    template = "The decision on episode {episode_id} cannot be recorded: it {found}. Waiting for a decision: {waiting}."

    episode_id: str
    verdict: Verdict | None
    waiting: Sequence[str]

    @property
    def found(self) -> str:
        """What the gates say of the episode."""
        return "is not in gates.json" if self.verdict is None else f"is '{self.verdict}', not 'borderline'"


def batch_name(decisions: tuple[ApprovalDecision, ...]) -> str:
    """Name of a batch of decisions: the same decisions have the same name, others never overwrite them."""
    return key_of({"decisions": [decision.model_dump(mode="json") for decision in decisions]})[:12]


def batch_path(decisions: tuple[ApprovalDecision, ...]) -> str:
    """The file that a batch of decisions is written to, in the scene's folder."""
    return f"{APPROVALS_FOLDER}/{batch_name(decisions)}.json"


def record_approval(scene_id: str, decisions: tuple[ApprovalDecision, ...], context: StageContext) -> ApprovalLog:
    """Add decisions to the audit.

    Raises:
        UnknownDecision: An episode is decided on that is not borderline in the current ``gates.json``.
        NothingKept: With these decisions no episode is left; they are recorded all the same.
    """
    report = load_gate_report(context.scene)
    log = build_log(scene_id, report, load_borderline(context.scene, report), decisions)
    context.output(batch_path(decisions)).write_text(log.model_dump_json(indent=1) + "\n", encoding="utf-8")
    earlier = [entry for entry in load_approvals(context.scene) if entry not in log.entries]
    approved = approved_episode_ids(sort_entries([*earlier, *log.entries]), {shard.sha256 for shard in report.shards})
    if not report.count("kept") and not approved:
        tally = tally_reasons(load_verdicts(context.scene, report))
        reasons = [*(reason.sentence() for reason in tally.reasons("borderline")), *tally.top()]
        raise NothingKept(
            scene_id,
            "record_approval",
            tier=report.tier,
            attempted=report.judged,
            borderline=report.count("borderline"),
            reasons=reasons[:3],
        )
    return log


def build_log(scene_id: str, report: GateReport, waiting: Sequence[EpisodeVerdict], decisions: tuple[ApprovalDecision, ...]) -> ApprovalLog:
    """The audit entries of a batch of decisions.

    Args:
        scene_id: The scene.
        report: What the gates said of the job.
        waiting: All gates on its borderline episodes.
        decisions: What people decided.

    Raises:
        UnknownDecision: An episode is decided on that is not borderline.
    """
    episodes = {episode.episode_id: episode for episode in waiting}
    sha256_of = {shard.shard_index: shard.sha256 for shard in report.shards}
    entries = []
    for decision in decisions:
        episode = episodes.get(decision.episode_id)
        if episode is None:
            said = {name: verdict for shard in report.shards for name, verdict in shard.verdicts.items()}
            raise UnknownDecision(decision.episode_id, said.get(decision.episode_id), list(episodes))
        entries.append(_build_entry(scene_id, episode, decision, sha256_of[episode.shard_index]))
    return ApprovalLog(scene_id=scene_id, job_id=report.job_id, entries=tuple(entries))


def _build_entry(scene_id: str, episode: EpisodeVerdict, decision: ApprovalDecision, verdicts_sha256: str) -> ApprovalEntry:
    near = [gate for gate in episode.gates if gate.borderline]
    told = "; ".join(f"{gate.gate}: {gate.value:.4g} {gate.unit}, limit {gate.limit:.4g}" for gate in near if gate.value is not None)
    return ApprovalEntry(
        request_id=f"apr_{sha256(f'{verdicts_sha256}/{episode.episode_id}'.encode()).hexdigest()[:12]}",
        gate_id=",".join(gate.gate for gate in near),
        scene_id=scene_id,
        episode_id=episode.episode_id,
        shard_index=episode.shard_index,
        status="approved" if decision.approved else "rejected",
        failure_message=told,
        verdicts_sha256=verdicts_sha256,
        approved_by=decision.decided_by,
        approved_at=decision.decided_at,
        approval_notes=decision.reason,
    )
