"""The nightly batch: which scenes are due, how many may start, and how a big night is worked off.

The registry says what is due, by priority and fairly between labs, with room in its pool. A night claims its scenes there, so
two nights never work on the same one, and a task that is tried again finds what it had claimed.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import BaseOperator, Context, RetryAction, task
from airflow.sdk.exceptions import AirflowFailException
from pydantic import SecretStr

from blueprint_pipeline.compute.job import Compute, JobSpec
from blueprint_pipeline.compute.local import LocalCompute
from blueprint_pipeline.compute.profiles import load_compute
from blueprint_pipeline.errors import BlueprintError, Interrupted, PreemptedError
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.flow import STAGES
from operators.claim_notice import claim_lapsed_message
from operators.retries import STAGE_RETRIES, StageRetryPolicy, as_known
from operators.scene_params import build_params
from operators.scene_requests import build_request, connected_fields, secret_variables, values_of
from operators.scene_rows import SCENES_PATH, InvalidScenes, SceneRow, check_scene_rows, load_pool_limits
from operators.stage_task import read_connections

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
            self.log.warning("The run of scene %s never ended: it is due again.", scene_id)
        mine = [record.source.scene_id for record in scenes.claims() if record.running_run_id == run_id_of(night, record.source)]
        running = scenes.count_running() - len(mine)
        free = max(0, self.running_limit - running - len(mine))
        room = {pool: max(0, limit - scenes.count_running(pool=pool)) for pool, limit in load_pool_limits().items()}
        due = [record.source.scene_id for record in scenes.due_scenes(now, free, room)] if free else []
        claimed = [scene_id for scene_id in due if scene_id in rows and scenes.mark_started(scene_id, run_id_of(night, rows[scene_id]))]
        chosen = [run_of(night, rows[scene_id]) for scene_id in (*mine, *claimed) if scene_id in rows]
        self.log.info("%d scenes run already (limit %d), pools have room for %s.", running, self.running_limit, room or "all")
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


class _Named(Protocol):
    @property
    def scene_id(self) -> str: ...
    @property
    def lab(self) -> str: ...


def run_id_of(night: str, row: _Named) -> str:
    """The run id of a scene in a night, with scene and lab in it: the same whenever it is asked for."""
    return f"{night}__{row.scene_id}__{row.lab}"


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


class SceneBatchOperator(BaseOperator):
    """Take a batch of scenes through the whole flow, one after the other, each with its own state in the registry.

    Every stage is a process of this worker. One that fails for a reason that may pass is tried again here, by the policy that
    its task of the DAG would have; a scene that fails for good does not stop the others: it is due again later. Borderline
    episodes are rejected: nobody is asked in a batch. Tried again, scenes that are done find their commits.

    Raises:
        AirflowFailException: Every scene of the batch failed.
        PreemptedError: The task was asked to end; what is finished is kept.
    """

    template_fields: Sequence[str] = ("scenes",)

    def __init__(self, *, scenes: list[dict[str, Any]], compute: Compute | None = None, **kwargs: Any) -> None:
        options = {**STAGE_RETRIES, **kwargs}
        super().__init__(**options)
        self.policy: StageRetryPolicy = options["retry_policy"]
        self.scenes = scenes
        self.compute = compute
        self.asked_to_end = False

    def execute(self, context: Context) -> dict[str, object]:
        from blueprint_pipeline.registry.database import open_registry

        compute = self.compute = self.compute or LocalCompute()
        registry = open_registry(load_settings().registry).scenes
        failed: dict[str, str] = {}
        for scene in self.scenes:
            scene_id, run_id = scene["conf"]["scene_id"], scene["trigger_run_id"]
            if not registry.mark_started(scene_id, run_id):
                self.log.info("%s: done before, or another run has it", scene_id)
                continue
            try:
                self._run_scene(compute, scene, context["ti"].try_number)
            except PreemptedError:
                raise
            except BlueprintError as error:
                failed[scene_id] = str(error)
                self.log.error("%s: %s", scene_id, error)  # noqa: TRY400 -- the message is whole; a traceback of this process says nothing
            registry.mark_finished(scene_id, run_id, "failed" if scene_id in failed else "succeeded")
        self.log.info("%d of %d scenes are done, %d failed.", len(self.scenes) - len(failed), len(self.scenes), len(failed))
        if self.scenes and len(failed) == len(self.scenes):
            raise AirflowFailException(f"All {len(failed)} scenes of the batch failed; the first: {next(iter(failed.values()))}")
        return {"scenes": len(self.scenes), "failed": sorted(failed)}

    def on_kill(self) -> None:
        self.asked_to_end = True
        if self.compute is not None:
            self.compute.stop()

    def _run_scene(self, compute: Compute, scene: dict[str, Any], attempt: int) -> None:
        values = values_of({name: param.resolve() for name, param in build_params(scene["conf"]).items()})
        run_stage = partial(self._run_stage, compute, values=values, run_id=scene["trigger_run_id"], attempt=attempt)
        shards: list[int] = []
        for row in STAGES.values():
            for shard in shards if row.sharded else [None]:
                try:
                    result = self._retry(partial(run_stage, row.name, shard))
                except BlueprintError as error:
                    if not row.tells or isinstance(error, PreemptedError):
                        raise
                    self.log.warning("%s: the delivery stands; watch_runs calls the lab again: %s", scene["trigger_run_id"], error)
                    continue
                if row.gives:
                    shards = list(result[row.gives])

    def _run_stage(
        self, compute: Compute, stage: str, shard: int | None, *, values: dict[str, Any], run_id: str, attempt: int
    ) -> dict[str, Any]:
        request = {**build_request(stage, values.__getitem__), **read_connections(connected_fields(stage, values["lab"]))}
        found = read_connections(secret_variables(stage, values["lab"]))
        job = JobSpec(
            stage=stage,
            requests=(request if shard is None else {**request, "shard_index": shard},),
            run_id=run_id,
            attempt=attempt,
            profile=load_compute(load_settings().compute.config).local,
            secrets={name: SecretStr(value) for name, value in found.items()},
        )
        (result,) = compute.run(job, lambda event: self.log.debug("%s", event))
        return result

    def _retry(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do a part of a scene, and again after a failure that may pass, as often as a task of the DAG would be."""
        failures = 0
        while True:
            self._end_if_asked()
            try:
                return work()
            except BlueprintError as error:
                known = as_known(error)
                if isinstance(known, PreemptedError):
                    raise known from error
                failures += 1
                decision = self.policy.evaluate(known, failures, self.policy.failures)
                if decision.action is not RetryAction.RETRY:
                    raise
                self.log.warning("%s; %s", error, decision.reason)
                self._pause(decision.retry_delay or timedelta(0))

    def _pause(self, delay: timedelta) -> None:
        until = time.monotonic() + delay.total_seconds()
        while (left := until - time.monotonic()) > 0:
            self._end_if_asked()
            time.sleep(min(left, 1.0))

    def _end_if_asked(self) -> None:
        if self.asked_to_end:
            raise Interrupted("The batch")
