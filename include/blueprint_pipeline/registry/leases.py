"""Leases: who may run a thing alone, for how long. A lost machine frees its leases by letting them expire.

Source: M. Kleppmann, "How to do distributed locking" (2016): a lock with an expiry needs a fencing token.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import ColumnElement, false, or_, select, update
from sqlalchemy.orm import Session

from blueprint_pipeline.errors import TransientError
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.registry.ids import shorten_id
from blueprint_pipeline.registry.processes import is_alive, this_process
from blueprint_pipeline.registry.records import Lease
from blueprint_pipeline.registry.sessions import Database, RegistryUnavailable, dialect_insert
from blueprint_pipeline.registry.tables import LeaseRow

TAKEN_OVER = "lease taken over"
"""Event in the log of whoever takes a lease that its holder did not give back."""
_RENEWALS = 3
"""A held lease is renewed this many times within its time to live, so that a few missed ones do no harm."""


class LeaseHeld(TransientError):
    """Another process runs the same stage on the same scene now."""

    code = "workspace.lease_held"
    template = "{name} is being run by {holder}; its lease ends at {expires_at} unless renewed. Wait, or end that process."

    name: str
    holder: str
    expires_at: str


class LeaseLost(TransientError):
    """A lease that this process held has been taken over or released."""

    code = "registry.lease_lost"
    template = (
        "{holder} no longer holds {name} (token {token}): it expired and another took it over. Nothing was published "
        "by this process after that; run the stage again."
    )

    name: str
    holder: str
    token: int


class LeaseRepository:
    """Leases by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease:
        """Take the lease if it is free, in one statement.

        It is free when nobody holds it, when it expired, when the process that holds it was on this machine and is dead
        (killed), and when the same holder holds it from a machine that cannot be looked at: a run that is tried again in
        another pod takes its own lease over, and the token fences the earlier try off.

        Args:
            name: What must run alone, e.g. ``scene_a/simulate_shard.0003``.
            holder: Who takes it, unique among all that may want it at once (:func:`lease_holder`).
            ttl_s: Time until it expires unless renewed [s], > 0.

        Raises:
            LeaseHeld: Another holder has it, or a living process on this machine.
        """
        return self._take(name, holder, ttl_s)[0]

    def _take(self, name: str, holder: str, ttl_s: float) -> tuple[Lease, Lease | None]:
        """The lease, and the one that it was taken over from: nobody gave that one back."""
        with self._database.write() as session:
            now = self._database.now(session)
            expires_at = now + timedelta(seconds=ttl_s)
            mine = {"holder": holder, "process": this_process(), "acquired_at": now, "expires_at": expires_at}
            seen = session.get(LeaseRow, name)
            before = None if seen is None or not seen.holder else _record(seen)
            free = _free_condition(seen, holder)
            statement = (
                dialect_insert(session, LeaseRow)
                .values(name=name, schema_version="1.0", token=1, **mine)
                .on_conflict_do_update(
                    index_elements=["name"],
                    set_={"token": LeaseRow.token + 1, **mine},
                    where=or_(LeaseRow.expires_at <= now, free),
                )
                .returning(LeaseRow.token)
            )
            token = session.execute(statement).scalar_one_or_none()
            if token is not None:
                return Lease(name=name, token=token, **mine), before
            session.expire_all()
            other = session.execute(select(LeaseRow).where(LeaseRow.name == name)).scalar_one()
            raise LeaseHeld(name, other.holder, other.expires_at.isoformat())

    def renew(self, lease: Lease, ttl_s: float) -> Lease:
        """Hold on for another ``ttl_s`` [s] from now; also after the expiry, if nobody took it over meanwhile.

        Raises:
            LeaseLost: Another has taken it over, or it was released.
        """
        with self._database.write() as session:
            expires_at = self._database.now(session) + timedelta(seconds=ttl_s)
            if not self._update(lease, {"expires_at": expires_at}, session):
                raise LeaseLost(lease.name, lease.holder, lease.token)
            return lease.model_copy(update={"expires_at": expires_at})

    def release(self, lease: Lease) -> bool:
        """Give the lease back; ``False`` if it was not held any more."""
        with self._database.write() as session:
            return self._update(lease, {"holder": "", "expires_at": self._database.now(session)}, session)

    def validate(self, lease: Lease) -> None:
        """Check, before publishing, that nobody has taken the lease over.

        Raises:
            LeaseLost: Somebody has.
        """
        found = self.find(lease.name)
        if found is None or found.token != lease.token:
            raise LeaseLost(lease.name, lease.holder, lease.token)

    def find(self, name: str) -> Lease | None:
        """The lease as it is held, expired or not; ``None`` if nobody holds it."""
        with self._database.read() as session:
            row = session.get(LeaseRow, name)
            return None if row is None or not row.holder else _record(row)

    def active(self) -> list[Lease]:
        """All leases that are held and not expired, by name."""
        with self._database.read() as session:
            now = self._database.now(session)
            rows = session.execute(
                select(LeaseRow).where(LeaseRow.holder != "", LeaseRow.expires_at > now).order_by(LeaseRow.name)
            ).scalars()
            return [_record(row) for row in rows]

    def release_all(self, holder: str) -> list[Lease]:
        """Give back everything that ``holder`` holds, e.g. when its machine is known to be gone; returns what it held."""
        with self._database.write() as session:
            now = self._database.now(session)
            rows = list(
                session.execute(select(LeaseRow).where(LeaseRow.holder == holder, LeaseRow.holder != "").with_for_update()).scalars()
            )
            released = [_record(row) for row in rows]
            for row in rows:
                row.holder, row.expires_at = "", now
            return released

    @contextmanager
    def hold(self, name: str, holder: str, ttl_s: float) -> Iterator["HeldLease"]:
        """Acquire a lease, renew it in a thread as long as the block runs, release it at the end.

        A lease that nobody gave back (its holder was killed, or its machine was lost) is logged as :data:`TAKEN_OVER`.

        Raises:
            LeaseHeld: Another holder has it.
        """
        lease, before = self._take(name, holder, ttl_s)
        if before is not None:
            times = {"acquired_at": before.acquired_at.isoformat(), "expires_at": before.expires_at.isoformat()}
            get_logger().warning(TAKEN_OVER, lease=name, former=before.holder, **times)
        held = HeldLease(self, lease, ttl_s)
        held.start()
        try:
            yield held
        finally:
            held.stop()

    def _update(self, lease: Lease, values: dict[str, object], session: Session) -> bool:
        mine = (LeaseRow.name == lease.name, LeaseRow.token == lease.token, LeaseRow.holder == lease.holder)
        return bool(session.execute(update(LeaseRow).where(*mine).values(values).returning(LeaseRow.token)).all())


