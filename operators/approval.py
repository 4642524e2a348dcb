"""Ask a person about episodes that are near a gate's limit, through Airflow's own human-in-the-loop task.

The wait lives in Airflow's database (state ``awaiting_input``), not in a worker. Without an answer in the window the
default applies: Reject. Request, decision and audit are in the registry: the same episodes of the same job are one
question, so a rerun finds the decision and does not ask again.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from blueprint_pipeline.settings import load_settings
from operators.retries import STAGE_RETRIES

if TYPE_CHECKING:
    from blueprint_pipeline.quality.report import EpisodeVerdict, GateReport
    from blueprint_pipeline.registry.approvals import ApprovalRepository
    from blueprint_pipeline.registry.records import Approval

APPROVE, REJECT = "Approve", "Reject"
_REGISTRY_GRACE_S = 3600.0
"""The registry's own end of a request comes this long after Airflow's window [s], whose sweep is periodic."""
_SHOWN = 40
"""Rows of the table that a person reads; more are counted."""


def _form() -> dict[str, Param]:
    """What the person may fill in beside the answer. No name may be one of the DAG's own parameters: Airflow merges the two."""
    ids = "Ids of episodes that the answer is about, comma-separated; empty: all."
    return {
        "only_episodes": Param("", type="string", source="task", title="Only these", description=ids),
        "review_note": Param("", type="string", source="task", title="Reason", description="Kept in the audit record."),
    }


class ApproveEpisodesOperator(HITLOperator):
    """Return a decision for every borderline episode of a scene.

    The person approves or rejects all, or names in ``episodes`` those that the answer is about; the others get the opposite.

    Args:
        scene_id: The scene, templated.
        window_s: How long to wait for an answer [s], templated; then Reject applies.

    Raises:
        AirflowSkipException: No episode is borderline.
    """

    template_fields: Collection[str] = (*HITLOperator.template_fields, "scene_id", "window_s")

    def __init__(self, *, scene_id: str, window_s: str | float, **kwargs: Any) -> None:
        self.scene_id = scene_id
        self.window_s = window_s
        super().__init__(
            subject="Borderline episodes of scene {{ params.scene_id }}: keep them?",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            **{**STAGE_RETRIES, **kwargs},
        )
        # Airflow copies the DAG's parameters into every task; the form, and the answer that is checked against it, has only these.
        self.params = ParamsDict(_form())

    def execute(self, context: Context) -> Any:
        report = _load_report(self.scene_id)
        waiting = report.with_verdict("borderline")
        if not waiting:
            kept, rejected = len(report.with_verdict("kept")), len(report.with_verdict("rejected"))
            raise AirflowSkipException(
                f"No episode of {self.scene_id} is borderline ({kept} kept, {rejected} rejected): no approval is needed."
            )
        window_s = float(self.window_s)
        self.body = build_question(report, waiting)
        approval = _approvals().request(
            job_id=report.job_id,
            scene_id=report.scene_id,
            episodes=[episode.episode_id for episode in waiting],
            gate=",".join(sorted({gate.gate for episode in waiting for gate in episode.gates if gate.borderline})) or "borderline",
            message=f"{len(waiting)} borderline episodes of scene {report.scene_id}: keep them?",
            actor=str(context["run_id"]),
            ttl_s=window_s + _REGISTRY_GRACE_S,
        )
        if approval.status != "pending":
            self.log.info(
                "These %d episodes were decided before (%s by %s): no one is asked again.", len(waiting), approval.status, approval.actor
            )
            return build_decisions(approval)
        self.response_timeout = timedelta(seconds=window_s)
        self.log.info("%d borderline episodes wait for a person for %.0f s; without an answer: %s.", len(waiting), window_s, REJECT)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        answer = dict(super().execute_complete(context, event))
        report = _load_report(self.scene_id)
        waiting = [episode.episode_id for episode in report.with_verdict("borderline")]
        actor, reason = describe_decision(answer, timed_out=event.get("timedout") is True)
        keep = chosen_episodes(waiting, answer)
        request_id = _approval_id(report.job_id, waiting)
        approval = _approvals().decide(request_id, approve=bool(keep), actor=actor, reason=reason, episodes=keep or None)
        for decision in build_decisions(approval):
            self.log.info("%s: %s by %s", decision["episode_id"], "approved" if decision["approved"] else "rejected", actor)
        return build_decisions(approval)


