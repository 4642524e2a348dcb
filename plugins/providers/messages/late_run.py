"""A run that is not done at its deadline: told once, while it runs. What it waits for, where, and what to do."""

import asyncio
from datetime import datetime
from typing import Any
from urllib.parse import quote

from blueprint_pipeline.delivery.slack_message import build_notice
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import Approval, Message, RunRecord
from blueprint_pipeline.settings import load_settings
from plugins.providers.messages.compose import compose
from plugins.providers.messages.failure import runbook_of
from plugins.providers.messages.outbox import REGISTRY_WAIT_S, write_down

LATE = "run.late"
OVER = frozenset({"success", "failed"})


async def tell_late_run(context: dict[str, Any], base_url: str = "") -> None:
    """Called by Airflow's triggerer when a deadline has passed, also of a run that has failed meanwhile: that was told before.

    Args:
        context: ``dag_run`` and ``deadline`` as Airflow's API shows them.
        base_url: Of Airflow's UI.
    """
    if str(context["dag_run"]["state"]) not in OVER:
        await asyncio.to_thread(_tell, context["dag_run"], context["deadline"], base_url)


def _tell(run: dict[str, Any], deadline: dict[str, Any], base_url: str) -> None:
    with open_registry(load_settings().registry, wait_s=REGISTRY_WAIT_S) as registry:
        known = registry.runs.find(str(run["dag_id"]), str(run["dag_run_id"]))
        scene_id = known.scene_id if known else (run.get("conf") or {}).get("scene_id")
        waiting = next((asked for asked in registry.approvals.pending() if asked.scene_id == scene_id), None)
    write_down(build_late_message(run, deadline["deadline_time"], known, waiting, base_url))


def build_late_message(
    run: dict[str, Any], deadline: datetime | str, known: RunRecord | None, waiting: Approval | None, base_url: str
) -> Message:
    """The page about a run that is late."""
    dag_id, run_id, conf = str(run["dag_id"]), str(run["dag_run_id"]), run.get("conf") or {}
    scene_id = known.scene_id if known else conf.get("scene_id")
    lab = known.lab if known else conf.get("lab")
    link = f"{base_url.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id)}" if base_url else None
    if waiting is not None:
        todo = f"It waits for a person until {waiting.expires_at:%H:%M} UTC: answer under Required actions. {waiting.message}"
    elif run["state"] == "queued":
        todo = "It has not begun: other runs of the DAG use its places (max_active_runs). Wait, or cancel what is less urgent."
    else:
        todo = "Open the run and see which task runs or waits. Waiting for a place: look at its pool. Running: its log says how far it is."
    shown = build_notice(
        f"{scene_id or dag_id} is late",
        fields={
            "Scene": str(scene_id or "-"),
            "Lab": str(lab or "-"),
            "Code": f"`{LATE}`",
            "State": str(run["state"]),
            "Run": f"`{run_id}`",
            "Deadline": f"{deadline:%Y-%m-%d %H:%M} UTC" if isinstance(deadline, datetime) else deadline,
        },
        sections={"What to do": todo},
        links={"Open run": link, "Runbook": runbook_of(LATE)},
    )
    return compose("late", dag_id, run_id, shown=shown, scene_id=scene_id, lab=lab, run_id=run_id, code=LATE, link=link)
