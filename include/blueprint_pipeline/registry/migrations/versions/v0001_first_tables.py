"""The first tables.

Revision ID: 0001
Revises: nothing
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _column(
    name: str, kind: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]], *, nullable: bool = False, primary_key: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, primary_key=primary_key)


def upgrade() -> None:
    """Make all tables."""
    _create_commits_and_leases()
    _create_approvals()
    _create_ledger()
    _create_deliveries()
    _create_scenes_and_baselines()
    _forbid_changes("approval_audit")


def _create_commits_and_leases() -> None:
    op.create_table(
        "stage_commit",
        _column("key", sa.String(64), primary_key=True),
        _column("schema_version", sa.String(16)),
        _column("scene_id", sa.String(128)),
        _column("stage", sa.String(64)),
        _column("unit", sa.String(128)),
        _column("code_version", sa.String(64)),
        _column("finished_at", sa.DateTime),
        _column("document", sa.JSON),
    )
    op.create_index("ix_stage_commit_scene", "stage_commit", ["scene_id", "finished_at"])
    op.create_table(
        "lease",
        _column("name", sa.String(255), primary_key=True),
        _column("schema_version", sa.String(16)),
        _column("holder", sa.String(255)),
        _column("process", sa.String(255)),
        _column("token", sa.BigInteger),
        _column("acquired_at", sa.DateTime),
        _column("expires_at", sa.DateTime),
    )


def _create_approvals() -> None:
    op.create_table(
        "approval",
        _column("request_id", sa.String(16), primary_key=True),
        _column("schema_version", sa.String(16)),
        _column("job_id", sa.String(128)),
        _column("scene_id", sa.String(128)),
        _column("episodes", sa.JSON),
        _column("episodes_digest", sa.String(64)),
        _column("gate", sa.String(128)),
        _column("message", sa.Text),
        _column("status", sa.String(16)),
        _column("created_at", sa.DateTime),
        _column("expires_at", sa.DateTime),
        _column("decided_at", sa.DateTime, nullable=True),
        _column("actor", sa.String(255), nullable=True),
        _column("reason", sa.Text, nullable=True),
        _column("approved_episodes", sa.JSON),
        sa.UniqueConstraint("job_id", "episodes_digest", name="uq_approval_question"),
    )
    op.create_index("ix_approval_due", "approval", ["status", "expires_at"])
    op.create_table(
        "approval_audit",
        sa.Column("audit_id", sa.Integer, primary_key=True, autoincrement=True),
        _column("schema_version", sa.String(16)),
        sa.Column("request_id", sa.String(16), sa.ForeignKey("approval.request_id"), nullable=False),
        _column("at", sa.DateTime),
        _column("action", sa.String(16)),
        _column("actor", sa.String(255)),
        _column("reason", sa.Text),
    )
    op.create_index("ix_approval_audit_request_id", "approval_audit", ["request_id"])


def _create_ledger() -> None:
    op.create_table(
        "ledger_entry",
        _column("commit_key", sa.String(64), primary_key=True),
        _column("item", sa.String(64), primary_key=True),
        _column("occurred_at", sa.DateTime, primary_key=True),
        _column("schema_version", sa.String(16)),
        _column("scene_id", sa.String(128)),
        _column("stage", sa.String(64)),
        _column("unit", sa.String(128)),
        _column("job_id", sa.String(128), nullable=True),
        _column("lab", sa.String(128), nullable=True),
        _column("machine", sa.String(64)),
        _column("quantity", sa.Float, nullable=True),
        _column("quantity_unit", sa.String(32)),
        _column("quantity_certainty", sa.String(16)),
        _column("price_id", sa.String(128), nullable=True),
        _column("price_table", sa.String(32), nullable=True),
        _column("price_usd", sa.String(40), nullable=True),
        _column("price_certainty", sa.String(16)),
        _column("amount_usd", sa.Float, nullable=True),
        _column("certainty", sa.String(16)),
    )
    op.create_index("ix_ledger_entry_scene", "ledger_entry", ["scene_id"])
    op.create_index("ix_ledger_entry_time", "ledger_entry", ["occurred_at"])


def _create_deliveries() -> None:
    op.create_table(
        "delivery",
        _column("delivery_id", sa.String(16), primary_key=True),
        _column("schema_version", sa.String(16)),
        _column("lab", sa.String(128)),
        _column("scene_id", sa.String(128)),
        _column("job_id", sa.String(128)),
        _column("bundle_sha256", sa.String(64)),
        _column("size_bytes", sa.BigInteger),
        _column("url", sa.Text),
        _column("status", sa.String(16)),
        _column("created_at", sa.DateTime),
        _column("updated_at", sa.DateTime),
        _column("receipt", sa.JSON, nullable=True),
        _column("error", sa.Text, nullable=True),
    )
    op.create_index("ix_delivery_lab", "delivery", ["lab", "status"])
    op.create_table(
        "webhook_attempt",
        _column("message_id", sa.String(128), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        _column("schema_version", sa.String(16)),
        sa.Column("delivery_id", sa.String(16), sa.ForeignKey("delivery.delivery_id"), nullable=False),
        _column("at", sa.DateTime),
        _column("url", sa.Text),
        _column("status_code", sa.Integer, nullable=True),
        _column("error", sa.Text, nullable=True),
        _column("duration_s", sa.Float),
    )
    op.create_index("ix_webhook_attempt_delivery_id", "webhook_attempt", ["delivery_id"])


def _create_scenes_and_baselines() -> None:
    op.create_table(
        "scene",
        _column("scene_id", sa.String(128), primary_key=True),
        _column("schema_version", sa.String(16)),
        _column("source_url", sa.Text),
        _column("lab", sa.String(128)),
        _column("priority", sa.Integer),
        _column("pool", sa.String(128)),
        _column("interval_s", sa.Float, nullable=True),
        _column("enabled", sa.Boolean),
        _column("due_at", sa.DateTime, nullable=True),
        _column("running_run_id", sa.String(255), nullable=True),
        _column("started_at", sa.DateTime, nullable=True),
        _column("last_run_id", sa.String(255), nullable=True),
        _column("last_status", sa.String(16), nullable=True),
        _column("last_finished_at", sa.DateTime, nullable=True),
    )
    op.create_index("ix_scene_due", "scene", ["enabled", "due_at"])
    op.create_index("ix_scene_running", "scene", ["running_run_id"])
    op.create_table(
        "baseline",
        _column("name", sa.String(128), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        _column("schema_version", sa.String(16)),
        _column("recorded_at", sa.DateTime),
        _column("source", sa.Text),
        _column("metrics", sa.JSON),
    )


def _forbid_changes(table: str) -> None:
    """Rows of ``table`` can be added, and neither changed nor removed."""
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            refuse = f"SELECT RAISE(ABORT, '{table} is append-only')"
            op.execute(f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} BEGIN {refuse}; END")
        return
    refuse = f"BEGIN RAISE EXCEPTION '{table} is append-only'; END"
    op.execute(f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ {refuse} $$")
    event = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"
    op.execute(f"CREATE TRIGGER {table}_no_change {event} EXECUTE FUNCTION {table}_append_only()")


def downgrade() -> None:
    """Drop all tables; their rows are lost."""
    for table in (
        "webhook_attempt",
        "delivery",
        "approval_audit",
        "approval",
        "ledger_entry",
        "lease",
        "stage_commit",
        "scene",
        "baseline",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION approval_audit_append_only()")
