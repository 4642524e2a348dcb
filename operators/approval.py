"""Ask a person about episodes that are near a gate's limit, through Airflow's own human-in-the-loop task.

The wait lives in Airflow's database (state ``awaiting_input``), not in a worker. Whoever is on call is told that somebody is asked, with
a link to the question. Without an answer in the window the default applies: Reject. Request, decision and audit are in the registry: the
same episodes of the same job are one question, so a rerun finds what a person decided; a question that nobody answered is asked again.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from blueprint_pipeline.registry.approvals import CLOCK_ACTOR, lapse_id
from blueprint_pipeline.settings import load_settings
from operators.approval_notice import Asked, asked_message, question_lapsed_message
from operators.approval_picture import Picture, draw_picture
from operators.retries import STAGE_RETRIES
from plugins.providers.messages.outbox import send_now, tell

if TYPE_CHECKING:
    from blueprint_pipeline.registry.database import Registry
    from blueprint_pipeline.registry.records import Approval

APPROVE, REJECT = "Approve", "Reject"
_REGISTRY_GRACE_S = 3600.0
"""The registry's own end of a request comes this long after Airflow's window [s], whose sweep is periodic."""
_SHOWN = 40
"""Rows of the table that a person reads; more are counted."""


def _form(waiting: Collection[str] = ()) -> dict[str, Param]:
    """What the person may fill in beside the answer, none of it required; episodes are chosen from a list.

    No name may be one of the DAG's own parameters: Airflow merges the two.
    """
    ids = "Episodes that the answer is about; none chosen: all. The others get the opposite answer."
    chosen = {"type": ["array", "string", "null"], "items": {"type": "string"}, "examples": list(waiting)}
    return {
        "only_episodes": Param(None, source="task", title="Only these", description=ids, **chosen),
        "review_note": Param(None, type=["string", "null"], source="task", title="Reason", description="Kept in the audit record."),
    }


class ApproveEpisodesOperator(HITLOperator):
    """Return a decision for every borderline episode of a scene.

    The person approves or rejects all, or names those that the answer is about; the others get the opposite. An answer that names an
    episode that waits for no decision is not accepted: the question is put again, and says so.

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
        asked = _load_asked(self.scene_id)
        if not asked.waiting:
            kept, rejected = asked.report.count("kept"), asked.report.count("rejected")
            raise AirflowSkipException(
                f"No episode of {self.scene_id} is borderline ({kept} kept, {rejected} rejected): no approval is needed."
            )
        picture = self._draw(asked)
        self.body = build_question(asked, picture)
        self.params = ParamsDict(_form(asked.ids))
        approval = self._ask(context, asked, picture)
        if approval.status != "pending":
            count = len(asked.ids)
            self.log.info("Already decided (%s by %s), episodes: %d; nobody is asked again.", approval.status, approval.actor, count)
            return build_decisions(approval)
        until = answer_until(approval)
        self.response_timeout = until - datetime.now(UTC)
        shown = f"{until:%Y-%m-%d %H:%M} UTC"
        self.log.info("A person may answer until %s (borderline episodes: %d); without an answer: %s.", shown, len(asked.ids), REJECT)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        asked = _load_asked(self.scene_id)
        self.params = ParamsDict(_form(asked.ids))
        answer = dict(super().execute_complete(context, event))
        approval = self._request(_registry(), context, asked)
        if event.get("timedout") is True:
            return self._lapse(approval)
        if unknown := unknown_episodes(asked.ids, answer):
            return self._ask_again(context, approval, asked, unknown)
        actor, reason = describe_decision(answer)
        keep = chosen_episodes(asked.ids, answer)
        if approval.status == "pending":
            approval = _registry().approvals.decide(
                approval.request_id, approve=bool(keep), actor=actor, reason=reason, episodes=keep or None
            )
        for decision in build_decisions(approval):
            self.log.info("%s: %s by %s", decision["episode_id"], "approved" if decision["approved"] else "rejected", actor)
        return build_decisions(approval)

    def _draw(self, asked: Asked) -> Picture | None:
        """Draw what is asked about; ``None`` where a person has decided already."""
        standing = _registry().approvals.standing(asked.report.job_id, asked.ids)
        return draw_picture(self.scene_id, asked.ids) if standing is None or standing.actor == CLOCK_ACTOR else None

    def _ask(self, context: Context, asked: Asked, picture: Picture | None) -> "Approval":
        """Enter the question, what people are told of it, and what they are told if nobody answers: all of it, or nothing.

        A question that waits already keeps its end; one whose end has passed is asked anew.
        """
        registry = _registry()
        with registry.together():
            approval = self._request(registry, context, asked)
            if approval.status == "pending" and answer_until(approval) <= datetime.now(UTC):
                registry.approvals.withdraw(approval.request_id, actor=str(context["run_id"]), reason="its time was over; asked anew")
                approval = self._request(registry, context, asked)
            if approval.status != "pending":
                return approval
            until = answer_until(approval)
            message = asked_message(context, approval, asked, until=until, picture=picture)
            registry.outbox.add(message)
            registry.outbox.hold(question_lapsed_message(context, approval, until=until))
        send_now(registry, message.message_id)
        return approval

    def _request(self, registry: "Registry", context: Context, asked: Asked) -> "Approval":
        report, waiting = asked.report, asked.waiting
        return registry.approvals.request(
            job_id=report.job_id,
            scene_id=report.scene_id,
            episodes=asked.ids,
            gate=",".join(sorted({gate.gate for episode in waiting for gate in episode.gates if gate.borderline})) or "borderline",
            message=f"Borderline episodes of scene {report.scene_id}: {len(waiting)}. Keep them?",
            actor=str(context["run_id"]),
            ttl_s=float(self.window_s) + _REGISTRY_GRACE_S,
        )

    def _lapse(self, approval: "Approval") -> list[dict[str, object]]:
        """Nobody answered: the same decisions as after the first silence."""
        registry = _registry()
        closed = registry.approvals.expire(approval.request_id)
        send_now(registry, lapse_id(closed.request_id))
        standing = registry.approvals.standing(closed.job_id, closed.episodes) or closed
        self.log.info("Nobody answered in time. Rejected episodes: %d. Run the scene again to be asked again.", len(closed.episodes))
        return build_decisions(standing)

    def _ask_again(self, context: Context, approval: "Approval", asked: Asked, unknown: list[str]) -> Any:
        """Put the question again for the rest of the window."""
        ends_at = answer_until(approval)
        left = ends_at - datetime.now(UTC)
        if left <= timedelta(0):
            return self._lapse(approval)
        self.log.warning(
            "The answer names %s, which wait for no decision: it was not accepted, and the question is asked again.", ", ".join(unknown)
        )
        picture = draw_picture(self.scene_id, approval.episodes)
        self.body = build_question(asked, picture)
        self.response_timeout = left
        tell(asked_message(context, approval, asked, until=ends_at, picture=picture, unknown=unknown))
        return super().execute(context)


