"""The end of a run: what the registry keeps of it, what is freed, and whom it is told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from blueprint_pipeline.delivery.slack_message import SlackMessage, build_notice
from blueprint_pipeline.registry.ids import run_name
from blueprint_pipeline.registry.leases import lease_holder
from blueprint_pipeline.registry.records import Message, MessageKind, OutboxMessage, RunRecord
from blueprint_pipeline.settings import load_settings
from operators.left_leases import free_left_leases
from plugins.providers.messages.compose import compose
from plugins.providers.messages.failure import build_message
from plugins.providers.messages.outbox import send_now

if TYPE_CHECKING:
    from blueprint_pipeline.registry.database import Registry

RESULTS = ("package_bundle", "price_run", "deliver_bundle")
"""Stages whose results are kept with the run."""
CANCELLED = "run.cancelled"


def close_run(context: Any, scene_id: str, undone: Mapping[str, str]) -> list[str]:
    """Enter the end of a run, free what it held and write down what people are told; the names of leases that it still had."""
    from blueprint_pipeline.registry.database import open_registry

    ti, run_id = context["ti"], str(context["run_id"])
    facts = facts_of({task: ti.xcom_pull(task_ids=task) for task in RESULTS})
    with open_registry(load_settings().registry) as registry:
        with registry.together():
            freed = [lease.name for lease in free_left_leases(registry.leases, lease_holder(run_name(ti.dag_id, run_id)))]
            registry.approvals.withdraw_all(scene_id, run_id)
            if registry.scenes.find(scene_id) is not None:
                registry.scenes.mark_finished(scene_id, run_id, "failed" if undone else "succeeded")
            run = registry.runs.find(ti.dag_id, run_id)
            if run is not None:
                run = registry.runs.note(ti.dag_id, run_id, **facts)
            message = _enter_failure(registry, context, run, undone) if undone else enter_success(registry, run)
        if message is not None:
            send_now(registry, message.message_id)
    return freed


def _enter_failure(registry: "Registry", context: Any, run: RunRecord | None, undone: Mapping[str, str]) -> Message:
    """The alert is that of the task that failed, where that one told people itself."""
    failed = next(iter(undone))
    message = build_message({**context, "exception": None, "task": None, "ti": _Failed(context["ti"], failed)})
    if run is not None:
        alert = registry.outbox.find(message.message_id)
        known = {} if alert is None else {"code": alert.message.code, "message": alert.message.text}
        registry.runs.note(run.dag_id, run.run_id, stage=failed, **known)
        registry.runs.end(run.dag_id, run.run_id, "failed")
    registry.outbox.add(message)
    return message


def enter_success(registry: "Registry", run: RunRecord | None) -> Message | None:
    """A run is done: the incidents of its scene that people were told of are over, and they are told so, once."""
    if run is None:
        return None
    registry.runs.end(run.dag_id, run.run_id, "succeeded")
    incidents = registry.outbox.open_incidents(run.scene_id)
    if not incidents:
        return None
    message = _recovery(run, incidents)
    registry.outbox.resolve([incident.message.message_id for incident in incidents], message)
    return message


class _Failed:
    """A task instance as the alert shows it, of a task that failed without an alert of its own (marked failed by hand)."""

    def __init__(self, closing: Any, task_id: str) -> None:
        self.dag_id, self.run_id, self.task_id = closing.dag_id, closing.run_id, task_id
        self.map_index, self.try_number = -1, closing.try_number
        self.log_url = getattr(closing, "log_url", None)


def facts_of(results: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """What a run came to, from the results of its stages; a stage that did not run gives nothing."""
    packed, priced, delivered = (results.get(name) or {} for name in RESULTS)
    usd = priced["measured_usd"] + priced["estimated_usd"] if {"measured_usd", "estimated_usd"} <= set(priced) else None
    facts = {
        "attempted": packed.get("attempted"),
        "kept": packed.get("kept"),
        "usd": usd,
        "delivery_id": delivered.get("delivery_id"),
        "report_url": delivered.get("report_url"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _recovery(run: RunRecord, incidents: Sequence[OutboxMessage]) -> Message:
    began = min(incident.created_at for incident in incidents)
    shown = build_notice(
        f"{run.scene_id} is done: recovered",
        fields={
            "Scene": run.scene_id,
            "Lab": run.lab,
            "First reported": f"{began:%Y-%m-%d %H:%M} UTC",
            "Kept": "-" if run.kept is None else f"{run.kept} of {run.attempted}",
        },
        sections={"What had failed": "\n".join(dict.fromkeys(incident.message.text for incident in incidents))},
        links={"Run": run.link, "Report": run.report_url},
    )
    return _about(run, "recovery", began, shown)


def cancelled_message(how: str, run: RunRecord) -> Message:
    """A run ended without its last task: a person cancelled it, or marked it as done."""
    shown = build_notice(
        f"{run.scene_id}: the run was {how} by hand",
        fields={"Scene": run.scene_id, "Lab": run.lab, "Run": f"`{run.run_id}`", "Code": f"`{CANCELLED}`"},
        sections={
            "What to do": "Nothing, if that was meant: the scene is free again and finished work is kept. To go on, clear the run's tasks."
        },
        links={"Run": run.link},
    )
    return _about(run, "cancelled", run.ended_at, shown, CANCELLED)  # a run that is cleared can be cancelled again


def _about(run: RunRecord, kind: MessageKind, when: datetime | None, shown: SlackMessage, code: str | None = None) -> Message:
    about = {"scene_id": run.scene_id, "lab": run.lab, "run_id": run.run_id, "code": code, "link": run.link}
    return compose(kind, run.dag_id, run.run_id, when, shown=shown, **about)
