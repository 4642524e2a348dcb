"""Scenes that are due: by priority, then fairly between labs, with the state of their runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Subquery, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.records import SceneRecord, SceneSource
from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import SceneRow

FIRST_RETRY_S = 3600.0
"""A scene that failed once is due again after this long [s]; each further failure doubles it."""

LONGEST_RETRY_S = 7 * 24 * 3600.0
"""The wait before a retry grows no longer than this [s]."""

_ROWS = 500
"""Rows of one INSERT."""


class SceneRepository:
    """The schedule of scenes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sync(self, sources: Sequence[SceneSource], now: datetime) -> None:
        """Take over the configured scenes: new ones are due ``now``; the state of known ones is left alone.

        One that was done once for all and now has an interval is due ``now`` again.

        A scene that is configured no longer is disabled and keeps its history.
        """
        facts = [source.model_dump() for source in sorted(sources, key=lambda source: source.scene_id)]
        with self._database.write() as session:
            session.execute(update(SceneRow).values(enabled=False))
            for start in range(0, len(facts), _ROWS):
                insert = dialect_insert(session, SceneRow).values(
                    [{**row, "due_at": now, "failures": 0} for row in facts[start : start + _ROWS]]
                )
                changed: dict[str, Any] = {name: insert.excluded[name] for name in facts[0] if name != "scene_id"}
                again = and_(SceneRow.due_at.is_(None), insert.excluded["interval_s"].is_not(None))
                changed["due_at"] = case((again, insert.excluded["due_at"]), else_=SceneRow.due_at)
                session.execute(insert.on_conflict_do_update(index_elements=["scene_id"], set_=changed))

    def due_scenes(self, now: datetime, limit: int, room: Mapping[str, int] | None = None) -> list[SceneRecord]:
        """Enabled scenes that are due and not running: highest priority first, within it one of each lab in turn.

        What a lab has running counts as its turns taken.

        Args:
            now: Due until then.
            limit: No more than so many.
            room: No more than so many of a pool; one that is not named has no bound of its own. What finds no room takes
                neither a turn of its lab nor a place of the limit.
        """
        running = (
            select(SceneRow.lab.label("lab"), func.count().label("running"))
            .where(SceneRow.running_run_id.is_not(None))
            .group_by(SceneRow.lab)
            .subquery()
        )
        due = (
            select(SceneRow.scene_id, SceneRow.pool, SceneRow.lab, SceneRow.priority, SceneRow.due_at)
            .add_columns(func.coalesce(running.c.running, 0).label("taken"))
            .outerjoin(running, running.c.lab == SceneRow.lab)
            .where(SceneRow.enabled, SceneRow.due_at <= now, SceneRow.running_run_id.is_(None))
            .subquery()
        )
        if room:
            due = _with_room(due, room)
        ranked = _with_turn(due, due.c.priority, due.c.lab)
        query = select(SceneRow).join(ranked, ranked.c.scene_id == SceneRow.scene_id).order_by(*_order(ranked)).limit(limit)
        with self._database.read() as session:
            return [_record(row) for row in session.execute(query).scalars()]

    def mark_started(self, scene_id: str, run_id: str) -> bool:
        """Claim a scene for a run; asking again with the same run changes nothing.

        Returns:
            Whether the scene is this run's to do: ``False`` if another run has it, or this run has done it already.

        Raises:
            RecordMissing: There is no such scene.
        """
        with self._database.write() as session:
            free = (
                SceneRow.scene_id == scene_id,
                SceneRow.running_run_id.is_(None),
                or_(SceneRow.last_run_id.is_(None), SceneRow.last_run_id != run_id, SceneRow.last_status != "succeeded"),
            )
            claim = (
                update(SceneRow)
                .where(*free)
                .values(running_run_id=run_id, started_at=self._database.now(session))
                .returning(SceneRow.scene_id)
            )
            if session.execute(claim).first() is not None:
                return True
            return _load(session, scene_id).running_run_id == run_id

    def mark_finished(self, scene_id: str, run_id: str, status: Literal["succeeded", "failed"]) -> SceneRecord:
        """End a scene's run; asking again, or for a run that does not have the scene, changes nothing.

        After a success the scene is due after its interval, or never again. After a failure it is due after
        :data:`FIRST_RETRY_S`, doubled with each further failure.

        Raises:
            RecordMissing: There is no such scene.
        """
        with self._database.write() as session:
            row = _load(session, scene_id)
            if row.running_run_id == run_id:
                _end(row, run_id, status, self._database.now(session))
                session.flush()
            return _record(row)

    def claims(self) -> list[SceneRecord]:
        """Scenes that a run has, the oldest claim first."""
        query = select(SceneRow).where(SceneRow.running_run_id.is_not(None)).order_by(SceneRow.started_at, SceneRow.scene_id)
        with self._database.read() as session:
            return [_record(row) for row in session.execute(query).scalars()]

    def free(self, scene_id: str, run_id: str | None = None) -> SceneRecord:
        """Take a scene from the run that has it: it is due again at once. A scene that no run has, or another, stays as it is.

        Args:
            scene_id: The scene.
            run_id: Only from this run; ``None``: whichever has it.

        Raises:
            RecordMissing: There is no such scene.
        """
        with self._database.write() as session:
            row = _load(session, scene_id)
            if row.running_run_id is not None and run_id in {None, row.running_run_id}:
                _end(row, row.running_run_id, "lost", self._database.now(session))
                session.flush()
            return _record(row)

    def mark_lost(self, started_before: datetime) -> list[SceneRecord]:
        """End runs that began before ``started_before`` and were never ended (their machine is gone): the scenes are due again."""
        query = (
            select(SceneRow).where(SceneRow.running_run_id.is_not(None), SceneRow.started_at < started_before).order_by(SceneRow.scene_id)
        )
        with self._database.write() as session:
            rows = list(session.execute(query.with_for_update()).scalars())
            for row in rows:
                _end(row, row.running_run_id or "", "lost", self._database.now(session))
            session.flush()
            return [_record(row) for row in rows]

    def count_running(self, *, pool: str | None = None, lab: str | None = None) -> int:
        """Scenes that are running now, for back-pressure."""
        query = select(func.count()).select_from(SceneRow).where(SceneRow.running_run_id.is_not(None))
        if pool is not None:
            query = query.where(SceneRow.pool == pool)
        if lab is not None:
            query = query.where(SceneRow.lab == lab)
        with self._database.read() as session:
            return int(session.execute(query).scalar_one())

    def find(self, scene_id: str) -> SceneRecord | None:
        with self._database.read() as session:
            row = session.get(SceneRow, scene_id)
            return None if row is None else _record(row)

    def all(self) -> list[SceneRecord]:
        """All scenes, also disabled ones, by id."""
        with self._database.read() as session:
            return [_record(row) for row in session.execute(select(SceneRow).order_by(SceneRow.scene_id)).scalars()]