def _load_report(scene_id: str) -> "GateReport":
    from blueprint_pipeline.quality.report import load_gate_report
    from blueprint_pipeline.workspace.storage import Workspace

    return load_gate_report(Workspace(load_settings().workspace).scene(scene_id))


def _approvals() -> "ApprovalRepository":
    from blueprint_pipeline.registry.database import open_registry

    return open_registry(load_settings().registry).approvals


def _approval_id(job_id: str, episodes: list[str]) -> str:
    from blueprint_pipeline.registry.approvals import approval_id

    return approval_id(job_id, sorted(episodes))


def build_question(report: "GateReport", waiting: "list[EpisodeVerdict]") -> str:
    """What the person reads, in Markdown: one row a gate that is near its limit."""
    rows = [
        f"| {episode.episode_id} | {gate.gate} | {_number(gate.value)} {gate.unit} | {_number(gate.limit)} {gate.unit} | {gate.message} |"
        for episode in waiting[:_SHOWN]
        for gate in episode.gates
        if gate.borderline or not gate.passed
    ]
    more = f"\n\n{len(waiting) - _SHOWN} more are in `geniesim/quality/gates.json`." if len(waiting) > _SHOWN else ""
    return (
        f"Scene **{report.scene_id}**, job `{report.job_id}`, tier **{report.tier}**: "
        f"{len(waiting)} of {len(report.episodes)} episodes are near a limit.\n\n"
        "| episode | gate | found | limit | what was seen |\n|---|---|---|---|---|\n" + "\n".join(rows) + more + "\n\n"
        "**Approve** renders and delivers them, **Reject** leaves them out. "
        "Name single episodes under *Only these*; the others get the opposite answer."
    )


def chosen_episodes(waiting: list[str], answer: dict[str, Any]) -> list[str]:
    """The episodes that the answer keeps.

    Raises:
        AirflowFailException: The person named an episode that does not wait for a decision.
    """
    named = {part.strip() for part in str((answer.get("params_input") or {}).get("only_episodes") or "").split(",") if part.strip()}
    unknown = sorted(named - set(waiting))
    if unknown:
        raise AirflowFailException(
            f"The answer names {', '.join(unknown)}, which wait for no decision. Waiting: {', '.join(waiting)}. "
            "Clear this task to be asked again."
        )
    approved = answer["chosen_options"] == [APPROVE]
    return [episode_id for episode_id in waiting if approved == (episode_id in named or not named)]


def describe_decision(answer: dict[str, Any], *, timed_out: bool) -> tuple[str, str]:
    """Who decided, and why, for the audit."""
    if timed_out:
        return "expiry", "no answer within the window: the default applies"
    user = answer.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "unknown user"), str((answer.get("params_input") or {}).get("review_note") or "")


def build_decisions(approval: "Approval") -> list[dict[str, object]]:
    """One decision an episode, as ``record_approval`` takes them; the same approval always gives the same ones."""
    if approval.decided_at is None:
        raise AirflowFailException(f"Request {approval.request_id} is {approval.status} and has no time of decision: report it.")
    when = approval.decided_at.isoformat()
    kept = set(approval.approved_episodes)
    facts = {"decided_by": approval.actor or "expiry", "reason": approval.reason or "", "decided_at": when}
    return [{"episode_id": episode_id, "approved": episode_id in kept, **facts} for episode_id in approval.episodes]


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