def answer_until(approval: "Approval") -> datetime:
    """End of Airflow's window, in which an answer is taken."""
    return approval.expires_at - timedelta(seconds=_REGISTRY_GRACE_S)


def _load_asked(scene_id: str) -> Asked:
    from blueprint_pipeline.quality.report import load_borderline, load_gate_report
    from blueprint_pipeline.workspace.storage import Workspace

    scene = Workspace(load_settings().workspace).scene(scene_id)
    report = load_gate_report(scene)
    return Asked(report, load_borderline(scene, report))


def _registry() -> "Registry":
    from blueprint_pipeline.registry.database import open_registry

    return open_registry(load_settings().registry)


def build_question(asked: Asked, picture: Picture | None = None) -> str:
    """What the person reads, in Markdown: a picture, and one row a gate that is near its limit."""
    report, waiting = asked.report, asked.waiting
    shown = "" if picture is None else f"{picture.markdown()}\n\n"
    rows = [
        f"| {episode.episode_id} | {gate.gate} | {_number(gate.value)} {gate.unit} | {_number(gate.limit)} {gate.unit} | {gate.message} |"
        for episode in waiting[:_SHOWN]
        for gate in episode.gates
        if gate.borderline or not gate.passed
    ]
    more = f"\n\nMore in `geniesim/quality/verdicts/`: {len(waiting) - _SHOWN}." if len(waiting) > _SHOWN else ""
    return (
        f"Scene **{report.scene_id}**, job `{report.job_id}`, tier **{report.tier}**: "
        f"episodes near a limit: {len(waiting)} of {report.judged}.\n\n{shown}"
        "| episode | gate | found | limit | what was seen |\n|---|---|---|---|---|\n" + "\n".join(rows) + more + "\n\n"
        "**Approve** renders and delivers them, **Reject** leaves them out. "
        "Choose single episodes under *Only these*; the others get the opposite answer.\n\n"
        f"To see one: `bpp episode render {report.scene_id} {waiting[0].episode_id} --out look`"
    )


def named_episodes(answer: dict[str, Any]) -> list[str]:
    """What the person named: a list, or text with commas between the ids."""
    named = (answer.get("params_input") or {}).get("only_episodes") or []
    return [part.strip() for part in (named.split(",") if isinstance(named, str) else map(str, named)) if part.strip()]


def unknown_episodes(waiting: list[str], answer: dict[str, Any]) -> list[str]:
    """Named episodes that wait for no decision."""
    return sorted(set(named_episodes(answer)) - set(waiting))


def chosen_episodes(waiting: list[str], answer: dict[str, Any]) -> list[str]:
    """The episodes that the answer keeps."""
    named, approved = set(named_episodes(answer)), answer["chosen_options"] == [APPROVE]
    return [episode_id for episode_id in waiting if approved == (episode_id in named or not named)]


def describe_decision(answer: dict[str, Any]) -> tuple[str, str]:
    """Who decided, and why, for the audit."""
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
