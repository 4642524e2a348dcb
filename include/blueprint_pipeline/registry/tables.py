"""The tables, at the newest revision; ``migrations/`` brings an older database here.

Times are stored in UTC without an offset, money in whole nano dollars, so that sums are exact on both databases.
"""

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from blueprint_pipeline.registry.errors import ValueTooLong
from blueprint_pipeline.registry.ids import ID_CHARACTERS
from blueprint_pipeline.registry.records import NANO


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in Python, UTC without offset in the database.

    Raises:
        ValueError: A naive time was given; nobody knows which instant it means.
    """

    impl = DateTime(timezone=False)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; give an aware time")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


class BoundedString(TypeDecorator[str]):
    """A string of at most so many characters, on both databases: SQLite alone would take any, and PostgreSQL refuse it in production.

    Raises:
        ValueTooLong: A value has more.
    """

    impl = String
    cache_ok = True

    def __init__(self, characters: int) -> None:
        super().__init__(characters)
        self.characters = characters

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        del dialect
        if value is not None and len(value) > self.characters:
            raise ValueTooLong(value, len(value), self.characters)
        return value


class NanoUsd(TypeDecorator[Decimal]):
    """US dollars in Python, whole nano dollars in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """To the database."""
        del dialect
        return None if value is None else int((value / NANO).to_integral_value())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """From the database."""
        del dialect
        return None if value is None else int(value) * NANO


class Base(DeclarativeBase):
    """All tables."""


