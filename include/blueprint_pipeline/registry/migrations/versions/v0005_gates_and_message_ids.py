"""A question names all the gates that it is about, and every message id begins with its kind.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_GATE_CHARACTERS = 128
"""Of the column before."""
_outbox = sa.table("outbox", sa.column("message_id", sa.String))
_approval = sa.table("approval", sa.column("gate", sa.String))


def upgrade() -> None:
    """Take the bound off the names of gates; rename the messages that nobody answered."""
    with op.batch_alter_table("approval") as table:
        table.alter_column("gate", existing_type=sa.String(_GATE_CHARACTERS), type_=sa.Text(), existing_nullable=False)
    _rename("lapsed/", "unanswered/")


def downgrade() -> None:
    """Cut the names of gates off where they do not fit."""
    op.execute(_approval.update().values(gate=sa.func.substr(_approval.c.gate, 1, _GATE_CHARACTERS)))
    with op.batch_alter_table("approval") as table:
        table.alter_column("gate", existing_type=sa.Text(), type_=sa.String(_GATE_CHARACTERS), existing_nullable=False)
    _rename("unanswered/", "lapsed/")


def _rename(before: str, after: str) -> None:
    rest = sa.func.substr(_outbox.c.message_id, len(before) + 1)
    op.execute(_outbox.update().where(_outbox.c.message_id.startswith(before)).values(message_id=sa.literal(after).concat(rest)))
