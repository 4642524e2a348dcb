"""Notify a lab through Standard Webhooks: signed, retried, and named so that the lab can drop what it has seen.

The same delivery is the same ``webhook-id`` in every attempt and every run; timestamp and signature are fresh.

Source: Standard Webhooks specification 1.0.0 (headers; secrets of 24 to 64 bytes; retries; 410 Gone means: stop calling).
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
import stamina
from pydantic import SecretStr
from standardwebhooks import Webhook

from blueprint_pipeline.bounded_post import post
from blueprint_pipeline.delivery.receipt import Receipt
from blueprint_pipeline.errors import ConfigurationError, TransientError
from blueprint_pipeline.public_url import public_origin
from blueprint_pipeline.registry.records import WebhookAttempt
from blueprint_pipeline.workspace.canonical import canonical_json

ATTEMPTS = 5
TIMEOUT_S = 15.0
"""For a whole call [s], from the connection to the last header of the answer; its body is not read."""
MAX_RETRY_AFTER_S = 60.0
_MAX_REASON = 200
"""Characters of a receiver's own words that are kept."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_RETRYABLE_STATUS = {408, 425, 429}
_SERVER_ERROR = 500
_MIN_SECRET_BYTES, _MAX_SECRET_BYTES = 24, 64
_SECRET_PREFIX = "whsec_"  # noqa: S105 -- the prefix that the specification gives to secrets


class WebhookUndelivered(TransientError):
    """The lab's receiver did not take the call, after retries."""

    code = "delivery.webhook_undelivered"
    template = (
        "{url} did not accept the call in {tries} attempts; last answer: {reason}. The delivery itself stands; run the stage again later."
    )

    url: str
    reason: str
    attempts: Sequence[object]

    @property
    def tries(self) -> int:
        """How often the receiver was called."""
        return len(self.attempts)


class WebhookRefused(ConfigurationError):
    """The lab's receiver refused the call, and would refuse it again."""

    code = "delivery.webhook_refused"
    template = "{url} answered {status}. Ask the lab whether the address and the secret are still right."

    url: str
    status: int
    attempts: Sequence[object]


class WebhookUrlInvalid(ConfigurationError):
    """The address cannot be called, or would send a call unencrypted."""

    code = "delivery.webhook_url_invalid"
    template = (
        "The webhook address {url} is no valid https address (http is taken on localhost alone). "
        "Correct the lab's profile or its connection."
    )

    url: str


class WebhookSecretInvalid(ConfigurationError):
    """The secret cannot sign."""

    code = "delivery.webhook_secret_invalid"
    template = "The webhook secret is not whsec_ and the base64 of 24 to 64 bytes. Ask the lab for its endpoint's secret."


class _NotAccepted(Exception):
    def __init__(self, attempt: WebhookAttempt, retry_after_s: float | None) -> None:
        super().__init__(attempt.error)
        self.attempt = attempt
        self.retry_after_s = retry_after_s


def message_id_of(receipt: Receipt) -> str:
    """The ``webhook-id`` of a delivery."""
    return f"msg_{receipt.delivery_id}"


def build_message(receipt: Receipt) -> bytes:
    """The body of the call: the same bytes for the same receipt.

    ``dataset_card_url`` and ``bundle_url`` stand where readers of the predecessor's call look for them.
    """
    data = receipt.model_dump(mode="json", exclude={"schema_version", "location", "delivered_at"})
    data["bundle_url"] = receipt.location
    return canonical_json({"type": "dataset.delivered", "timestamp": receipt.model_dump(mode="json")["delivered_at"], "data": data})


