"""Ask a person about episodes that are near a gate's limit, through Airflow's own human-in-the-loop task.

The wait lives in Airflow's database (state ``awaiting_input``), not in a worker. Without an answer in the window the
default applies: Reject. A decision counts for the very gate report that the person saw; a rerun finds it and does not ask again.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowSkipException

from blueprint.settings import load_settings

if TYPE_CHECKING:
    from blueprint.quality.report import EpisodeVerdict, GateReport
    from blueprint.workspace.storage import SceneFolder

APPROVE, REJECT = "Approve", "Reject"
_SHOWN = 40
"""Rows of the table that a person reads; more are counted."""


def _form() -> dict[str, Param]:
    """What the person may fill in beside the answer."""
    ids = "Ids of episodes that the answer is about, comma-separated; empty: all."
    return {
        "episodes": Param("", type="string", source="task", title="Only these", description=ids),
        "note": Param("", type="string", source="task", title="Reason", description="Kept in the audit record."),
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

    def __init__(self, *, scene_id: str, window_s: str | float, params: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.scene_id = scene_id
        self.window_s = window_s
        super().__init__(
            subject="Borderline episodes of scene {{ params.scene_id }}: keep them?",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            params={**(params or {}), **_form()},
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        from blueprint.quality.report import GATES_PATH, load_approvals, load_gate_report
        from blueprint.workspace.checksums import digest_file
        from blueprint.workspace.storage import Workspace

        scene = Workspace(load_settings().workspace).scene(self.scene_id)
        report = load_gate_report(scene)
        waiting = report.with_verdict("borderline")
        if not waiting:
            kept, rejected = len(report.with_verdict("kept")), len(report.with_verdict("rejected"))
            raise AirflowSkipException(f"No episode of {self.scene_id} is borderline ({kept} kept, {rejected} rejected): nobody is asked.")
        log = load_approvals(scene)
        judged = digest_file(scene.root / GATES_PATH).sha256
        known = {entry.episode_id: entry for entry in (log.entries if log else ()) if entry.gates_sha256 == judged}
        if all(episode.episode_id in known for episode in waiting):
            self.log.info("These %d episodes were decided before, on this very report; nobody is asked again.", len(waiting))
            entries = [known[episode.episode_id] for episode in waiting]
            return [_decision(e.episode_id, e.status == "approved", e.approved_by, e.approval_notes, e.approved_at) for e in entries]
        self.body = build_question(report, waiting)
        self.response_timeout = timedelta(seconds=float(self.window_s))
        self.log.info("%d borderline episodes wait for a person for %.0f s; without an answer: %s.", len(waiting), float(self.window_s), REJECT)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        answer = super().execute_complete(context, event)
        scene = self._scene()
        waiting = [episode.episode_id for episode in _load_borderline(scene)]
        decisions = build_decisions(waiting, dict(answer), event.get("timedout") is True)
        for decision in decisions:
            self.log.info("%s: %s by %s", decision["episode_id"], "approved" if decision["approved"] else "rejected", decision["decided_by"])
        return decisions

    def _scene(self) -> "SceneFolder":
        from blueprint.workspace.storage import Workspace

        return Workspace(load_settings().workspace).scene(self.scene_id)


def _load_borderline(scene: "SceneFolder") -> "list[EpisodeVerdict]":
    from blueprint.quality.report import load_gate_report

    return load_gate_report(scene).with_verdict("borderline")


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
        f"Scene **{report.scene_id}**, job `{report.job_id}`, tier **{report.tier}**: {len(waiting)} of {len(report.episodes)} episodes are near a limit.\n\n"
        "| episode | gate | found | limit | what was seen |\n|---|---|---|---|---|\n" + "\n".join(rows) + more + "\n\n"
        "**Approve** renders and delivers them, **Reject** leaves them out. Name single episodes under *Only these*; the others get the opposite answer."
    )


def build_decisions(waiting: list[str], answer: dict[str, Any], timed_out: bool) -> list[dict[str, object]]:  # noqa: FBT001
    """One decision an episode from what the person answered (or did not).

    Raises:
        AirflowFailException: The person named an episode that does not wait for a decision.
    """
    from airflow.sdk.exceptions import AirflowFailException

    approved = answer["chosen_options"] == [APPROVE]
    inputs = answer.get("params_input") or {}
    named = [part.strip() for part in str(inputs.get("episodes") or "").split(",") if part.strip()]
    unknown = sorted(set(named) - set(waiting))
    if unknown:
        raise AirflowFailException(
            f"The answer names {', '.join(unknown)}, which wait for no decision. Waiting: {', '.join(waiting)}. Clear this task to be asked again."
        )
    user = answer.get("responded_by_user") or {}
    decided_by = "nobody (the window ended)" if timed_out else str(user.get("name") or user.get("id") or "unknown user")
    reason = "no answer within the window: the default applies" if timed_out else str(inputs.get("note") or "")
    decided_at = answer.get("responded_at") or datetime.now(UTC)
    return [_decision(e, approved == (e in named or not named), decided_by, reason, decided_at) for e in waiting]


def _decision(episode_id: str, approved: bool, decided_by: str, reason: str, decided_at: object) -> dict[str, object]:  # noqa: FBT001
    when = decided_at.isoformat() if isinstance(decided_at, datetime) else str(decided_at)
    return {"episode_id": episode_id, "approved": approved, "decided_by": decided_by, "reason": reason, "decided_at": when}


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"
