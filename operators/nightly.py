"""The nightly batch: which scenes are due, how many may start, and how a big night is worked off.

The registry says what is due, by priority and fairly between labs. A night claims its scenes there, so two nights never
work on the same one, and a task that is tried again finds what it had claimed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context, task
from airflow.sdk.exceptions import AirflowFailException
from pydantic import SecretStr

from blueprint.compute.job import Compute, JobSpec
from blueprint.compute.local import LocalCompute
from blueprint.errors import BlueprintError, PreemptedError
from blueprint.settings import load_settings
from operators.retries import STAGE_RETRIES
from operators.scene_params import build_params
from operators.scene_requests import SHARDED, build_request, connected_fields, secret_variables, stage_names
from operators.scene_rows import SceneRow, load_scene_rows
from operators.stage_task import read_connections

LOST_AFTER = timedelta(hours=72)
"""A scene whose run did not end for this long is taken for lost, and is due again: longer than a run may wait for a person and work."""


class PlanNightOperator(BaseOperator):
    """Choose the scenes of this night and claim them.

    Args:
        running_limit: No more scenes than this may run at once, those of former nights included.
        batch_from: From this many scenes on, the night is worked off in batches instead of a DAG run each.
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
        from blueprint.registry.database import open_registry
        from blueprint.registry.records import SceneSource

        scenes = open_registry(load_settings().registry).scenes
        now, night = datetime.now(UTC), str(context["run_id"])
        rows = {row.scene_id: row for row in load_scene_rows()}
        scenes.sync([SceneSource.model_validate(_source(row)) for row in rows.values()], now)
        for lost in scenes.mark_lost(now - LOST_AFTER):
            self.log.warning("The run of scene %s never ended: it is due again.", lost.source.scene_id)
        mine = [record.source.scene_id for record in scenes.all() if record.running_run_id == run_id_of(night, record.source.scene_id)]
        running = scenes.count_running() - len(mine)
        free = max(0, self.running_limit - running - len(mine))
        due = [record.source.scene_id for record in scenes.due_scenes(now, free)] if free else []
        claimed = [scene_id for scene_id in due if scenes.mark_started(scene_id, run_id_of(night, scene_id))]
        chosen = [run_of(night, rows[scene_id]) for scene_id in (*mine, *claimed) if scene_id in rows]
        self.log.info("%d scenes run already (limit %d); this night starts %d.", running, self.running_limit, len(chosen))
        return split_night(chosen, self.batch_from, self.batch_size)


def run_id_of(night: str, scene_id: str) -> str:
    """The run id of a scene in a night: the same whenever it is asked for."""
    return f"{night}__{scene_id}"


def run_of(night: str, row: SceneRow) -> dict[str, Any]:
    """What starts the run of a scene."""
    source = {"source": row.source} if row.source else {}
    return {"trigger_run_id": run_id_of(night, row.scene_id), "conf": {"scene_id": row.scene_id, "lab": row.lab, **source, **row.params}}


def split_night(chosen: list[dict[str, Any]], batch_from: int, batch_size: int) -> dict[str, list[Any]]:
    """A small night is a DAG run a scene, a big one is batches."""
    if len(chosen) < batch_from:
        return {"runs": chosen, "batches": []}
    return {"runs": [], "batches": [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]}


def _source(row: SceneRow) -> dict[str, Any]:
    return {
        "scene_id": row.scene_id,
        "source_url": row.source or "sample",
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

    A scene that fails does not stop the others: it is due again later. Borderline episodes are rejected: nobody is asked in a batch.
    Tried again, scenes that are done find their commits.

    Raises:
        AirflowFailException: Every scene of the batch failed.
        PreemptedError: The task was asked to end; what is finished is kept.
    """

    template_fields: Sequence[str] = ("scenes",)

    def __init__(self, *, scenes: list[dict[str, Any]], compute: Compute | None = None, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.scenes = scenes
        self.compute = compute

    def execute(self, context: Context) -> dict[str, object]:
        from blueprint.registry.database import open_registry

        self.compute = self.compute or LocalCompute()
        registry = open_registry(load_settings().registry).scenes
        failed: dict[str, str] = {}
        for scene in self.scenes:
            scene_id, run_id = scene["conf"]["scene_id"], scene["trigger_run_id"]
            if not registry.mark_started(scene_id, run_id):
                self.log.info("%s: done before, or another run has it", scene_id)
                continue
            try:
                self._run_scene(scene, context["ti"].try_number)
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
        if self.compute is not None:
            self.compute.stop()

    def _run_scene(self, scene: dict[str, Any], attempt: int) -> None:
        params = build_params(scene["conf"])
        values = {name: param.resolve() for name, param in params.items()}
        shards: list[int] = []
        for stage in stage_names():
            request = {**build_request(stage, values.__getitem__), **read_connections(connected_fields(stage, values["lab"]))}
            found = read_connections(secret_variables(stage, values["lab"]))
            secrets = {name: SecretStr(value) for name, value in found.items()}
            for shard in shards if stage in SHARDED else [None]:
                fields = request if shard is None else {**request, "shard_index": shard}
                job = JobSpec(stage=stage, requests=(fields,), run_id=scene["trigger_run_id"], attempt=attempt, secrets=secrets)
                result = self._run_job(job)
                if stage == "plan_tasks":
                    shards = list(result["shards"])

    def _run_job(self, job: JobSpec) -> dict[str, Any]:
        if self.compute is None:
            raise AirflowFailException("The batch has no compute: report it.")
        try:
            (result,) = self.compute.run(job, lambda event: self.log.debug("%s", event))
        except BlueprintError as error:
            if error.exit_code == PreemptedError.exit_code:
                raise PreemptedError(str(error)) from error
            raise
        return result