def send_message(
    receipt: Receipt, *, url: str, secret: SecretStr, record: Callable[[WebhookAttempt], object], first_attempt: int = 1
) -> list[WebhookAttempt]:
    """Call the lab's receiver until it answers with 2xx.

    Args:
        receipt: What was delivered.
        url: The receiver, ``https`` (``http`` only on this machine's loopback).
        secret: Signs the call, ``whsec_<base64>``.
        record: Keeps each attempt, as soon as it was made.
        first_attempt: Number of the first attempt: earlier runs may have made some.

    Returns:
        All attempts of this call, the last of them acknowledged.

    Raises:
        WebhookUrlInvalid: The address is not https.
        WebhookSecretInvalid: The secret cannot sign.
        WebhookRefused: The receiver said no for good (4xx).
        WebhookUndelivered: No 2xx after all attempts.
    """
    validate_url(url)
    signer = _signer(secret)
    attempts: list[WebhookAttempt] = []
    try:
        for retry in stamina.retry_context(on=_pause, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=20.0):
            with retry:
                attempt, retry_after_s = _call(signer, receipt, url, number=first_attempt + len(attempts))
                attempts.append(attempt)
                record(attempt)
                _validate_accepted(attempt, retry_after_s)
    except _NotAccepted as error:
        facts = [item.model_dump_json() for item in attempts]
        status = error.attempt.status_code
        if status is not None and not _may_change(status):
            raise WebhookRefused(public_origin(url), status, facts) from error
        raise WebhookUndelivered(public_origin(url), error.attempt.error or "", facts) from error
    return attempts


def validate_url(url: str) -> None:
    """Refuse an address that is malformed, or over which a call could be read or changed on its way.

    Raises:
        WebhookUrlInvalid: It is not https, nor http to this machine.
    """
    try:
        parts, asked = urlsplit(url), httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        scheme, separator, _ = url.partition("://")
        raise WebhookUrlInvalid(f"{scheme}{separator}…" if separator else "…") from error  # what follows may let its bearer in
    if parts.scheme == "https" and asked.host:
        return
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return
    raise WebhookUrlInvalid(public_origin(url))


def _signer(secret: SecretStr) -> Webhook:
    value = secret.get_secret_value()
    try:
        key = base64.b64decode(value.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise WebhookSecretInvalid from error
    if not value.startswith(_SECRET_PREFIX) or not _MIN_SECRET_BYTES <= len(key) <= _MAX_SECRET_BYTES:
        raise WebhookSecretInvalid
    return Webhook(key)


def _call(signer: Webhook, receipt: Receipt, url: str, *, number: int) -> tuple[WebhookAttempt, float | None]:
    body, message_id, at = build_message(receipt), message_id_of(receipt), datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer.sign(message_id, at, body.decode()),
    }
    status, error, retry_after_s = None, None, None
    try:
        response = post(url, body, headers, limit_s=TIMEOUT_S)
        status = response.status_code
        error = None if response.is_success else f"HTTP {status} {response.reason_phrase[:_MAX_REASON]}".strip()
        retry_after_s = _retry_after_s(response.headers.get("retry-after"), at)
    except httpx.TransportError as failure:
        error = f"{type(failure).__name__}: {failure}".rstrip(": ")
    except TimeoutError:
        error = f"TimeoutError: no answer within {TIMEOUT_S:.0f} s"
    duration_s = (datetime.now(UTC) - at).total_seconds()
    made = WebhookAttempt(
        delivery_id=receipt.delivery_id,
        message_id=message_id,
        attempt=number,
        at=at,
        url=public_origin(url),
        status_code=status,
        error=error,
        duration_s=duration_s,
    )
    return made, retry_after_s


def _validate_accepted(attempt: WebhookAttempt, retry_after_s: float | None) -> None:
    if not attempt.acknowledged:
        raise _NotAccepted(attempt, retry_after_s)


def _pause(error: Exception) -> bool | float:
    """Whether to try again, and after how many seconds where the receiver asked for it."""
    if not isinstance(error, _NotAccepted):
        return False
    status = error.attempt.status_code
    if status is not None and not _may_change(status):
        return False
    return True if error.retry_after_s is None else error.retry_after_s


def _may_change(status: int) -> bool:
    return status in _RETRYABLE_STATUS or status >= _SERVER_ERROR


def _retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds of a ``Retry-After`` header, bounded; RFC 9110 §10.2.3 allows a number or a date."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        return min(max((parsedate_to_datetime(value) - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)
    except (ValueError, TypeError):
        return None