class HeldLease:
    """A lease with a thread that renews it.

    Attributes:
        lease: As last renewed.
    """

    def __init__(self, repository: LeaseRepository, lease: Lease, ttl_s: float) -> None:
        self.lease = lease
        self._repository = repository
        self._ttl_s = ttl_s
        self._stopping = threading.Event()
        self._lost: LeaseLost | None = None
        self._thread = threading.Thread(target=self._renew_until_stopped, name=f"lease-{lease.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and release the lease."""
        self._stopping.set()
        self._thread.join()
        self._repository.release(self.lease)

    def validate(self) -> None:
        """Check, before publishing, that the lease is still ours.

        Raises:
            LeaseLost: It is not.
        """
        if self._lost is not None:
            raise self._lost
        self._repository.validate(self.lease)

    def _renew_until_stopped(self) -> None:
        while not self._stopping.wait(self._ttl_s / _RENEWALS):
            try:
                self.lease = self._repository.renew(self.lease, self._ttl_s)
            except LeaseLost as error:
                self._lost = error
                return
            except RegistryUnavailable:
                continue  # the next renewal may come through; if none does, the lease expires and validate() says so


def lease_holder(run: str | None, pod_uid: str | None = None) -> str:
    """Who holds the leases of a process.

    A run's next try on another machine may take its own leases over at once, for Airflow runs one try at a time. A pod may
    outlive the try that made it (its cluster cannot be reached), so each pod is a holder of its own.

    Args:
        run: The run among the runs of all DAGs (:func:`blueprint_pipeline.registry.ids.run_name`); ``None``: a person's process.
        pod_uid: Of the pod in which it works.
    """
    if run is None:
        return f"cli@{socket.gethostname()}:{os.getpid()}"
    return shorten_id(f"{run}@{pod_uid}" if pod_uid else run)


def _free_condition(seen: LeaseRow | None, holder: str) -> ColumnElement[bool]:
    """Whether a lease that has not expired may be taken over: judged of the row as seen, true only if it is still that row."""
    if seen is None:
        return false()
    living = is_alive(seen.process)
    may = living is False or (living is None and seen.holder == holder)
    return LeaseRow.token == seen.token if may else false()


def _record(row: LeaseRow) -> Lease:
    return Lease.model_validate({name: getattr(row, name) for name in Lease.model_fields})
