"""Tell people that somebody is asked about episodes: what was found, how to see them, where to answer, until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator

from blueprint_pipeline.delivery.slack_message import build_notice
from blueprint_pipeline.registry.approvals import LAPSE
from blueprint_pipeline.registry.records import Approval, Message
from operators.approval_picture import Picture
from plugins.providers.messages.compose import compose
from plugins.providers.messages.failure import runbook_of, scene_and_lab

if TYPE_CHECKING:
    from blueprint_pipeline.quality.report import GateReport
    from blueprint_pipeline.quality.verdicts import EpisodeVerdict

_SHOWN = 8
ASKED, QUESTION_LAPSED = "quality.approval_asked", "quality.approval_lapsed"


@dataclass(frozen=True)
class Asked:
    """What a person is asked about."""

    report: "GateReport"
    waiting: "Sequence[EpisodeVerdict]"
    """Its borderline episodes."""

    @property
    def ids(self) -> list[str]:
        return [episode.episode_id for episode in self.waiting]


def asked_message(
    context: Any,
    approval: Approval,
    asked: Asked,
    *,
    until: datetime,
    picture: Picture | None = None,
    unknown: Sequence[str] = (),
) -> Message:
    """One message a question and run that asks it; another where an answer was not taken."""
    scene_id, lab, waiting = asked.report.scene_id, scene_and_lab(context)[1], asked.waiting
    link = question_url(context)
    found = [
        f"{episode.episode_id}: {gate.message}"
        for episode in waiting[:_SHOWN]
        for gate in episode.gates
        if gate.borderline or not gate.passed
    ]
    more = [f"and {len(waiting) - _SHOWN} more"] if len(waiting) > _SHOWN else []
    refused = {"Not taken": f"The answer names {', '.join(unknown)}, which wait for no decision. Please answer again."} if unknown else {}
    shown = build_notice(
        f"Episodes of {scene_id} that wait for a person: {len(waiting)}",
        fields={"Scene": scene_id, "Lab": str(lab or "-"), "Gate": approval.gate, "Until": f"{until:%Y-%m-%d %H:%M} UTC, then rejected"},
        sections={
            **refused,
            "What was found": "\n".join([*found, *more]),
            **({} if picture is None else {"Picture": picture.describe()}),
            "To see one move": f"bpp episode render {scene_id} {waiting[0].episode_id} --out look",
        },
        links={"Answer": link, "Picture": None if picture is None else picture.link, "Runbook": runbook_of(ASKED)},
    )
    event = (approval.request_id, context["run_id"], ",".join(unknown))
    return compose("approval", *event, shown=shown, code=ASKED, link=link, **_about(context, approval))


def question_lapsed_message(context: Any, approval: Approval, *, until: datetime) -> Message:
    """What people are told if nobody answers; held until then."""
    count, link = len(approval.episodes), question_url(context)
    shown = build_notice(
        f"Nobody answered. Rejected episodes of {approval.scene_id}: {count}",
        fields={
            "Scene": approval.scene_id,
            "Lab": str(scene_and_lab(context)[1] or "-"),
            "Code": f"`{QUESTION_LAPSED}`",
            "Gate": approval.gate,
            "Answer was due": f"{until:%Y-%m-%d %H:%M} UTC",
        },
        sections={
            "What happened": f"The time to answer is over, so {', '.join(approval.episodes[:_SHOWN])}"
            f"{f' and {count - _SHOWN} more' if count > _SHOWN else ''} are left out. The run goes on with what is kept.",
            "What to do": "Nothing, if they may stay out. To be asked again, start a run of the scene with the same parameters: "
            "finished work is found.",
        },
        links={"Question": link, "Runbook": runbook_of(QUESTION_LAPSED)},
    )
    return compose(LAPSE, approval.request_id, shown=shown, code=QUESTION_LAPSED, link=link, **_about(context, approval))


def _about(context: Any, approval: Approval) -> dict[str, str | None]:
    return {"scene_id": approval.scene_id, "lab": scene_and_lab(context)[1], "run_id": str(context["run_id"])}


def question_url(context: Any) -> str | None:
    """The page in Airflow on which to answer; ``None`` where Airflow does not know its own address."""
    try:
        return HITLOperator.generate_link_to_ui_from_context(context=context)
    except (ValueError, KeyError):
        return None
