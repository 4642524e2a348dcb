"""Questions to people: durable, with an end, and an audit that only grows. Silence is a rejection, never a yes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.records import Approval, ApprovalEvent, ApprovalStatus
from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import ApprovalAuditRow, ApprovalRow
from blueprint_pipeline.workspace.canonical import key_of

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
    """Approvals by request id, and by what was asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(
        self, *, job_id: str, scene_id: str, episodes: Sequence[str], gate: str, message: str, actor: str, ttl_s: float
    ) -> Approval:
        """Ask, or find what was asked before: the same episodes of the same job are one request, whatever its status.

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
        request_id = approval_id(job_id, asked)
        with self._database.write() as session:
            now = self._database.now(session)
            row = {
                "request_id": request_id,
                "schema_version": "1.0",
                "job_id": job_id,
                "scene_id": scene_id,
                "episodes": asked,
                "episodes_digest": key_of({"episodes": asked}),
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


def approval_id(job_id: str, episodes: Sequence[str]) -> str:
    """The id of the request about these episodes of a job, whether it was made or not."""
    return f"apr_{key_of({'job_id': job_id, 'episodes': sorted(set(episodes))})[:12]}"


def _expire(session: Session, now: datetime, request_id: str | None = None) -> list[str]:
    due = select(ApprovalRow.request_id).where(ApprovalRow.status == ApprovalStatus.PENDING.value, ApprovalRow.expires_at <= now)
    if request_id is not None:
        due = due.where(ApprovalRow.request_id == request_id)
    closing = ApprovalEvent(request_id="", at=now, action="expired", actor=CLOCK_ACTOR, reason="nobody answered in time")
    events = [closing.model_copy(update={"request_id": found}) for found in sorted(session.execute(due).scalars())]
    return [event.request_id for event in events if _close(session, event, [])]


def _close(session: Session, event: ApprovalEvent, approved: list[str]) -> bool:
    """Pending to decided, in one statement: of two that decide at once, one does."""
    still_open = (ApprovalRow.request_id == event.request_id, ApprovalRow.status == ApprovalStatus.PENDING.value)
    values = {"status": event.action, "decided_at": event.at, "actor": event.actor, "reason": event.reason, "approved_episodes": approved}
    if session.execute(update(ApprovalRow).where(*still_open).values(values).returning(ApprovalRow.request_id)).first() is None:
        return False
    _audit(session, event)
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
