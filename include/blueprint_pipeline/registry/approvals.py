"""Questions to people: durable, with an end, and an audit that only grows. Silence is a rejection, never a yes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.ids import message_id
from blueprint_pipeline.registry.outbox import release_message, withdraw_message
from blueprint_pipeline.registry.records import Approval, ApprovalEvent, ApprovalStatus, MessageKind
from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import ApprovalAuditRow, ApprovalRow, OutboxRow
from blueprint_pipeline.workspace.canonical import key_of

LAPSE: MessageKind = "unanswered"
"""Kind of the message that nobody answered a request."""
CLOCK_ACTOR = "expiry"
"""Who stands in the audit where nobody answered in time."""


class EpisodesNotAsked(InputError):
    """A decision names episodes that the request did not ask about."""

    code = "registry.episodes_not_asked"
    template = "Approval {request_id} does not ask about {episodes}. Decide only on the episodes in the request."

    request_id: str
    episodes: Sequence[str]


class ApprovalDecided(InputError):
    """Somebody (or the clock) has decided already."""

    code = "registry.approval_decided"
    template = (
        "Approval {request_id} is already {status} (by {actor}), so it cannot become {decision}. A decision is final; make a new request."
    )

    request_id: str
    status: str
    actor: str
    decision: str


class ApprovalRepository:
    """Approvals by request id, and by what was asked.

    A question is asked in rounds: a round that lapsed without an answer is closed, and so is one that was withdrawn, for nobody waits for
    its answer any more; asking again opens the next one. What a person decided stands for good. The message :func:`lapse_id` of the
    outbox, held since the question was asked, is released in the transaction in which a round lapses, whoever closes it, and withdrawn
    with an answer or with the round.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(
        self, *, job_id: str, scene_id: str, episodes: Sequence[str], gate: str, message: str, actor: str, ttl_s: float
    ) -> Approval:
        """Ask, or find what was asked before: the same episodes of the same job are one question.

        A round whose time is over is closed first. Then the latest round is found, if it waits or a person decided it; where nobody
        answered it, or it was withdrawn, the next round is opened.

        Args:
            job_id: With ``episodes`` the identity of the question.
            scene_id: For people who look.
            episodes: Ids asked about; order does not matter.
            gate: Which gate could not decide.
            message: What is asked, for the person who answers.
            actor: Who asks, e.g. a run id.
            ttl_s: Time to answer [s]; after it the answer is no.
        """
        asked = sorted(set(episodes))
        with self._database.write() as session:
            now = self._database.now(session)
            latest = _latest(session, job_id, asked)
            if latest is not None:
                _expire(session, now, latest.request_id)
                latest = _load(session, latest.request_id)
                if not _lapsed(latest) and latest.status != ApprovalStatus.WITHDRAWN.value:
                    return _record(latest)
            round_ = 1 if latest is None else latest.round + 1
            request_id = approval_id(job_id, asked, round_)
            row = {
                "request_id": request_id,
                "schema_version": "1.0",
                "job_id": job_id,
                "scene_id": scene_id,
                "episodes": asked,
                "episodes_digest": _digest(asked),
                "round": round_,
                "gate": gate,
                "message": message,
                "status": ApprovalStatus.PENDING.value,
                "created_at": now,
                "expires_at": now + timedelta(seconds=ttl_s),
                "approved_episodes": [],
            }
            insert = dialect_insert(session, ApprovalRow).values(row).on_conflict_do_nothing()
            if session.execute(insert.returning(ApprovalRow.request_id)).first() is not None:
                _audit(session, ApprovalEvent(request_id=request_id, at=now, action="requested", actor=actor, reason=message))
            return _record(_load(session, request_id))

    def standing(self, job_id: str, episodes: Sequence[str]) -> Approval | None:
        """The answer that stands: of the latest round that a person decided, else of the first that lapsed; ``None`` without either.

        Silence after silence is the same answer with the same time, so that a stage that reads it finds its work done.
        """
        with self._database.read() as session:
            rounds = list(session.execute(_rounds(job_id, sorted(set(episodes)))).scalars())
            decided = [row for row in rounds if row.status not in {ApprovalStatus.PENDING.value, ApprovalStatus.WITHDRAWN.value}]
            by_person = [row for row in decided if not _lapsed(row)]
            if by_person:
                return _record(by_person[0])
            return _record(decided[-1]) if decided else None

    def decide(self, request_id: str, *, approve: bool, actor: str, reason: str, episodes: Sequence[str] | None = None) -> Approval:
        """Answer a request. The same answer by the same actor again changes nothing.

        Args:
            request_id: From :meth:`request`.
            approve: Yes or no.
            actor: Who answers: a person.
            reason: Why; goes into the audit.
            episodes: Those approved; ``None``: all that were asked about. Only with ``approve``.

        Raises:
            RecordMissing: There is no such request.
            EpisodesNotAsked: ``episodes`` has others than were asked about.
            ApprovalDecided: It was decided otherwise, or its time is over.
        """
        status = ApprovalStatus.APPROVED if approve else ApprovalStatus.REJECTED
        with self._database.write() as session:
            now = self._database.now(session)
            _expire(session, now, request_id)
            row = _load(session, request_id)
            approved = sorted(set(row.episodes if episodes is None else episodes)) if approve else []
            if unknown := sorted(set(approved) - set(row.episodes)):
                raise EpisodesNotAsked(request_id, unknown)
            event = ApprovalEvent(request_id=request_id, at=now, action="approved" if approve else "rejected", actor=actor, reason=reason)
            if _close(session, event, approved):
                return _record(_load(session, request_id))
            if (row.status, row.actor, sorted(row.approved_episodes)) == (status.value, actor, approved):
                return _record(row)
            decided = (row.status, row.actor or "")
        # An expiry found here is committed on leaving the block above; the refusal comes after it.
        raise ApprovalDecided(request_id, *decided, status.value)

    def expire(self, request_id: str) -> Approval:
        """Close a request that nobody answered in its window; one that was decided stays as it is.

        Raises:
            RecordMissing: There is no such request.
        """
        with self._database.write() as session:
            _load(session, request_id)
            _close(session, _silence(request_id, self._database.now(session)), [])
            return _record(_load(session, request_id))

    def withdraw(self, request_id: str, *, actor: str, reason: str) -> Approval:
        """Close a request whose answer nobody waits for; one that was decided stays as it is.

        Raises:
            RecordMissing: There is no such request.
        """
        with self._database.write() as session:
            _load(session, request_id)
            _close(session, _withdrawal(request_id, self._database.now(session), actor, reason), [])
            return _record(_load(session, request_id))

    def withdraw_all(self, scene_id: str, run_id: str) -> list[str]:
        """Close the open requests about a scene that this run was the last to ask: it is over. Their ids.

        Who asked last is who holds the message :func:`lapse_id`.
        """
        mine = select(OutboxRow.message_id).where(OutboxRow.scene_id == scene_id, OutboxRow.run_id == run_id, OutboxRow.status == "held")
        pending = select(ApprovalRow.request_id).where(ApprovalRow.scene_id == scene_id, ApprovalRow.status == ApprovalStatus.PENDING.value)
        with self._database.write() as session:
            now, held = self._database.now(session), set(session.execute(mine).scalars())
            open_ids = sorted(found for found in session.execute(pending).scalars() if lapse_id(found) in held)
            events = [_withdrawal(request_id, now, run_id, "the run that asked is over") for request_id in open_ids]
            return [event.request_id for event in events if _close(session, event, [])]

    def expire_due(self, now: datetime | None = None) -> list[Approval]:
        """Close all pending requests whose time is over; their episodes are rejected.

        Args:
            now: [UTC]; ``None``: the registry's clock.
        """
        with self._database.write() as session:
            ids = _expire(session, now or self._database.now(session))
            return [_record(_load(session, request_id)) for request_id in ids]

    def find(self, request_id: str) -> Approval | None:
        with self._database.read() as session:
            row = session.get(ApprovalRow, request_id)
            return None if row is None else _record(row)

    def pending(self) -> list[Approval]:
        """Open requests, the one that ends first in front."""
        with self._database.read() as session:
            open_rows = select(ApprovalRow).where(ApprovalRow.status == ApprovalStatus.PENDING.value)
            return [_record(row) for row in session.execute(open_rows.order_by(ApprovalRow.expires_at, ApprovalRow.request_id)).scalars()]

    def audit(self, request_id: str) -> list[ApprovalEvent]:
        """What happened to a request, oldest first."""
        with self._database.read() as session:
            rows = session.execute(
                select(ApprovalAuditRow).where(ApprovalAuditRow.request_id == request_id).order_by(ApprovalAuditRow.audit_id)
            ).scalars()
            return [
                ApprovalEvent.model_validate(
                    {"request_id": row.request_id, "at": row.at, "action": row.action, "actor": row.actor, "reason": row.reason}
                )
                for row in rows
            ]


