"""Commit records say what machine the work was done on, and with which packages (their ``schema_version`` 1.1).

The ledger knows the machine of every commit that was booked; where nothing was booked it is ``unknown``, which no price table has.
Nobody knows the packages of old commits: they have none.

Revision ID: 0003
Revises: 0002
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_commit = sa.table("stage_commit", sa.column("key", sa.String), sa.column("schema_version", sa.String), sa.column("document", sa.JSON))
_ledger = sa.table("ledger_entry", sa.column("commit_key", sa.String), sa.column("machine", sa.String))


def upgrade() -> None:
    """Add ``machine`` to each record, from what was booked for it, and ``packages``."""
    machines = dict(
        op.get_bind().execute(sa.select(_ledger.c.commit_key, sa.func.min(_ledger.c.machine)).group_by(_ledger.c.commit_key)).all()
    )
    _rewrite("1.1", lambda key, document: {**document, "machine": machines.get(key, "unknown"), "packages": {}})


def downgrade() -> None:
    """Take both out again; the ledger keeps the machine."""
    _rewrite("1.0", lambda _key, document: {name: value for name, value in document.items() if name not in {"machine", "packages"}})


def _rewrite(version: str, change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    connection = op.get_bind()
    for key, document in connection.execute(sa.select(_commit.c.key, _commit.c.document)).all():
        changed = {**change(key, document), "schema_version": version}
        connection.execute(_commit.update().where(_commit.c.key == key).values(document=changed, schema_version=version))