class StageCommitRow(Base):
    """A finished unit of a stage; ``document`` is the whole commit record."""

    __tablename__ = "stage_commit"
    __table_args__ = (Index("ix_stage_commit_scene", "scene_id", "finished_at"),)

    key: Mapped[str] = mapped_column(BoundedString(64), primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    scene_id: Mapped[str] = mapped_column(BoundedString(128))
    stage: Mapped[str] = mapped_column(BoundedString(64))
    unit: Mapped[str] = mapped_column(BoundedString(128))
    code_version: Mapped[str] = mapped_column(BoundedString(64))
    finished_at: Mapped[datetime] = mapped_column(UtcDateTime)
    document: Mapped[dict[str, object]] = mapped_column(JSON)


class LeaseRow(Base):
    """One row a name forever, so that tokens only grow; ``holder`` is empty when released."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(BoundedString(ID_CHARACTERS), primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    holder: Mapped[str] = mapped_column(BoundedString(ID_CHARACTERS))
    process: Mapped[str] = mapped_column(BoundedString(ID_CHARACTERS))
    token: Mapped[int] = mapped_column(BigInteger)
    acquired_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApprovalRow(Base):
    """A question to a person."""

    __tablename__ = "approval"
    __table_args__ = (
        UniqueConstraint("job_id", "episodes_digest", "round", name="uq_approval_round"),
        Index("ix_approval_due", "status", "expires_at"),
    )

    request_id: Mapped[str] = mapped_column(BoundedString(16), primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    job_id: Mapped[str] = mapped_column(BoundedString(128))
    scene_id: Mapped[str] = mapped_column(BoundedString(128))
    episodes: Mapped[list[str]] = mapped_column(JSON)
    episodes_digest: Mapped[str] = mapped_column(BoundedString(64))
    round: Mapped[int] = mapped_column(Integer, server_default="1")
    gate: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(BoundedString(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    actor: Mapped[str | None] = mapped_column(BoundedString(ID_CHARACTERS))
    reason: Mapped[str | None] = mapped_column(Text)
    approved_episodes: Mapped[list[str]] = mapped_column(JSON)


class ApprovalAuditRow(Base):
    """Append-only by triggers of the database."""

    __tablename__ = "approval_audit"

    audit_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    request_id: Mapped[str] = mapped_column(ForeignKey("approval.request_id"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    action: Mapped[str] = mapped_column(BoundedString(16))
    actor: Mapped[str] = mapped_column(BoundedString(ID_CHARACTERS))
    reason: Mapped[str] = mapped_column(Text)


class LedgerRow(Base):
    """One cost of one commit; work that is done again (lost files) has the same key, and costs again at another time."""

    __tablename__ = "ledger_entry"
    __table_args__ = (Index("ix_ledger_entry_scene", "scene_id"), Index("ix_ledger_entry_time", "occurred_at"))

    commit_key: Mapped[str] = mapped_column(BoundedString(64), primary_key=True)
    item: Mapped[str] = mapped_column(BoundedString(64), primary_key=True)
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    scene_id: Mapped[str] = mapped_column(BoundedString(128))
    stage: Mapped[str] = mapped_column(BoundedString(64))
    unit: Mapped[str] = mapped_column(BoundedString(128))
    job_id: Mapped[str | None] = mapped_column(BoundedString(128))
    lab: Mapped[str | None] = mapped_column(BoundedString(128))
    machine: Mapped[str] = mapped_column(BoundedString(64))
    quantity: Mapped[float | None] = mapped_column(Float)
    quantity_unit: Mapped[str] = mapped_column(BoundedString(32))
    quantity_certainty: Mapped[str] = mapped_column(BoundedString(16))
    price_id: Mapped[str | None] = mapped_column(BoundedString(128))
    price_table: Mapped[str | None] = mapped_column(BoundedString(32))
    price_usd: Mapped[str | None] = mapped_column(BoundedString(40))
    """Decimal as text: prices are finer than a nano dollar."""
    price_certainty: Mapped[str] = mapped_column(BoundedString(16))
    amount_nano_usd: Mapped[Decimal | None] = mapped_column(NanoUsd)
    certainty: Mapped[str] = mapped_column(BoundedString(16))


class DeliveryRow(Base):
    """One bundle for one lab."""

    __tablename__ = "delivery"
    __table_args__ = (Index("ix_delivery_lab", "lab", "status"),)

    delivery_id: Mapped[str] = mapped_column(BoundedString(16), primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    lab: Mapped[str] = mapped_column(BoundedString(128))
    scene_id: Mapped[str] = mapped_column(BoundedString(128))
    job_id: Mapped[str] = mapped_column(BoundedString(128))
    bundle_sha256: Mapped[str] = mapped_column(BoundedString(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    url: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(BoundedString(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    receipt: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)


class WebhookAttemptRow(Base):
    """One try to tell a lab."""

    __tablename__ = "webhook_attempt"

    message_id: Mapped[str] = mapped_column(BoundedString(128), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    delivery_id: Mapped[str] = mapped_column(ForeignKey("delivery.delivery_id"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    url: Mapped[str] = mapped_column(Text)
    status_code: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    duration_s: Mapped[float] = mapped_column(Float)


class SceneRow(Base):
    """A scene to be processed, with its schedule's state."""

    __tablename__ = "scene"
    __table_args__ = (Index("ix_scene_due", "enabled", "due_at"), Index("ix_scene_running", "running_run_id"))

    scene_id: Mapped[str] = mapped_column(BoundedString(128), primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    source_url: Mapped[str] = mapped_column(Text)
    lab: Mapped[str] = mapped_column(BoundedString(128))
    priority: Mapped[int] = mapped_column(Integer)
    pool: Mapped[str] = mapped_column(BoundedString(128))
    interval_s: Mapped[float | None] = mapped_column(Float)
    enabled: Mapped[bool] = mapped_column(Boolean)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    running_run_id: Mapped[str | None] = mapped_column(BoundedString(ID_CHARACTERS))
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_run_id: Mapped[str | None] = mapped_column(BoundedString(ID_CHARACTERS))
    last_status: Mapped[str | None] = mapped_column(BoundedString(16))
    last_finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures: Mapped[int] = mapped_column(Integer, server_default="0")


class OutboxRow(Base):
    """Something that people are told; one row an event."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_due", "status", "due_at"), Index("ix_outbox_scene", "scene_id", "kind"))

    message_id: Mapped[str] = mapped_column(BoundedString(ID_CHARACTERS), primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    kind: Mapped[str] = mapped_column(BoundedString(32))
    scene_id: Mapped[str | None] = mapped_column(BoundedString(128))
    lab: Mapped[str | None] = mapped_column(BoundedString(128))
    run_id: Mapped[str | None] = mapped_column(BoundedString(ID_CHARACTERS))
    code: Mapped[str | None] = mapped_column(BoundedString(128))
    text: Mapped[str] = mapped_column(Text)
    blocks: Mapped[list[dict[str, object]]] = mapped_column(JSON)
    link: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(BoundedString(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """Next try; while a sender has the message, when another may take it over."""
    attempts: Mapped[int] = mapped_column(Integer)
    channel: Mapped[str | None] = mapped_column(BoundedString(ID_CHARACTERS))
    error: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RunRow(Base):
    """One run of the flow."""

    __tablename__ = "run"
    __table_args__ = (Index("ix_run_status", "status"), Index("ix_run_started", "started_at"))

    dag_id: Mapped[str] = mapped_column(BoundedString(ID_CHARACTERS), primary_key=True)
    run_id: Mapped[str] = mapped_column(BoundedString(ID_CHARACTERS), primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    scene_id: Mapped[str] = mapped_column(BoundedString(128))
    lab: Mapped[str] = mapped_column(BoundedString(128))
    status: Mapped[str] = mapped_column(BoundedString(16))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    link: Mapped[str | None] = mapped_column(Text)
    stage: Mapped[str | None] = mapped_column(BoundedString(128))
    code: Mapped[str | None] = mapped_column(BoundedString(128))
    message: Mapped[str | None] = mapped_column(Text)
    attempted: Mapped[int | None] = mapped_column(Integer)
    kept: Mapped[int | None] = mapped_column(Integer)
    usd: Mapped[float | None] = mapped_column(Float)
    delivery_id: Mapped[str | None] = mapped_column(BoundedString(16))
    report_url: Mapped[str | None] = mapped_column(Text)


class BaselineRow(Base):
    """Metrics to compare later runs with."""

    __tablename__ = "baseline"

    name: Mapped[str] = mapped_column(BoundedString(128), primary_key=True)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    source: Mapped[str] = mapped_column(Text)
    metrics: Mapped[dict[str, object]] = mapped_column(JSON)


class CoverageRow(Base):
    """What became of one batch of episodes of a scene; ``document`` has the counts."""

    __tablename__ = "coverage"

    scene_id: Mapped[str] = mapped_column(BoundedString(128), primary_key=True)
    batch: Mapped[str] = mapped_column(BoundedString(64), primary_key=True)
    schema_version: Mapped[str] = mapped_column(BoundedString(16))
    robot: Mapped[str] = mapped_column(BoundedString(128))
    job_id: Mapped[str] = mapped_column(BoundedString(128))
    scene_sha256: Mapped[str] = mapped_column(BoundedString(64))
    plan_sha256: Mapped[str] = mapped_column(BoundedString(64))
    gates_sha256: Mapped[str | None] = mapped_column(BoundedString(64))
    renders_sha256: Mapped[str | None] = mapped_column(BoundedString(64))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    document: Mapped[dict[str, object]] = mapped_column(JSON)
