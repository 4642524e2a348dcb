"""Baselines: metrics that a regression run compares with; a new revision is added, an old one never changed."""

from sqlalchemy import select

from blueprint_pipeline.registry.records import Baseline
from blueprint_pipeline.registry.sessions import Database
from blueprint_pipeline.registry.tables import BaselineRow


class BaselineRepository:
    """Baselines by name and revision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: str, metrics: dict[str, object], source: str) -> Baseline:
        """Add a revision; metrics and source equal to the latest revision's add none."""
        with self._database.write() as session:
            # One writer at a time: on PostgreSQL the lock on the latest row, on SQLite the write lock of the session.
            query = select(BaselineRow).where(BaselineRow.name == name).order_by(BaselineRow.revision.desc()).limit(1).with_for_update()
            latest = session.execute(query).scalar_one_or_none()
            if latest is not None and (latest.metrics, latest.source) == (metrics, source):
                return _record(latest)
            row = BaselineRow(
                name=name,
                revision=1 if latest is None else latest.revision + 1,
                schema_version="1.0",
                recorded_at=self._database.now(session),
                source=source,
                metrics=metrics,
            )
            session.add(row)
            session.flush()
            return _record(row)

    def latest(self, name: str) -> Baseline | None:
        found = self.history(name)
        return found[-1] if found else None

    def history(self, name: str) -> list[Baseline]:
        """All revisions, oldest first."""
        with self._database.read() as session:
            rows = session.execute(select(BaselineRow).where(BaselineRow.name == name).order_by(BaselineRow.revision)).scalars()
            return [_record(row) for row in rows]


def _record(row: BaselineRow) -> Baseline:
    return Baseline.model_validate({field: getattr(row, field) for field in Baseline.model_fields})
