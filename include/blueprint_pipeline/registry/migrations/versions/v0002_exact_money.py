"""Money in whole nano dollars instead of floats, and a count of failures for each scene.

Sums of floats depend on their order; sums of integers do not. A scene whose last run failed starts with one failure.

Revision ID: 0002
Revises: 0001
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ledger = sa.table(
    "ledger_entry",
    sa.column("commit_key", sa.String),
    sa.column("item", sa.String),
    sa.column("occurred_at", sa.DateTime),
    sa.column("amount_usd", sa.Float),
    sa.column("amount_nano_usd", sa.BigInteger),
)
_scene = sa.table("scene", sa.column("failures", sa.Integer), sa.column("last_status", sa.String))


def upgrade() -> None:
    """Convert amounts (unknown stays unknown), add ``scene.failures``."""
    op.add_column("ledger_entry", sa.Column("amount_nano_usd", sa.BigInteger, nullable=True))
    _convert("amount_usd", "amount_nano_usd", lambda usd: round(usd * 1e9))
    op.drop_column("ledger_entry", "amount_usd")
    op.add_column("scene", sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
    op.execute(_scene.update().where(_scene.c.last_status == "failed").values(failures=1))


def downgrade() -> None:
    """Back to floats; the counts of failures are lost."""
    op.drop_column("scene", "failures")
    op.add_column("ledger_entry", sa.Column("amount_usd", sa.Float, nullable=True))
    _convert("amount_nano_usd", "amount_usd", lambda nano: nano / 1e9)
    op.drop_column("ledger_entry", "amount_nano_usd")


def _convert(source: str, target: str, convert: Callable[[float], float]) -> None:
    connection = op.get_bind()
    old = _ledger.c[source]
    keys = (_ledger.c.commit_key, _ledger.c.item, _ledger.c.occurred_at)
    for *key, value in connection.execute(sa.select(*keys, old).where(old.is_not(None))).all():
        same = [column == part for column, part in zip(keys, key, strict=True)]
        connection.execute(_ledger.update().where(*same).values({target: convert(value)}))
