"""Announce a delivered dataset in the team's Slack channel: once a delivery, however often the run is repeated."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from blueprint_pipeline.settings import load_settings
from operators.retries import STAGE_RETRIES
from plugins.providers.slack.failure import CONNECTION_ID

if TYPE_CHECKING:
    from blueprint_pipeline.delivery.slack_message import SlackMessage

REPORTED = ("certify_dataset", "package_bundle", "price_run", "deliver_bundle", "notify_lab")
"""Stages whose results the announcement is made of."""


class AnnounceDeliveryOperator(BaseOperator):
    """Post what was delivered, with counts, cost and place, to Slack; the registry records that it was announced.

    Raises:
        AirflowSkipException: There is no Slack connection, or this delivery was announced before.
    """

    template_fields: Sequence[str] = ("scene_id", "lab")

    def __init__(self, *, scene_id: str, lab: str, connection_id: str = CONNECTION_ID, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.scene_id = scene_id
        self.lab = lab
        self.connection_id = connection_id

    def execute(self, context: Context) -> None:
        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

        from blueprint_pipeline.registry.database import open_registry
        from blueprint_pipeline.registry.records import WebhookAttempt

        ti = context["ti"]
        results = {task: ti.xcom_pull(task_ids=task) for task in REPORTED}
        delivery_id, message_id = results["deliver_bundle"]["delivery_id"], f"slack_{results['deliver_bundle']['delivery_id']}"
        deliveries = open_registry(load_settings().registry).deliveries
        told = [attempt for attempt in deliveries.attempts(delivery_id) if attempt.message_id == message_id]
        if any(attempt.acknowledged for attempt in told):
            raise AirflowSkipException(f"Delivery {delivery_id} was announced before: it is not announced again.")
        message = build_announcement(self.scene_id, self.lab, results, getattr(ti, "log_url", None))
        began = time.monotonic()
        try:
            answer = SlackWebhookHook(slack_webhook_conn_id=self.connection_id).send(text=message.text, blocks=message.blocks)
        except AirflowNotFoundException as error:
            raise AirflowSkipException(f"There is no connection '{self.connection_id}': no message was sent. {message.text}") from error
        deliveries.record_attempt(
            WebhookAttempt(
                delivery_id=delivery_id,
                message_id=message_id,
                attempt=len(told) + 1,
                at=datetime.now(UTC),
                url=f"connection:{self.connection_id}",
                status_code=answer.status_code,
                error=None,
                duration_s=time.monotonic() - began,
            )
        )
        self.log.info("Slack message sent: %s", message.text)


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
        webhook_acknowledged=status is not None and 200 <= status < 300,  # noqa: PLR2004 -- HTTP success
    )
    return build_delivery_message(receipt, facts, run_url=run_url)
