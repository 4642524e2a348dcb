"""A claim of a scene that lapsed: its run was never started, or never ended. People are told, for no task of that run can tell them."""

from datetime import datetime
from typing import Any

from blueprint_pipeline.delivery.slack_message import build_notice
from blueprint_pipeline.registry.records import Message, SceneRecord
from plugins.providers.messages.failure import run_url_of, runbook_of

LAPSED = "scenes.claim_lapsed"
NIGHTS = "nightly_scenes"
"""The DAG that claims scenes."""


def night_of(run_id: str, scene_id: str) -> str:
    """The run id of the night that claimed a scene for a run."""
    return run_id.partition(f"__{scene_id}")[0]


def claim_lapsed_message(context: Any, scene: SceneRecord) -> Message:
    """One message a claim, of a scene as it was while it was claimed; written down in the transaction that frees it."""
    return lapsed_message(context, str(scene.running_run_id), scene.source.scene_id, scene.source.lab, scene.started_at)


def lapsed_message(context: Any, run_id: str, scene_id: str, lab: str, started_at: datetime | None) -> Message:
    """What people are told of a run that a night wanted, and that went away without an end."""
    since = "" if started_at is None else f"{started_at:%Y-%m-%d %H:%M} UTC"
    link = run_url_of(getattr(context.get("ti"), "log_url", None), NIGHTS, night_of(run_id, scene_id))
    shown = build_notice(
        f"{scene_id}: the run that had it never ended",
        fields={"Scene": scene_id, "Lab": lab, "Code": f"`{LAPSED}`", "Run": f"`{run_id}`", "Claimed since": since or "-"},
        sections={
            "What happened": "A night claimed the scene. Its run was never started, or went away without its last task.",
            "What to do": "The scene is free; a night takes it again when it is due. If this comes again, look at the night's tasks "
            "start_scene and run_batch.",
        },
        links={"Night": link, "Runbook": runbook_of(LAPSED)},
    )
    return Message(
        message_id=f"claim_lapsed/{run_id}/{since}",
        kind="lapsed",
        scene_id=scene_id,
        lab=lab,
        run_id=run_id,
        code=LAPSED,
        text=shown.text,
        blocks=shown.blocks,
        link=link,
    )
