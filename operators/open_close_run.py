"""The first and the last task of a run: refuse at the door what cannot come to a good end, and say how the run ended.

``close_run`` is an ordinary task, and no teardown: Airflow leaves a run that a person cancels open for its teardowns, and counts it as a
success afterwards (apache/airflow#45530). A cancelled run is failed at once; ``watch_runs`` finds it, tells people and frees what it held.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from blueprint_pipeline.errors import BlueprintError, GateError
from blueprint_pipeline.settings import load_settings
from operators.retries import STAGE_RETRIES, raise_for_airflow
from operators.run_check import validate_run
from operators.run_end import RESULTS, close_run
from plugins.providers.messages.failure import RUN_FAILED, run_url_of


class RunFailed(GateError):
    """Another task of the run failed, or did not run: the run is not done, whatever its last task did."""

    code = RUN_FAILED
    template = "Run {run_id} of scene {scene_id} is not done: {tasks:; }. Correct the cause, then clear these tasks: finished work is kept."

    run_id: str
    scene_id: str
    tasks: Sequence[str]


class OpenRunOperator(BaseOperator):
    """Check everything that can be checked before anything is worked on.

    Args:
        scene_id: The scene, templated.
        lab: Who gets the dataset, templated.

    Raises:
        AirflowFailException: A setting, a parameter of the run, the scene's source, the lab or the machine is wrong or missing.
    """

    template_fields: Sequence[str] = ("scene_id", "lab")

    def __init__(self, *, scene_id: str, lab: str, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.scene_id = scene_id
        self.lab = lab

    def execute(self, context: Context) -> dict[str, str]:
        from blueprint_pipeline.registry.database import open_registry
        from blueprint_pipeline.workspace.storage import Workspace

        ti, run_id = context["ti"], str(context["run_id"])
        try:
            settings = load_settings()
            scene = Workspace(settings.workspace).scene(self.scene_id)
            link = run_url_of(getattr(ti, "log_url", None), ti.dag_id, run_id)
            with open_registry(settings.registry) as registry:
                registry.runs.start(dag_id=ti.dag_id, run_id=run_id, scene_id=self.scene_id, lab=self.lab, link=link)
            validate_run(dict(context["params"]), given=dict(context["dag_run"].conf or {}), settings=settings)
        except BlueprintError as error:
            raise_for_airflow(error)
        self.log.info("Scene %s lies in %s; run %s may start.", self.scene_id, scene.root, run_id)
        return {"scene_id": self.scene_id, "scene_url": str(scene.root)}


class CloseRunOperator(BaseOperator):
    """Free what the run still holds, tell the registry how it ended, and fail if any task did.

    Finished units and resumable staging stay: the next run continues from there.

    Args:
        scene_id: The scene, templated.
        may_skip: Tasks that may be skipped in a run that is done.

    Raises:
        AirflowFailException: The run is not done.
    """

    template_fields: Sequence[str] = ("scene_id",)

    def __init__(self, *, scene_id: str, may_skip: Collection[str] = (), **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, "trigger_rule": "all_done", **kwargs})
        self.scene_id = scene_id
        self.may_skip = tuple(sorted(may_skip))

    def execute(self, context: Context) -> dict[str, object]:
        ti, run_id = context["ti"], str(context["run_id"])
        states = _states(context)
        undone = undone_tasks(states, own=ti.task_id, may_skip=self.may_skip) or marked_by_hand(states, context)
        freed = close_run(context, self.scene_id, undone)
        if freed:
            self.log.warning("Run %s still held %s: free now.", run_id, ", ".join(freed))
        if undone:
            raise AirflowFailException(str(RunFailed(run_id, self.scene_id, [f"{task} is {state}" for task, state in undone.items()])))
        self.log.info("Run %s of scene %s succeeded.", run_id, self.scene_id)
        return {"leases_freed": len(freed), "ended": "succeeded"}


def undone_tasks(states: Mapping[str, str | None], *, own: str, may_skip: Collection[str]) -> dict[str, str]:
    """Tasks whose state does not let the run be done, those that failed themselves first; the task that asks is left out."""
    wrong = {
        name: str(state)
        for name, state in states.items()
        if name != own and state != "success" and not (state == "skipped" and name.split(".")[-1] in may_skip)
    }
    failed = {name: state for name, state in wrong.items() if state == "failed"}
    return {**failed, **wrong}


def marked_by_hand(states: Mapping[str, str | None], context: Context) -> dict[str, str]:
    """Tasks that stand as a success and have no result: a person marked them so, and nothing was made."""
    claimed = [name for name in RESULTS if states.get(name) == "success"]
    return {name: "marked as success, without a result" for name in claimed if context["ti"].xcom_pull(task_ids=name) is None}


def _states(context: Context) -> dict[str, str | None]:
    """State of every task of the run; instances of a mapped task are ``name_index``."""
    ti = context["ti"]
    found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[str(context["run_id"])])
    return {name: state for tasks in found.values() for name, state in sorted(tasks.items())}
