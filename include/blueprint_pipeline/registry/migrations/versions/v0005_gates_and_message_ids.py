"""A question names all the gates that it is about, and two kinds of messages get the ids of now.

``lapsed/<request>`` is ``unanswered/<request>``. ``approval/<request>/<digest of run and refused answer>`` names the run and what was
refused of the answer instead; where nothing was refused, the digest says of itself that it is the one of the message's run, and the
question that waits is found and not asked again. A message about a refused answer keeps its id: its digest cannot be turned back.

Revision ID: 0005
Revises: 0004
"""

import hashlib
import json
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_GATE_CHARACTERS = 128
"""Of the column before."""
_ID_CHARACTERS = 255
_DIGITS = 16
"""Of a digest in an id."""
_outbox = sa.table("outbox", *(sa.column(name, sa.String) for name in ("message_id", "kind", "run_id")))
_approval = sa.table("approval", sa.column("gate", sa.String))


def upgrade() -> None:
    """Take the bound off the names of gates; rename the messages that nobody answered, and those that ask."""
    with op.batch_alter_table("approval") as table:
        table.alter_column("gate", existing_type=sa.String(_GATE_CHARACTERS), type_=sa.Text(), existing_nullable=False)
    _rename("lapsed/", "unanswered/")
    _rename_questions(_id_before, _id_after)


def downgrade() -> None:
    """Cut the names of gates off where they do not fit; messages have their former ids."""
    op.execute(_approval.update().values(gate=sa.func.substr(_approval.c.gate, 1, _GATE_CHARACTERS)))
    with op.batch_alter_table("approval") as table:
        table.alter_column("gate", existing_type=sa.Text(), type_=sa.String(_GATE_CHARACTERS), existing_nullable=False)
    _rename("unanswered/", "lapsed/")
    _rename_questions(_id_after, _id_before)


def _rename(before: str, after: str) -> None:
    rest = sa.func.substr(_outbox.c.message_id, len(before) + 1)
    op.execute(_outbox.update().where(_outbox.c.message_id.startswith(before)).values(message_id=sa.literal(after).concat(rest)))


def _rename_questions(before: Callable[[str, str], str], after: Callable[[str, str], str]) -> None:
    for message_id, request_id, run_id in list(_questions()):
        if message_id == before(request_id, run_id):
            op.execute(_outbox.update().where(_outbox.c.message_id == message_id).values(message_id=after(request_id, run_id)))


def _questions() -> Iterator[tuple[str, str, str]]:
    """Id, request and run of the messages that ask."""
    asking = sa.select(_outbox.c.message_id, _outbox.c.run_id).where(_outbox.c.kind == "approval", _outbox.c.run_id.is_not(None))
    for message_id, run_id in op.get_bind().execute(asking):
        yield message_id, message_id.split("/")[1], run_id


def _id_before(request_id: str, run_id: str) -> str:
    return f"approval/{request_id}/{_digest({'run': run_id, 'unknown': []})}"


def _id_after(request_id: str, run_id: str) -> str:
    whole = f"approval/{request_id}/{run_id}/"
    return whole if len(whole) <= _ID_CHARACTERS else f"{whole[: _ID_CHARACTERS - _DIGITS - 1]}~{_digest({'id': whole})}"


def _digest(value: dict[str, object]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
