"""Commit records of stages, findable across scenes; the copy in the scene's folder is the one that stages trust."""

from sqlalchemy import select, update

from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import StageCommitRow
from blueprint_pipeline.workspace.commits import Commit


class CommitRepository:
    """Commits by key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, commit: Commit) -> bool:
        """Keep a commit. The same key again changes nothing, unless the work was done again later: then the later one stands.

        Returns:
            Whether the key is new.
        """
        values = {
            "schema_version": commit.schema_version,
            "scene_id": commit.scene_id,
            "stage": commit.stage,
            "unit": commit.unit,
            "code_version": commit.code_version,
            "finished_at": commit.finished_at,
            "document": commit.model_dump(mode="json"),
        }
        with self._database.write() as session:
            insert = dialect_insert(session, StageCommitRow).values(key=commit.key, **values).on_conflict_do_nothing(index_elements=["key"])
            if session.execute(insert.returning(StageCommitRow.key)).first() is not None:
                return True
            later = (StageCommitRow.key == commit.key, StageCommitRow.finished_at < commit.finished_at)
            session.execute(update(StageCommitRow).where(*later).values(values))
            return False

    def find(self, key: str) -> Commit | None:
        """The commit of a key; ``None`` if that work was never finished."""
        with self._database.read() as session:
            row = session.get(StageCommitRow, key)
            return None if row is None else Commit.model_validate(row.document)

    def of_scene(self, scene_id: str) -> list[Commit]:
        """All commits of a scene, of all its runs, oldest first."""
        with self._database.read() as session:
            rows = session.execute(
                select(StageCommitRow).where(StageCommitRow.scene_id == scene_id).order_by(StageCommitRow.finished_at, StageCommitRow.key),
            ).scalars()
            return [Commit.model_validate(row.document) for row in rows]
