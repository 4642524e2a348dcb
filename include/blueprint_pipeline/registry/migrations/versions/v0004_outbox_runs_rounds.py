"""Rounds of approvals, the outbox of messages, and the runs of the flow.

Every question that was asked so far is in its first round.

Revision ID: 0004
Revises: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Number the rounds of approvals; add ``outbox`` and ``run``."""
    with op.batch_alter_table("approval") as table:
        table.add_column(sa.Column("round", sa.Integer, nullable=False, server_default="1"))
        table.drop_constraint("uq_approval_question", type_="unique")
        table.create_unique_constraint("uq_approval_round", ["job_id", "episodes_digest", "round"])
    _make_outbox()
    _make_run()


def downgrade() -> None:
    """Keep the first round of each question alone; messages and runs are lost."""
    approval, audit = sa.table("approval", sa.column("request_id"), sa.column("round")), "approval_audit"
    later = [str(row[0]) for row in op.get_bind().execute(sa.select(approval.c.request_id).where(approval.c.round > 1))]
    if later:
        raise RuntimeError(f"{len(later)} later rounds of approvals have lines in {audit}, which cannot be removed: keep this revision")
    with op.batch_alter_table("approval") as table:
        table.drop_constraint("uq_approval_round", type_="unique")
        table.create_unique_constraint("uq_approval_question", ["job_id", "episodes_digest"])
        table.drop_column("round")
    op.drop_table("outbox")
    op.drop_table("run")


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("message_id", sa.String(255), primary_key=True),
        _column("schema_version", sa.String(16)),
        _column("kind", sa.String(32)),
        _column("scene_id", sa.String(128), nullable=True),
        _column("lab", sa.String(128), nullable=True),
        _column("run_id", sa.String(255), nullable=True),
        _column("code", sa.String(128), nullable=True),
        _column("text", sa.Text()),
        _column("blocks", sa.JSON()),
        _column("link", sa.Text(), nullable=True),
        _column("status", sa.String(16)),
        _column("created_at", sa.DateTime()),
        _column("due_at", sa.DateTime()),
        _column("attempts", sa.Integer()),
        _column("channel", sa.String(255), nullable=True),
        _column("error", sa.Text(), nullable=True),
        _column("sent_at", sa.DateTime(), nullable=True),
        _column("resolved_at", sa.DateTime(), nullable=True),
    )
    op.create_index("ix_outbox_due", "outbox", ["status", "due_at"])
    op.create_index("ix_outbox_scene", "outbox", ["scene_id", "kind"])


def _make_run() -> None:
    op.create_table(
        "run",
        sa.Column("dag_id", sa.String(255), primary_key=True),
        sa.Column("run_id", sa.String(255), primary_key=True),
        _column("schema_version", sa.String(16)),
        _column("scene_id", sa.String(128)),
        _column("lab", sa.String(128)),
        _column("status", sa.String(16)),
        _column("started_at", sa.DateTime()),
        _column("ended_at", sa.DateTime(), nullable=True),
        _column("link", sa.Text(), nullable=True),
        _column("stage", sa.String(128), nullable=True),
        _column("code", sa.String(128), nullable=True),
        _column("message", sa.Text(), nullable=True),
        _column("attempted", sa.Integer(), nullable=True),
        _column("kept", sa.Integer(), nullable=True),
        _column("usd", sa.Float(), nullable=True),
        _column("delivery_id", sa.String(16), nullable=True),
        _column("report_url", sa.Text(), nullable=True),
    )
    op.create_index("ix_run_status", "run", ["status"])
    op.create_index("ix_run_started", "run", ["started_at"])


def _column(name: str, kind: sa.types.TypeEngine[Any], *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable)