def _with_turn(due: Subquery, *group: ColumnElement[Any]) -> Subquery:
    """With the column ``turn``: the place within its group, after the turns that its lab has taken."""
    place = func.row_number().over(partition_by=group, order_by=(due.c.due_at, due.c.scene_id))
    return select(due, (place + due.c.taken).label("turn")).subquery()


def _order(ranked: Subquery) -> tuple[ColumnElement[Any], ...]:
    return ranked.c.priority.desc(), ranked.c.turn, ranked.c.due_at, ranked.c.scene_id


def _with_room(due: Subquery, room: Mapping[str, int]) -> Subquery:
    """The first of each pool that has a bound, in the same order and as fairly, and all of the others."""
    turns = _with_turn(due, due.c.pool, due.c.priority, due.c.lab)
    place = func.row_number().over(partition_by=turns.c.pool, order_by=_order(turns)).label("place")
    placed = select(*(turns.c[name] for name in due.c.keys()), place).subquery()  # noqa: SIM118 -- columns, not a dict
    fits = or_(placed.c.pool.not_in(list(room)), *(and_(placed.c.pool == pool, placed.c.place <= count) for pool, count in room.items()))
    return select(*(placed.c[name] for name in due.c.keys())).where(fits).subquery()  # noqa: SIM118 -- columns, not a dict


def _end(row: SceneRow, run_id: str, status: Literal["succeeded", "failed", "lost"], now: datetime) -> None:
    row.running_run_id, row.started_at = None, None
    row.last_run_id, row.last_status, row.last_finished_at = run_id, status, now
    row.failures = 0 if status == "succeeded" else row.failures + 1
    if status == "succeeded":
        row.due_at = None if row.interval_s is None else now + timedelta(seconds=row.interval_s)
    else:
        wait_s = min(FIRST_RETRY_S * 2.0 ** min(row.failures - 1, 30), LONGEST_RETRY_S)
        row.due_at = now if status == "lost" else now + timedelta(seconds=wait_s)


def _load(session: Session, scene_id: str) -> SceneRow:
    row = session.execute(select(SceneRow).where(SceneRow.scene_id == scene_id).with_for_update()).scalar_one_or_none()
    if row is None:
        raise RecordMissing("scene", scene_id)
    return row


def _record(row: SceneRow) -> SceneRecord:
    source = SceneSource.model_validate({name: getattr(row, name) for name in SceneSource.model_fields})
    state = {name: getattr(row, name) for name in SceneRecord.model_fields if name not in {"source", "schema_version"}}
    return SceneRecord.model_validate({**state, "source": source, "schema_version": row.schema_version})
