"""Runs of the flow: what the morning's summary, alerts and their recovery are made of."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.records import RunRecord, RunStatus
from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import RunRow


class RunRepository:
    """Runs by DAG and run id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, *, dag_id: str, run_id: str, scene_id: str, lab: str, link: str | None = None) -> RunRecord:
        """A run begins, or begins again after it was cleared: then it runs, and how it ended before is forgotten."""
        with self._database.write() as session:
            now = self._database.now(session)
            facts: dict[str, Any] = {"scene_id": scene_id, "lab": lab, "link": link, "status": "running"}
            row = {"dag_id": dag_id, "run_id": run_id, "schema_version": "1.0", "started_at": now, **facts}
            insert = dialect_insert(session, RunRow).values(row)
            again = {**facts, "ended_at": None, "stage": None, "code": None, "message": None}
            session.execute(insert.on_conflict_do_update(index_elements=["dag_id", "run_id"], set_=again))
            return _record(_load(session, dag_id, run_id))

    def note(self, dag_id: str, run_id: str, **facts: Any) -> RunRecord:
        """Keep facts of a run, by the names of :class:`RunRecord`.

        Raises:
            RecordMissing: The run was never started.
        """
        with self._database.write() as session:
            row = _load(session, dag_id, run_id)
            for name, value in facts.items():
                setattr(row, name, value)
            session.flush()
            return _record(row)

    def end(self, dag_id: str, run_id: str, status: RunStatus) -> RunRecord:
        """A run is over; one that had ended before keeps its time.

        Raises:
            RecordMissing: The run was never started.
        """
        with self._database.write() as session:
            row = _load(session, dag_id, run_id)
            if row.ended_at is None or row.status != status:
                row.status, row.ended_at = status, self._database.now(session)
            session.flush()
            return _record(row)

    def find(self, dag_id: str, run_id: str) -> RunRecord | None:
        with self._database.read() as session:
            row = session.get(RunRow, (dag_id, run_id))
            return None if row is None else _record(row)

    def first_with_delivery(self, delivery_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
        """DAG and run id of the run that made each delivery: of all runs that came to it, the one that began first."""
        query = select(RunRow).where(RunRow.delivery_id.in_(list(delivery_ids)))
        return {str(run.delivery_id): (run.dag_id, run.run_id) for run in reversed(self._all(query))}

    def running(self) -> list[RunRecord]:
        """Runs that have begun and not ended, oldest first."""
        return self._all(select(RunRow).where(RunRow.status == "running"))

    def since(self, start: datetime) -> list[RunRecord]:
        """Runs that began, ended or still run since ``start``, oldest first."""
        return self._all(select(RunRow).where((RunRow.started_at >= start) | (RunRow.ended_at >= start) | (RunRow.status == "running")))

    def _all(self, query: Any) -> list[RunRecord]:
        with self._database.read() as session:
            rows = session.execute(query.order_by(RunRow.started_at, RunRow.run_id)).scalars()
            return [_record(row) for row in rows]


def _load(session: Session, dag_id: str, run_id: str) -> RunRow:
    row = session.get(RunRow, (dag_id, run_id), populate_existing=True)
    if row is None:
        raise RecordMissing("run", f"{dag_id}/{run_id}")
    return row


def _record(row: RunRow) -> RunRecord:
    return RunRecord.model_validate({name: getattr(row, name) for name in RunRecord.model_fields})
