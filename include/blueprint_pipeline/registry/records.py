"""Records that go into and come out of the registry: plain, frozen, without any database behind them.

Times are UTC and aware. Money is :data:`Usd`, exact to 1e-9 USD (the unit of Google's price lists).
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from blueprint_pipeline.workspace.storage import Id

NANO = Decimal("0.000000001")

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""US dollars; a number in JSON."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.0"] = "1.0"


class Lease(_Record):
    """The right to run something alone, until ``expires_at`` [UTC]."""

    name: str
    holder: str
    process: str
    """Machine and process of the holder, so that a killed one is known."""
    token: int
    """Fencing token: grows by one each time the lease changes hands, so that a late writer is known."""
    acquired_at: datetime
    expires_at: datetime


class ApprovalStatus(StrEnum):
    """Where a question to a person stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Approval(_Record):
    """A question to a person about episodes that the gates could not decide."""

    request_id: str
    """``apr_<12 hex>``, from the hash over job, asked episodes and round: a rerun finds the same request."""
    job_id: str
    scene_id: str
    episodes: tuple[str, ...]
    """The episodes asked about, sorted."""
    episodes_digest: str
    round: int = Field(ge=1)
    """Of this question; a round that nobody answered, or that was withdrawn, is followed by another where it is asked again."""
    gate: str
    message: str
    status: ApprovalStatus
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    actor: str | None
    reason: str | None
    approved_episodes: tuple[str, ...]
    """Those that may be kept; empty unless approved."""


class ApprovalEvent(_Record):
    """One line of the audit; never changed or removed."""

    request_id: str
    at: datetime
    action: Literal["requested", "approved", "rejected", "expired", "withdrawn"]
    actor: str
    reason: str


class Certainty(StrEnum):
    """How well a quantity, a price or an amount is known; different ones are never added up into one number."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


class LedgerEntry(_Record):
    """One cost of one commit. ``amount_usd`` is ``None`` exactly where its certainty is unknown."""

    commit_key: str
    item: str
    """What was used, e.g. ``vcpu``; with ``commit_key`` and ``occurred_at`` the identity of the entry."""
    scene_id: str
    stage: str
    unit: str
    job_id: str | None = None
    lab: str | None = None
    machine: str
    """Machine profile of the price table."""
    quantity: float | None = Field(ge=0)
    quantity_unit: str
    quantity_certainty: Certainty
    price_id: str | None
    price_table: str | None
    """``table_id`` of the price table, a date."""
    price_usd: Usd | None = Field(ge=0)
    """Of one ``quantity_unit``."""
    price_certainty: Certainty
    amount_usd: Usd | None = Field(ge=0)
    certainty: Certainty
    occurred_at: datetime

    @model_validator(mode="after")
    def _unknown_has_no_amount(self) -> Self:
        if (self.amount_usd is None) != (self.certainty is Certainty.UNKNOWN):
            raise ValueError(
                f"amount_usd={self.amount_usd} does not go with certainty '{self.certainty}': exactly an unknown cost has no amount"
            )
        return self


class LedgerTotal(_Record):
    """Sums by certainty: three columns that are not added up."""

    group: str
    """What the entries have in common: a stage, a scene, a lab."""
    measured_usd: Usd
    estimated_usd: Usd
    unknown_entries: int
    """Entries whose amount nobody knows: with any of them, the sums are a lower bound."""
    entries: int


DeliveryStatus = Literal["staged", "verified", "promoted", "notified", "failed"]


class Delivery(_Record):
    """One bundle on its way to one lab."""

    delivery_id: str
    """``dlv_<12 hex>``, from the hash over lab, bundle and bucket: delivering twice is the same delivery."""
    lab: str
    scene_id: str
    job_id: str
    bundle_sha256: str
    size_bytes: int
    url: str
    status: DeliveryStatus
    created_at: datetime
    updated_at: datetime
    receipt: dict[str, object] | None
    error: str | None


def is_acknowledged(status_code: int | None) -> bool:
    """Whether a lab's answer says that it took the message: any 2xx (RFC 9110, 15.3)."""
    return status_code is not None and HTTPStatus.OK <= status_code < HTTPStatus.MULTIPLE_CHOICES


class WebhookAttempt(_Record):
    """One try to tell a lab; ``status_code`` is ``None`` where no answer came."""

    delivery_id: str
    message_id: str
    attempt: int = Field(ge=1)
    at: datetime
    url: str
    status_code: int | None
    error: str | None
    duration_s: float = Field(ge=0)

    @property
    def acknowledged(self) -> bool:
        """Whether the lab answered with 2xx."""
        return is_acknowledged(self.status_code)


class SceneSource(_Record):
    """A scene to be processed, as configured."""

    scene_id: Id
    source_url: str
    lab: str = "internal"
    """Customer; due scenes of equal priority are shared out fairly between labs."""
    priority: int = 0
    """Higher first, as Airflow's ``priority_weight``."""
    pool: str = "default_pool"
    interval_s: float | None = Field(default=None, gt=0)
    """Process again this long after a success [s]; ``None``: once."""
    enabled: bool = True


class SceneRecord(_Record):
    """A scene with the state of its schedule."""

    source: SceneSource
    due_at: datetime | None
    """``None``: done, and not to be repeated."""
    running_run_id: str | None
    started_at: datetime | None
    last_run_id: str | None
    last_status: Literal["succeeded", "failed", "lost"] | None
    last_finished_at: datetime | None
    failures: int
    """Failures since the last success."""


MessageKind = Literal[
    "failure",
    "cancelled",
    "late",
    "recovery",
    "approval",
    "unanswered",
    "claim_lapsed",
    "delivery",
    "lab_not_told",
    "lab_given_up",
    "night",
]
"""What a message is about. The first three open an incident, ``recovery`` closes it."""
MessageStatus = Literal["waiting", "held", "sent", "given_up"]
"""``held``: sent only if what it is about happens, e.g. that nobody answers."""


class Message(_Record):
    """Something that people are told, written down with the event and sent by a sender of its own."""

    message_id: str
    """The event: the same event is one message, however often it is reported."""
    kind: MessageKind
    scene_id: str | None = None
    lab: str | None = None
    run_id: str | None = None
    code: str | None = None
    """Stable code of the error, where there is one."""
    text: str
    """One line, for notifications and channels without layout."""
    blocks: list[dict[str, object]] = []
    """Slack Block Kit."""
    link: str | None = None


class OutboxMessage(_Record):
    """A message with the state of its sending."""

    message: Message
    status: MessageStatus
    created_at: datetime
    due_at: datetime
    """Next try [UTC]."""
    attempts: int
    channel: str | None
    """Connection over which it arrived."""
    error: str | None
    """Of the last try that failed."""
    sent_at: datetime | None
    resolved_at: datetime | None
    """When the incident that it opened was over."""


RunStatus = Literal["running", "succeeded", "failed", "cancelled"]


class RunRecord(_Record):
    """One run of the flow, as people ask for it in the morning."""

    dag_id: str
    run_id: str
    scene_id: str
    lab: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    link: str | None = None
    """The run in Airflow's UI."""
    stage: str | None = None
    """Task that failed."""
    code: str | None = None
    message: str | None = None
    attempted: int | None = None
    kept: int | None = None
    usd: float | None = None
    """What is known of the run's cost, measured and estimated."""
    delivery_id: str | None = None
    report_url: str | None = None


class Baseline(_Record):
    """Metrics that later runs are compared with."""

    name: str
    revision: int
    recorded_at: datetime
    source: str
    """Where the metrics come from, e.g. a job id."""
    metrics: dict[str, object]
