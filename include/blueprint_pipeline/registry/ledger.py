"""The ledger of costs: entries are added once and never changed."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.registry.records import NANO, Certainty, LedgerEntry, LedgerTotal
from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import LedgerRow

Grouping = Literal["scene_id", "stage", "lab", "job_id", "item", "machine"]


_Query = TypeVar("_Query", bound=Select[Any])


class LedgerConflict(InternalError):
    """The same cost was booked twice with different amounts."""

    code = "registry.ledger_conflict"
    template = (
        "The ledger has {found} for item '{item}' of commit {commit_key:.12}, and {given} was given. Entries are "
        "never changed; book a correction as an item of its own."
    )

    commit_key: str
    item: str
    found: str
    given: str


class LedgerRepository:
    """Ledger entries by commit, item and time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entries: Sequence[LedgerEntry]) -> int:
        """Book entries, all or none. One that stands there already (commit, item and time are the same) is left as it is.

        Returns:
            How many are new.

        Raises:
            LedgerConflict: The same entry stands there with another amount.
        """
        added = 0
        with self._database.write() as session:
            # One order for all writers: two that book the same entries in different orders would wait for each other.
            for entry in sorted(entries, key=lambda entry: (entry.commit_key, entry.item, entry.occurred_at)):
                insert = dialect_insert(session, LedgerRow).values(_values(entry)).on_conflict_do_nothing()
                if session.execute(insert.returning(LedgerRow.item)).first() is not None:
                    added += 1
                else:
                    _validate_same(session, entry)
        return added

    def knows(self, commit_key: str, occurred_at: datetime) -> bool:
        """Whether the cost of a commit is booked, whatever machine it was booked for."""
        with self._database.read() as session:
            row = select(LedgerRow.item).where(LedgerRow.commit_key == commit_key, LedgerRow.occurred_at == occurred_at).limit(1)
            return session.execute(row).first() is not None

    def entries(
        self,
        *,
        scene_id: str | None = None,
        job_id: str | None = None,
        lab: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[LedgerEntry]:
        """Entries that fit, oldest first; ``since`` inclusive, ``until`` exclusive [UTC]."""
        with self._database.read() as session:
            query = _restrict(select(LedgerRow), scene_id=scene_id, job_id=job_id, lab=lab, since=since, until=until)
            rows = session.execute(query.order_by(LedgerRow.occurred_at, LedgerRow.commit_key, LedgerRow.item)).scalars()
            return [_record(row) for row in rows]

    def totals(
        self,
        by: Grouping,
        *,
        scene_id: str | None = None,
        job_id: str | None = None,
        lab: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[LedgerTotal]:
        """Sums per group, measured, estimated and unknown apart; groups by name, entries without one under ``""``."""
        group = func.coalesce(getattr(LedgerRow, by), "")
        with self._database.read() as session:
            query = (
                select(group, _sum(Certainty.MEASURED), _sum(Certainty.ESTIMATED), _count(Certainty.UNKNOWN), func.count())
                .group_by(group)
                .order_by(group)
            )
            rows = session.execute(_restrict(query, scene_id=scene_id, job_id=job_id, lab=lab, since=since, until=until)).all()
        return [
            LedgerTotal(
                group=row[0], measured_usd=row[1] or Decimal(0), estimated_usd=row[2] or Decimal(0), unknown_entries=row[3], entries=row[4]
            )
            for row in rows
        ]


def _sum(certainty: Certainty) -> ColumnElement[Decimal | None]:
    return func.sum(case((LedgerRow.certainty == certainty.value, LedgerRow.amount_nano_usd)))


def _count(certainty: Certainty) -> ColumnElement[int]:
    return func.sum(case((LedgerRow.certainty == certainty.value, 1), else_=0))


def _restrict(
    query: _Query,
    *,
    scene_id: str | None,
    job_id: str | None,
    lab: str | None,
    since: datetime | None,
    until: datetime | None,
) -> _Query:
    for column, value in ((LedgerRow.scene_id, scene_id), (LedgerRow.job_id, job_id), (LedgerRow.lab, lab)):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(LedgerRow.occurred_at >= since)
    return query if until is None else query.where(LedgerRow.occurred_at < until)


def _validate_same(session: Session, entry: LedgerEntry) -> None:
    row = session.get_one(LedgerRow, (entry.commit_key, entry.item, entry.occurred_at))
    found, given = _record(row), _record(LedgerRow(**_values(entry)))
    if (found.amount_usd, found.certainty) != (given.amount_usd, given.certainty):
        raise LedgerConflict(
            entry.commit_key, entry.item, f"{found.amount_usd} USD ({found.certainty})", f"{given.amount_usd} USD ({given.certainty})"
        )


def _values(entry: LedgerEntry) -> dict[str, object]:
    values: dict[str, object] = entry.model_dump(mode="python", exclude={"amount_usd", "price_usd"})
    for name in ("quantity_certainty", "price_certainty", "certainty"):
        values[name] = str(values[name])
    values["amount_nano_usd"] = None if entry.amount_usd is None else entry.amount_usd.quantize(NANO)
    values["price_usd"] = None if entry.price_usd is None else str(entry.price_usd)
    return values


def _record(row: LedgerRow) -> LedgerEntry:
    values = {name: getattr(row, name) for name in LedgerEntry.model_fields if name not in {"amount_usd", "price_usd"}}
    return LedgerEntry(**values, amount_usd=row.amount_nano_usd, price_usd=None if row.price_usd is None else Decimal(row.price_usd))