def approval_id(job_id: str, episodes: Sequence[str], round_: int = 1) -> str:
    """The id of a round of the question about these episodes of a job, whether it was asked or not."""
    asked: dict[str, object] = {"job_id": job_id, "episodes": sorted(set(episodes))}
    return f"apr_{key_of(asked if round_ == 1 else {**asked, 'round': round_})[:12]}"


def lapse_id(request_id: str) -> str:
    """Id of the message that nobody answered a request."""
    return message_id(LAPSE, request_id)


def _digest(asked: list[str]) -> str:
    return key_of({"episodes": asked})


def _rounds(job_id: str, asked: list[str]) -> Select[ApprovalRow]:
    """The rounds of a question, latest first."""
    same = (ApprovalRow.job_id == job_id, ApprovalRow.episodes_digest == _digest(asked))
    return select(ApprovalRow).where(*same).order_by(ApprovalRow.round.desc())


def _latest(session: Session, job_id: str, asked: list[str]) -> ApprovalRow | None:
    return session.execute(_rounds(job_id, asked).limit(1).with_for_update()).scalar_one_or_none()


def _lapsed(row: ApprovalRow) -> bool:
    """Whether nobody answered. Before rounds were numbered, a window that ended was recorded as a rejection by the clock."""
    return row.status == ApprovalStatus.EXPIRED.value or (row.status == ApprovalStatus.REJECTED.value and row.actor == CLOCK_ACTOR)


