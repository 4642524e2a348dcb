"""What the batches of each scene cover.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "coverage",
        sa.Column("scene_id", sa.String(128), primary_key=True),
        sa.Column("batch", sa.String(64), primary_key=True),
        sa.Column("schema_version", sa.String(16), nullable=False),
        sa.Column("robot", sa.String(128), nullable=False),
        sa.Column("job_id", sa.String(128), nullable=False),
        sa.Column("scene_sha256", sa.String(64), nullable=False),
        sa.Column("plan_sha256", sa.String(64), nullable=False),
        sa.Column("gates_sha256", sa.String(64), nullable=True),
        sa.Column("renders_sha256", sa.String(64), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=False), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    """Forget what was counted; the files of each scene's last batch have it still."""
    op.drop_table("coverage")
