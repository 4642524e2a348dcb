"""The operator that works off a batch of scenes of a big night, and what people are told of each."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context, RetryAction
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from pydantic import SecretStr

from blueprint_pipeline.compute.events import level_of, readable
from blueprint_pipeline.compute.job import Compute, JobSpec
from blueprint_pipeline.compute.local import LocalCompute
from blueprint_pipeline.compute.profiles import load_compute
from blueprint_pipeline.errors import BlueprintError, Interrupted, PreemptedError
from blueprint_pipeline.registry.ids import run_name
from blueprint_pipeline.registry.leases import lease_holder
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.flow import STAGES
from operators.lab_notice import untold_message
from operators.left_leases import free_left_leases
from operators.night_runs import NIGHTS
from operators.retries import STAGE_RETRIES, StageRetryPolicy, as_known
from operators.run_end import enter_success, facts_of
from operators.scene_params import build_params
from operators.scene_requests import add_selections, build_request, connected_fields, secret_variables, values_of
from operators.stage_metrics import count_stage
from operators.stage_task import read_connections
from plugins.providers.messages.failure import RUN_FAILED, StageOfRun, failure_message
from plugins.providers.messages.outbox import send_now, tell
from plugins.providers.metrics import count_event

if TYPE_CHECKING:
    from blueprint_pipeline.registry.database import Registry

DEFECTS = (
    AirflowException,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What is raised where a scene meets a defect, ours or of its row. What is wrong with the worker (a full disk, no
file that can be opened: ``OSError``) or with Airflow ends the task, which is tried again."""
GO_ON = "clear this task, or wait until a night takes the scene again: finished work is kept."


@dataclass
class BatchScene:
    """A scene of the batch, and how far it is."""

    scene_id: str
    lab: str
    run_id: str
    conf: dict[str, Any]
    link: str | None
    """The batch's task in Airflow's UI."""
    clear_number: int
    """How often the night was cleared: what fails again after that is told again."""
    stage: str = "-"
    """The stage that runs, or ran last."""
    tries: int = 1
    """Of the part that runs, or ran last."""
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of stages that are done; of a sharded one, its last shard's."""

    @property
    def where(self) -> StageOfRun:
        """Where in its run it is."""
        return StageOfRun(
            scene_id=self.scene_id,
            lab=self.lab,
            stage=self.stage,
            dag_id=NIGHTS,
            run_id=self.run_id,
            clear_number=self.clear_number,
            link=self.link,
        )


