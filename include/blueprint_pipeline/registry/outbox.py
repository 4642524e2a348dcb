"""Messages to people: written down with the event, sent by a sender of its own, each once.

Whether a message arrives never changes what happened. A sender takes messages that are due, which hides them from other senders for as
long as a try may take, and says how it ended. A sender that died leaves its messages to the next one, so a message whose answer was lost
can arrive twice; no receiver of such messages knows a key that would prevent it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.records import Message, MessageKind, MessageStatus, OutboxMessage
from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import OutboxRow

HOLD_S = 60.0
"""How long a sender has a message for itself [s]; longer than its tries over all channels may take."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 900.0
"""Wait after a try that failed [s]: doubled with each, up to the longest."""
GIVE_UP_S = 24 * 3600.0
"""A message older than this [s] is not tried again."""
INCIDENTS: tuple[MessageKind, ...] = ("failure", "cancelled", "late")
"""Kinds that open an incident of a scene."""


class Outbox:
    """Messages by the event that they are about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, message: Message) -> bool:
        """Write a message down; ``False`` where this event has one already."""
        with self._database.write() as session:
            return write_message(session, self._database.now(session), message)

    def hold(self, message: Message) -> bool:
        """Write down what people are told if something does not happen, to be released with that event or withdrawn without it.

        What is still held about the same event gives way to it.
        """
        with self._database.write() as session:
            withdraw_message(session, message.message_id)
            return write_message(session, self._database.now(session), message, status="held")

    def take(self, *, message_id: str | None = None, limit: int = 50) -> list[OutboxMessage]:
        """Messages that are due, oldest first; nobody else gets one before its turn and its tries, :data:`HOLD_S` each, are over."""
        with self._database.write() as session:
            now = self._database.now(session)
            due = select(OutboxRow).where(OutboxRow.status == "waiting", OutboxRow.due_at <= now)
            if message_id is not None:
                due = due.where(OutboxRow.message_id == message_id)
            due = due.order_by(OutboxRow.created_at, OutboxRow.message_id).limit(limit).with_for_update(skip_locked=True)
            rows = list(session.execute(due).scalars())
            for turn, row in enumerate(rows, start=1):
                row.due_at = now + timedelta(seconds=turn * HOLD_S)
            session.flush()
            return [_record(row) for row in rows]

    def mark_sent(self, message_id: str, channel: str) -> OutboxMessage:
        """A message arrived.

        Raises:
            RecordMissing: There is no such message.
        """
        with self._database.write() as session:
            row = _load(session, message_id)
            row.status, row.channel, row.sent_at, row.attempts = "sent", channel, self._database.now(session), row.attempts + 1
            session.flush()
            return _record(row)

    def mark_failed(self, message_id: str, error: str) -> OutboxMessage:
        """A try failed on every channel: the message is due again after a pause, or given up after :data:`GIVE_UP_S`.

        Raises:
            RecordMissing: There is no such message.
        """
        with self._database.write() as session:
            row, now = _load(session, message_id), self._database.now(session)
            pause_s = min(FIRST_PAUSE_S * 2.0 ** min(row.attempts, 10), LONGEST_PAUSE_S)
            row.attempts, row.error, row.due_at = row.attempts + 1, error, now + timedelta(seconds=pause_s)
            if row.status == "waiting" and now - row.created_at >= timedelta(seconds=GIVE_UP_S):
                row.status = "given_up"
            session.flush()
            return _record(row)

    def open_incidents(self, scene_id: str) -> list[OutboxMessage]:
        """Messages that opened an incident of a scene which is not over, oldest first."""
        query = select(OutboxRow).where(OutboxRow.scene_id == scene_id, OutboxRow.kind.in_(INCIDENTS), OutboxRow.resolved_at.is_(None))
        with self._database.read() as session:
            return [_record(row) for row in session.execute(query.order_by(OutboxRow.created_at, OutboxRow.message_id)).scalars()]

    def resolve(self, message_ids: Sequence[str], told_by: Message) -> bool:
        """The incidents that these messages opened are over; the message that says so is written down in the same transaction."""
        with self._database.write() as session:
            now = self._database.now(session)
            chosen = update(OutboxRow).where(OutboxRow.message_id.in_(list(message_ids)), OutboxRow.resolved_at.is_(None))
            session.execute(chosen.values(resolved_at=now))
            return write_message(session, now, told_by)

    def find(self, message_id: str) -> OutboxMessage | None:
        with self._database.read() as session:
            row = session.get(OutboxRow, message_id)
            return None if row is None else _record(row)

    def all_of(self, *, status: MessageStatus | None = None, since: datetime | None = None, limit: int = 100) -> list[OutboxMessage]:
        """Messages, newest first."""
        query = select(OutboxRow).order_by(OutboxRow.created_at.desc(), OutboxRow.message_id).limit(limit)
        if status is not None:
            query = query.where(OutboxRow.status == status)
        if since is not None:
            query = query.where(OutboxRow.created_at >= since)
        with self._database.read() as session:
            return [_record(row) for row in session.execute(query).scalars()]


def write_message(session: Session, now: datetime, message: Message, *, status: MessageStatus = "waiting") -> bool:
    """Write a message down in the transaction of its event; ``False`` where the event has one already."""
    row = {**message.model_dump(), "status": status, "created_at": now, "due_at": now, "attempts": 0}
    insert = dialect_insert(session, OutboxRow).values(row).on_conflict_do_nothing().returning(OutboxRow.message_id)
    return session.execute(insert).first() is not None


def release_message(session: Session, now: datetime, message_id: str) -> bool:
    """What a held message is about has happened, in this transaction: the message is due; ``False`` where none is held."""
    held = update(OutboxRow).where(OutboxRow.message_id == message_id, OutboxRow.status == "held")
    return session.execute(held.values(status="waiting", created_at=now, due_at=now).returning(OutboxRow.message_id)).first() is not None


def withdraw_message(session: Session, message_id: str) -> None:
    """What a held message is about will not happen."""
    session.execute(delete(OutboxRow).where(OutboxRow.message_id == message_id, OutboxRow.status == "held"))


def _load(session: Session, message_id: str) -> OutboxRow:
    row = session.execute(select(OutboxRow).where(OutboxRow.message_id == message_id).with_for_update()).scalar_one_or_none()
    if row is None:
        raise RecordMissing("message", message_id)
    return row


def _record(row: OutboxRow) -> OutboxMessage:
    message = Message.model_validate({name: getattr(row, name) for name in Message.model_fields})
    state = {name: getattr(row, name) for name in OutboxMessage.model_fields if name != "message"}
    return OutboxMessage.model_validate({**state, "message": message})
