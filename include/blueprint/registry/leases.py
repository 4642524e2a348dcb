"""Leases: who may run a thing alone, for how long. A lost machine frees its leases by letting them expire.

Source: M. Kleppmann, "How to do distributed locking" (2016): a lock with an expiry needs a fencing token.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from blueprint.registry.errors import LeaseLost, RegistryUnavailable
from blueprint.registry.records import Lease
from blueprint.registry.sessions import Database, dialect_insert
from blueprint.registry.tables import LeaseRow
from blueprint.workspace.errors import LeaseHeld

_RENEWALS = 3
"""A held lease is renewed this many times within its time to live, so that a few missed ones do no harm."""


class LeaseRepository:
    """Leases by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease:
        """Take the lease if it is free or expired, in one statement.

        Args:
            name: What shall be run alone, e.g. ``scene_a/simulate_shard.0003``.
            holder: Who takes it, for people to find: host, process, run.
            ttl_s: Time until it expires unless renewed [s], > 0.

        Raises:
            LeaseHeld: Another holder (or the same one, again) has it.
        """
        with self._database.write() as session:
            now = self._database.now(session)
            expires_at = now + timedelta(seconds=ttl_s)
            row = {"name": name, "schema_version": "1.0", "holder": holder, "token": 1, "acquired_at": now, "expires_at": expires_at}
            statement = (
                dialect_insert(session, LeaseRow)
                .values(row)
                .on_conflict_do_update(
                    index_elements=["name"],
                    set_={"holder": holder, "token": LeaseRow.token + 1, "acquired_at": now, "expires_at": expires_at},
                    where=LeaseRow.expires_at <= now,
                )
                .returning(LeaseRow.token)
            )
            token = session.execute(statement).scalar_one_or_none()
            if token is not None:
                return Lease(name=name, holder=holder, token=token, acquired_at=now, expires_at=expires_at)
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

        Raises:
            LeaseHeld: Another holder has it.
        """
        held = HeldLease(self, self.acquire(name, holder, ttl_s), ttl_s)
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


def _record(row: LeaseRow) -> Lease:
    return Lease(name=row.name, holder=row.holder, token=row.token, acquired_at=row.acquired_at, expires_at=row.expires_at)