def _silence(request_id: str, now: datetime) -> ApprovalEvent:
    return ApprovalEvent(request_id=request_id, at=now, action="expired", actor=CLOCK_ACTOR, reason="nobody answered in time")


def _withdrawal(request_id: str, now: datetime, actor: str, reason: str) -> ApprovalEvent:
    return ApprovalEvent(request_id=request_id, at=now, action="withdrawn", actor=actor, reason=reason)


def _expire(session: Session, now: datetime, request_id: str | None = None) -> list[str]:
    due = select(ApprovalRow.request_id).where(ApprovalRow.status == ApprovalStatus.PENDING.value, ApprovalRow.expires_at <= now)
    if request_id is not None:
        due = due.where(ApprovalRow.request_id == request_id)
    events = [_silence(found, now) for found in sorted(session.execute(due).scalars())]
    return [event.request_id for event in events if _close(session, event, [])]


def _close(session: Session, event: ApprovalEvent, approved: list[str]) -> bool:
    """Pending to decided, in one statement: of two that decide at once, one does."""
    still_open = (ApprovalRow.request_id == event.request_id, ApprovalRow.status == ApprovalStatus.PENDING.value)
    values = {"status": event.action, "decided_at": event.at, "actor": event.actor, "reason": event.reason, "approved_episodes": approved}
    if session.execute(update(ApprovalRow).where(*still_open).values(values).returning(ApprovalRow.request_id)).first() is None:
        return False
    _audit(session, event)
    if event.action == "expired":
        release_message(session, event.at, lapse_id(event.request_id))
    else:
        withdraw_message(session, lapse_id(event.request_id))
    return True


def _audit(session: Session, event: ApprovalEvent) -> None:
    session.add(ApprovalAuditRow(**event.model_dump()))
    session.flush()


def _load(session: Session, request_id: str) -> ApprovalRow:
    row = session.get(ApprovalRow, request_id, populate_existing=True)
    if row is None:
        raise RecordMissing("approval", request_id)
    return row


def _record(row: ApprovalRow) -> Approval:
    return Approval(
        request_id=row.request_id,
        job_id=row.job_id,
        scene_id=row.scene_id,
        episodes=tuple(row.episodes),
        episodes_digest=row.episodes_digest,
        round=row.round,
        gate=row.gate,
        message=row.message,
        status=ApprovalStatus(row.status),
        created_at=row.created_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
        actor=row.actor,
        reason=row.reason,
        approved_episodes=tuple(row.approved_episodes),
    )
