"""The nightly batch: which scenes are due, and how many may start; :mod:`operators.scene_batch` works off a big night.

The registry says what is due, by priority and fairly between labs, with room in its pool. A night claims its scenes there, so
two nights never work on the same one, and a task that is tried again finds what it had claimed.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context, task
from airflow.sdk.exceptions import AirflowFailException

from blueprint_pipeline.settings import load_settings
from operators.claim_notice import claim_lapsed_message
from operators.night_runs import run_id_of
from operators.retries import STAGE_RETRIES
from operators.scene_rows import SCENES_PATH, InvalidScenes, SceneRow, check_scene_rows, load_pool_limits

if TYPE_CHECKING:
    from blueprint_pipeline.registry.database import Registry

LOST_AFTER = timedelta(hours=72)
"""A scene whose run did not end for this long is taken for lost, and is due again: longer than a run may wait for a person and work."""


class PlanNightOperator(BaseOperator):
    """Choose the scenes of this night and claim them: no more than may run in all, and of each pool.

    A big night is batches, for a run is dear: its 22 tasks and more are a fresh worker process each, which costs 0.3 to 0.5
    CPU-s before its work begins; a batch costs that once for all its scenes. A batch runs its stages in the worker, though, so
    where stages should run as pods (``compute.kind`` is ``kubernetes``) every night is runs, bounded by ``running_limit`` alike.

    Args:
        running_limit: No more scenes than this may run at once, those of former nights included; Airflow maps over no more than
            its ``core.max_map_length``.
        batch_from: From this many scenes on, a night without pods is worked off in batches instead of a DAG run each.
        batch_size: Scenes of one batch.

    Returns:
        ``runs``: ``trigger_run_id`` and ``conf`` of each DAG run to start; ``batches``: lists of such scenes.
    """

    def __init__(self, *, running_limit: int, batch_from: int = 100, batch_size: int = 50, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.running_limit = running_limit
        self.batch_from = batch_from
        self.batch_size = batch_size

    def execute(self, context: Context) -> dict[str, list[Any]]:
        from blueprint_pipeline.registry.database import open_registry
        from blueprint_pipeline.registry.records import SceneSource

        settings = load_settings()
        registry = open_registry(settings.registry)
        scenes = registry.scenes
        now, night = datetime.now(UTC), str(context["run_id"])
        found = check_scene_rows()
        rows = {row.scene_id: row for row in found.rows}
        for problem in found.problems:
            self.log.error("left out: %s", problem)
        scenes.sync([SceneSource.model_validate(_source(row)) for row in rows.values()], now)
        for scene_id in free_lost(registry, context, now - LOST_AFTER):
            self.log.warning("The run of scene %s never ended; the scene is due again.", scene_id)
        mine = [record.source.scene_id for record in scenes.claims() if record.running_run_id == run_id_of(night, record.source)]
        running = scenes.count_running() - len(mine)
        free = max(0, self.running_limit - running - len(mine))
        room = {pool: max(0, limit - scenes.count_running(pool=pool)) for pool, limit in load_pool_limits().items()}
        due = [record.source.scene_id for record in scenes.due_scenes(now, free, room)] if free else []
        claimed = [scene_id for scene_id in due if scene_id in rows and scenes.mark_started(scene_id, run_id_of(night, rows[scene_id]))]
        chosen = [run_of(night, rows[scene_id]) for scene_id in (*mine, *claimed) if scene_id in rows]
        self.log.info("%d scenes are already running (limit %d); room in pools: %s.", running, self.running_limit, room or "all")
        self.log.info("This night starts %d scenes.", len(chosen))
        if settings.compute.kind == "kubernetes":
            return {"runs": chosen, "batches": []}
        return split_night(chosen, self.batch_from, self.batch_size)


def free_lost(registry: "Registry", context: Any, started_before: datetime) -> list[str]:
    """Free scenes whose runs never ended, and write down what people are told of each; their ids."""
    with registry.together():
        claimed = {scene.source.scene_id: scene for scene in registry.scenes.claims()}
        lost = [record.source.scene_id for record in registry.scenes.mark_lost(started_before)]
        for scene_id in lost:
            registry.outbox.add(claim_lapsed_message(context, claimed[scene_id]))
    return lost


def run_of(night: str, row: SceneRow) -> dict[str, Any]:
    """What starts the run of a scene."""
    return {"trigger_run_id": run_id_of(night, row), "conf": row.conf}


class CheckRowsOperator(BaseOperator):
    """Fail where a row of ``scenes.yaml`` cannot run, with row, field and what was expected; the other rows are started all the same.

    Raises:
        AirflowFailException: The file, or a row, is wrong.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})

    def execute(self, context: Context) -> int:
        del context
        try:
            found = check_scene_rows()
        except InvalidScenes as error:
            raise AirflowFailException(str(error)) from error
        if found.problems:
            raise AirflowFailException(str(InvalidScenes(SCENES_PATH, list(found.problems))))
        self.log.info("%d rows can run", len(found.rows))
        return len(found.rows)


def split_night(chosen: list[dict[str, Any]], batch_from: int, batch_size: int) -> dict[str, list[Any]]:
    """A small night is a DAG run a scene, a big one is batches."""
    if len(chosen) < batch_from:
        return {"runs": chosen, "batches": []}
    return {"runs": [], "batches": [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]}


def _source(row: SceneRow) -> dict[str, Any]:
    return {
        "scene_id": row.scene_id,
        "source_url": row.source,
        "lab": row.lab,
        "priority": row.priority,
        "pool": row.pool,
        "interval_s": None if row.interval_h is None else row.interval_h * 3600,
        "enabled": row.enabled,
    }


@task(**STAGE_RETRIES)  # type: ignore[untyped-decorator]  # Airflow types no keywords from a dict
def list_runs(night: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The runs of a night, to map over."""
    return night["runs"]


@task(**STAGE_RETRIES)  # type: ignore[untyped-decorator]  # Airflow types no keywords from a dict
def list_batches(night: dict[str, list[Any]]) -> list[list[dict[str, Any]]]:
    """The batches of a night, to map over."""
    return night["batches"]