class SceneBatchOperator(BaseOperator):
    """Take a batch of scenes through the whole flow, one after the other, each with its own state in the registry.

    Every stage is a process of this worker. One that fails for a reason that may pass, or meets a defect, is tried again here, by the
    policy that its task of the DAG would have; a scene that fails for good does not stop the others: people are told of it, and it is
    due again later. Borderline episodes are rejected: nobody is asked in a batch. Tried again, scenes that are done find their
    commits.

    Raises:
        AirflowFailException: Every scene of the batch failed; people were told of each.
        PreemptedError: The task was asked to end; what is finished is kept.
        OSError: The worker is short of something. The scene stays claimed, and the task's next try goes on with it; after the last try,
            all scenes of the batch are free.
    """

    template_fields: Sequence[str] = ("scenes",)

    def __init__(self, *, scenes: list[dict[str, Any]], compute: Compute | None = None, **kwargs: Any) -> None:
        options = {**STAGE_RETRIES, **kwargs}
        super().__init__(**options)
        self.policy: StageRetryPolicy = options["retry_policy"]
        self.scenes = scenes
        self.compute = compute
        self.asked_to_end = False
        self.scene: BatchScene | None = None
        """The one in work."""

    def execute(self, context: Context) -> dict[str, object]:
        from blueprint_pipeline.registry.database import open_registry

        compute = self.compute = self.compute or LocalCompute()
        failed: dict[str, str] = {}
        with open_registry(load_settings().registry) as registry, ExitStack() as ending:
            ending.push(partial(self._free_if_last, registry, context))
            for given in self.scenes:
                scene = _scene_of(given, context)
                if not _begin(registry, scene):
                    self.log.info("%s: done before, or another run has it", scene.scene_id)
                    continue
                self.scene = scene
                try:
                    self._run_scene(compute, scene, context["ti"].try_number)
                except PreemptedError:
                    raise
                except BlueprintError as error:
                    self.log.error("%s: %s", scene.scene_id, error)  # noqa: TRY400 -- the message is whole; a traceback of this process says nothing
                    failed[scene.scene_id] = str(error)
                    _enter_failure(registry, scene, error)
                except DEFECTS as error:
                    self.log.exception("%s: a defect", scene.scene_id)
                    failed[scene.scene_id] = f"{type(error).__name__}: {error}"
                    _enter_failure(registry, scene, error)
                else:
                    _enter_success(registry, scene)
                self.scene = None
        self.log.info("%d of %d scenes are done, %d failed.", len(self.scenes) - len(failed), len(self.scenes), len(failed))
        if self.scenes and len(failed) == len(self.scenes):
            first = next(iter(failed.values()))
            raise AirflowFailException(f"[{RUN_FAILED}] Every scene of the batch failed, {len(failed)} in all; the first: {first}")
        return {"scenes": len(self.scenes), "failed": sorted(failed)}

    def _free_if_last(self, registry: "Registry", context: Context, _kind: object, error: BaseException | None, _trace: object) -> None:
        """What ends the task for good leaves no scene claimed: people are told of the one in work, and the others are due again."""
        if error is None or not self.policy.is_last(error, context):
            return
        if self.scene is not None:
            _enter_failure(registry, self.scene, error)
        for given in self.scenes:
            registry.scenes.free(given["conf"]["scene_id"], given["trigger_run_id"])

    def on_kill(self) -> None:
        self.asked_to_end = True
        if self.compute is not None:
            self.compute.stop()

    def _run_scene(self, compute: Compute, scene: BatchScene, attempt: int) -> None:
        values = values_of({name: param.resolve() for name, param in build_params(scene.conf).items()})
        run_stage = partial(self._run_stage, compute, values=values, run_id=scene.run_id, attempt=attempt)
        shards: list[int] = []
        for row in STAGES.values():
            scene.stage = row.name
            for shard in shards if row.sharded else [None]:
                try:
                    scene.results[row.name] = self._retry(scene, partial(run_stage, row.name, shard))
                except BlueprintError as error:
                    if not row.tells or isinstance(error, PreemptedError):
                        raise
                    self.log.warning("%s: the delivery stands; watch_runs calls the lab again: %s", scene.run_id, error)
                    tell(untold_message(scene.where, error))
            if row.gives:
                shards = list(scene.results[row.name][row.gives])

    def _run_stage(
        self, compute: Compute, stage: str, shard: int | None, *, values: dict[str, Any], run_id: str, attempt: int
    ) -> dict[str, Any]:
        request = {**build_request(stage, values.__getitem__), **read_connections(connected_fields(stage, values["lab"]))}
        requests = [request if shard is None else {**request, "shard_index": shard}]
        found = read_connections(secret_variables(stage, values["lab"]))
        job = JobSpec(
            stage=stage,
            requests=tuple(add_selections(stage, requests, failures=values["failures"])),
            dag_id=NIGHTS,
            run_id=run_id,
            attempt=attempt,
            profile=load_compute(load_settings().compute.config).local,
            secrets={name: SecretStr(value) for name, value in found.items()},
        )
        done = compute.run(job, self._show_event)
        count_stage(stage, done)
        return done[0].result

    def _show_event(self, event: dict[str, Any]) -> None:
        """The log of so many scenes has what a stage warns of; the rest is for who looks for more."""
        count_event(event)
        level = level_of(event)
        self.log.log(level if level > logging.INFO else logging.DEBUG, "%s: %s", event.get("scene_id", "-"), readable(event))

    def _retry(self, scene: BatchScene, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do a part of a scene, and again after a failure that may pass or a defect, as often as a task of the DAG would be."""
        scene.tries = 1
        while True:
            self._end_if_asked()
            try:
                return work()
            except (BlueprintError, *DEFECTS) as error:
                known = as_known(error)
                if isinstance(known, PreemptedError):
                    raise known from error
                decision = self.policy.evaluate(known, scene.tries, self.policy.failures)
                if decision.action is not RetryAction.RETRY:
                    raise
                self.log.warning("%s; %s", error, decision.reason, exc_info=not isinstance(error, BlueprintError))
                scene.tries += 1
                self._pause(decision.retry_delay or timedelta(0))

    def _pause(self, delay: timedelta) -> None:
        until = time.monotonic() + delay.total_seconds()
        while (left := until - time.monotonic()) > 0:
            self._end_if_asked()
            time.sleep(min(left, 1.0))

    def _end_if_asked(self) -> None:
        if self.asked_to_end:
            raise Interrupted("The batch")


def _scene_of(given: dict[str, Any], context: Context) -> BatchScene:
    conf = given["conf"]
    return BatchScene(
        scene_id=conf["scene_id"],
        lab=conf["lab"],
        run_id=given["trigger_run_id"],
        conf=conf,
        link=getattr(context["ti"], "log_url", None),
        clear_number=getattr(context.get("dag_run"), "clear_number", 0) or 0,
    )


def _begin(registry: "Registry", scene: BatchScene) -> bool:
    """Claim a scene and enter its run; ``False`` where it is not this batch's to do."""
    with registry.together():
        if not registry.scenes.mark_started(scene.scene_id, scene.run_id):
            return False
        registry.runs.start(dag_id=NIGHTS, run_id=scene.run_id, scene_id=scene.scene_id, lab=scene.lab, link=scene.link)
        return True


def _enter_success(registry: "Registry", scene: BatchScene) -> None:
    with registry.together():
        registry.scenes.mark_finished(scene.scene_id, scene.run_id, "succeeded")
        run = registry.runs.note(NIGHTS, scene.run_id, **facts_of(scene.results))
        recovery = enter_success(registry, run)
    if recovery is not None:
        send_now(registry, recovery.message_id)


def _enter_failure(registry: "Registry", scene: BatchScene, error: BaseException) -> None:
    """One alert a scene, in the transaction in which its run ends; the others of the batch go on."""
    alert = failure_message(scene.where, error, tries=scene.tries, go_on=GO_ON)
    with registry.together():
        free_left_leases(registry.leases, lease_holder(run_name(NIGHTS, scene.run_id)))
        registry.scenes.mark_finished(scene.scene_id, scene.run_id, "failed")
        facts = {**facts_of(scene.results), "stage": scene.stage, "code": alert.code, "message": alert.text}
        registry.runs.note(NIGHTS, scene.run_id, **facts)
        registry.runs.end(NIGHTS, scene.run_id, "failed")
        registry.outbox.add(alert)
    send_now(registry, alert.message_id)
