"""What the batches of each scene cover: one row a batch, replaced whole, so that nothing is counted twice."""

from datetime import datetime
from typing import Literal

from sqlalchemy import select

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import CoverageRow


class CoverageEvidence(FrozenModel):
    """The files that a batch was counted from, by sha256: the plan, what the gates said of it, and of its pictures."""

    plan_sha256: str
    gates_sha256: str | None = None
    renders_sha256: str | None = None

    def tells_no_more_than(self, other: "CoverageEvidence") -> bool:
        """Whether another evidence has all files of this one, and maybe later ones."""
        given = self.model_dump(exclude_none=True)
        return other.model_dump(include=set(given)) == given


class CoverageRecord(FrozenModel):
    """What became of one batch."""

    schema_version: Literal["1.0"] = "1.0"
    scene_id: str
    batch: str
    """Hash of what was asked for, apart from how many episodes."""
    robot: str
    job_id: str
    scene_sha256: str
    """Of the scene as it was: another one has other cells."""
    evidence: CoverageEvidence
    document: dict[str, object]
    """The counts, as whoever counted them reads them."""
    recorded_at: datetime | None = None
    """Set by the registry."""


class CoverageRepository:
    """Batches by scene."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, record: CoverageRecord) -> None:
        """Keep the counts of a batch; those that it had are replaced."""
        with self._database.write() as session:
            values = {
                **record.model_dump(exclude={"evidence", "recorded_at"}),
                **record.evidence.model_dump(),
                "recorded_at": self._database.now(session),
            }
            insert = dialect_insert(session, CoverageRow).values(values)
            session.execute(insert.on_conflict_do_update(index_elements=["scene_id", "batch"], set_=values))

    def evidence(self, scene_id: str, batch: str) -> CoverageEvidence | None:
        """What a batch was counted from; ``None``: it was not."""
        columns = (CoverageRow.plan_sha256, CoverageRow.gates_sha256, CoverageRow.renders_sha256)
        with self._database.read() as session:
            row = session.execute(select(*columns).where(CoverageRow.scene_id == scene_id, CoverageRow.batch == batch)).first()
            return None if row is None else CoverageEvidence(plan_sha256=row[0], gates_sha256=row[1], renders_sha256=row[2])

    def of_scene(self, scene_id: str) -> list[CoverageRecord]:
        """All batches of a scene, of all robots, in the order of their ids: the same whenever each was recorded."""
        with self._database.read() as session:
            rows = session.execute(select(CoverageRow).where(CoverageRow.scene_id == scene_id).order_by(CoverageRow.batch)).scalars()
            return [_record(row) for row in rows]


def _record(row: CoverageRow) -> CoverageRecord:
    names = set(CoverageRecord.model_fields) - {"evidence"}
    evidence = {name: getattr(row, name) for name in CoverageEvidence.model_fields}
    return CoverageRecord.model_validate({**{name: getattr(row, name) for name in names}, "evidence": evidence})
