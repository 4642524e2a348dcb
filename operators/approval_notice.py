"""Tell people that somebody is asked about episodes: what was found, how to see them, where to answer, until when."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator

from blueprint_pipeline.delivery.slack_message import build_notice
from blueprint_pipeline.registry.records import Approval, Message
from plugins.providers.messages.failure import runbook_of, scene_and_lab
from plugins.providers.messages.outbox import tell

if TYPE_CHECKING:
    from blueprint_pipeline.quality.report import GateReport

_SHOWN = 8
ASKED = "quality.approval_asked"


def tell_asked(context: Any, approval: Approval, report: "GateReport", *, until: datetime, unknown: Sequence[str] = ()) -> None:
    """One message a question; another where an answer was not taken."""
    scene_id, lab = report.scene_id, scene_and_lab(context)[1]
    link = question_url(context)
    waiting = report.with_verdict("borderline")
    found = [
        f"{episode.episode_id}: {gate.message}"
        for episode in waiting[:_SHOWN]
        for gate in episode.gates
        if gate.borderline or not gate.passed
    ]
    more = [f"and {len(waiting) - _SHOWN} more"] if len(waiting) > _SHOWN else []
    refused = {"Not taken": f"The answer names {', '.join(unknown)}, which wait for no decision. Please answer again."} if unknown else {}
    shown = build_notice(
        f"{len(waiting)} episodes of {scene_id} wait for a person",
        fields={"Scene": scene_id, "Lab": str(lab or "-"), "Gate": approval.gate, "Until": f"{until:%Y-%m-%d %H:%M} UTC, then rejected"},
        sections={
            **refused,
            "What was found": "\n".join([*found, *more]),
            "To see one": f"bpp episode render {scene_id} {waiting[0].episode_id} --out look",
        },
        links={"Answer": link, "Runbook": runbook_of(ASKED)},
    )
    suffix = f"/{'+'.join(unknown)[:100]}" if unknown else ""
    tell(
        Message(
            message_id=f"approval/{approval.request_id}{suffix}",
            kind="approval",
            scene_id=scene_id,
            lab=lab,
            run_id=str(context["run_id"]),
            code=ASKED,
            text=shown.text,
            blocks=shown.blocks,
            link=link,
        )
    )


def question_url(context: Any) -> str | None:
    """The page in Airflow on which to answer; ``None`` where Airflow does not know its own address."""
    try:
        return HITLOperator.generate_link_to_ui_from_context(context=context)
    except (ValueError, KeyError):
        return None
