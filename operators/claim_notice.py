"""A claim of a scene that lapsed: its run was never started, or never ended. People are told, for no task of that run can tell them."""

from datetime import datetime
from typing import Any

from blueprint_pipeline.delivery.slack_message import build_notice
from blueprint_pipeline.registry.records import Message, SceneRecord
from operators.night_runs import NIGHTS, night_of
from plugins.providers.messages.compose import compose
from plugins.providers.messages.failure import run_url_of, runbook_of

CLAIM_LAPSED = "scenes.claim_lapsed"


def claim_lapsed_message(context: Any, scene: SceneRecord) -> Message:
    """What people are told of a claim that lapsed: of a scene as it was while it was claimed, in the transaction that frees it."""
    return run_lapsed_message(context, str(scene.running_run_id), scene.source.scene_id, scene.source.lab, scene.started_at)


def run_lapsed_message(context: Any, run_id: str, scene_id: str, lab: str, claimed_at: datetime | None) -> Message:
    """One message a claim: a run that lost its scene and claims it again can lose it again."""
    since = "-" if claimed_at is None else f"{claimed_at:%Y-%m-%d %H:%M} UTC"
    link = run_url_of(getattr(context.get("ti"), "log_url", None), NIGHTS, night_of(run_id))
    shown = build_notice(
        f"{scene_id}: the run that had it never ended",
        fields={"Scene": scene_id, "Lab": lab, "Code": f"`{CLAIM_LAPSED}`", "Run": f"`{run_id}`", "Claimed since": since},
        sections={
            "What happened": "A night claimed the scene. Its run was never started, or went away without its last task.",
            "What to do": "The scene is free; a night takes it again when it is due. If it happens again, look at the night's tasks "
            "start_scene and run_batch.",
        },
        links={"Night": link, "Runbook": runbook_of(CLAIM_LAPSED)},
    )
    about = {"scene_id": scene_id, "lab": lab, "run_id": run_id, "code": CLAIM_LAPSED, "link": link}
    return compose("claim_lapsed", run_id, claimed_at, shown=shown, **about)
