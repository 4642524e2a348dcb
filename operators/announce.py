"""Announce a delivered dataset in the team's channel: once a delivery, however many runs deliver it at the same time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from blueprint_pipeline.registry.records import is_acknowledged
from blueprint_pipeline.settings import load_settings
from operators.retries import STAGE_RETRIES
from plugins.providers.messages.compose import compose
from plugins.providers.messages.failure import run_url_of
from plugins.providers.messages.outbox import tell

if TYPE_CHECKING:
    from blueprint_pipeline.delivery.slack_message import SlackMessage

REPORTED = ("certify_dataset", "package_bundle", "price_run", "deliver_bundle", "notify_lab")
"""Stages whose results the announcement is made of."""


class AnnounceDeliveryOperator(BaseOperator):
    """Write what was delivered, with counts, cost and place, into the outbox; sent at once, or later by ``watch_runs``.

    Raises:
        AirflowSkipException: This delivery was announced before.
    """

    template_fields: Sequence[str] = ("scene_id", "lab")

    def __init__(self, *, scene_id: str, lab: str, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.scene_id = scene_id
        self.lab = lab

    def execute(self, context: Context) -> None:
        ti = context["ti"]
        results = {task: ti.xcom_pull(task_ids=task) for task in REPORTED}
        delivery_id, run_url = results["deliver_bundle"]["delivery_id"], run_url_of(getattr(ti, "log_url", None), ti.dag_id, ti.run_id)
        shown = build_announcement(self.scene_id, self.lab, results, run_url)
        link = results["deliver_bundle"]["report_url"]
        message = compose("delivery", delivery_id, shown=shown, scene_id=self.scene_id, lab=self.lab, run_id=ti.run_id, link=link)
        if not tell(message):
            raise AirflowSkipException(f"Delivery {delivery_id} was announced before: it is not announced again.")


def build_announcement(scene_id: str, lab: str, results: dict[str, Any], run_url: str | None) -> "SlackMessage":
    """The message of a delivery, from its receipt and what its stages returned."""
    from blueprint_pipeline.dataset.certify.describe import describe_certification
    from blueprint_pipeline.delivery.lab import load_lab
    from blueprint_pipeline.delivery.receipt import Receipt, receipt_path
    from blueprint_pipeline.delivery.slack_message import DeliveryFacts, build_delivery_message
    from blueprint_pipeline.workspace.storage import Workspace

    scene = Workspace(load_settings().workspace).scene(scene_id)
    receipt = Receipt.model_validate_json(scene.read_bytes(receipt_path(lab)))
    packed, certified, status = results["package_bundle"], results["certify_dataset"], (results["notify_lab"] or {}).get("status_code")
    facts = DeliveryFacts(
        lab_name=load_lab(lab).name,
        attempted=packed["attempted"],
        kept=packed["kept"],
        usd_per_kept_episode=results["price_run"]["usd_per_kept_episode"],
        licence=packed["licence"] or "none: see the bundle",
        certification=describe_certification(**{name: certified[name] for name in ("certified", "passed", "failed", "not_run")}),
        webhook_acknowledged=is_acknowledged(status),
    )
    return build_delivery_message(receipt, facts, run_url=run_url)
