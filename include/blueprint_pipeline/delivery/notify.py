"""Announce a delivery to its lab, once."""

from pydantic import BaseModel, ConfigDict, SecretStr

from blueprint_pipeline.delivery.lab import LabProfile
from blueprint_pipeline.delivery.receipt import Receipt
from blueprint_pipeline.delivery.webhook import message_id_of, send_message
from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.registry.deliveries import DeliveryRepository
from blueprint_pipeline.registry.records import WebhookAttempt
from blueprint_pipeline.workspace.storage import Id


class WebhookSecretMissing(ConfigurationError):
    """There is no secret to sign a lab's webhook with."""

    code = "delivery.webhook_secret_missing"
    template = (
        "The webhook of lab {lab} is signed, and this process was given no secret. Put it into the Airflow "
        "connection '{connection}' (password), or into BPP__DELIVERY__WEBHOOK_SECRET."
    )

    lab: str
    connection: str


class Notification(BaseModel):
    """``deliveries/{lab}/notification.json``: that the lab was notified."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: str = "1.0"
    delivery_id: Id
    message_id: str
    url: str
    attempts: tuple[WebhookAttempt, ...]
    """Every call of all runs, oldest first."""


def notification_path(lab: str) -> str:
    """Where a lab's notification lies in the scene's folder."""
    return f"deliveries/{lab}/notification.json"


def notify_lab(
    profile: LabProfile, receipt: Receipt, *, url: str | None, secret: SecretStr | None, deliveries: DeliveryRepository
) -> Notification:
    """Call the lab's webhook, unless it has acknowledged this delivery before.

    Args:
        profile: The lab.
        receipt: What was delivered.
        url: Takes the place of the profile's address.
        secret: Signs the call.
        deliveries: Where attempts are kept.

    Raises:
        WebhookSecretMissing: There is no secret.
        WebhookRefused: The receiver said no for good.
        WebhookUndelivered: It did not answer with 2xx after all attempts; they are recorded.
    """
    if secret is None:
        raise WebhookSecretMissing(profile.id, profile.webhook.secret_connection)
    address, message_id = url or str(profile.webhook.url), message_id_of(receipt)
    _record_notification(receipt, deliveries)
    earlier = [attempt for attempt in deliveries.attempts(receipt.delivery_id) if attempt.message_id == message_id]
    if not deliveries.is_acknowledged(message_id):
        first = max((attempt.attempt for attempt in earlier), default=0) + 1
        send_message(receipt, url=address, secret=secret, record=deliveries.record_attempt, first_attempt=first)
    deliveries.advance(receipt.delivery_id, "notified")
    attempts = [attempt for attempt in deliveries.attempts(receipt.delivery_id) if attempt.message_id == message_id]
    return Notification(delivery_id=receipt.delivery_id, message_id=message_id, url=attempts[-1].url, attempts=tuple(attempts))


def _record_notification(receipt: Receipt, deliveries: DeliveryRepository) -> None:
    """Enter a delivery into a registry that does not know it (a new database beside an old workspace)."""
    if deliveries.find(receipt.delivery_id) is not None:
        return
    deliveries.start(
        receipt.delivery_id,
        lab=receipt.lab,
        scene_id=receipt.scene_id,
        job_id=receipt.job_id,
        bundle_sha256=receipt.statement_sha256,
        size_bytes=receipt.size_bytes,
        url=receipt.location,
    )
    deliveries.advance(receipt.delivery_id, "promoted", receipt=receipt.model_dump(mode="json"))
