"""The first and the last task of a run: check that everything is in place, and leave nothing behind."""

from collections.abc import Sequence
from typing import Any, Literal

from airflow.sdk import BaseOperator, Context

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.settings import load_settings
from operators.retries import STAGE_RETRIES, raise_for_airflow


class OpenRunOperator(BaseOperator):
    """Check the settings, the workspace and the registry before anything is worked on.

    Raises:
        AirflowFailException: A setting or the scene's id is wrong.
    """

    template_fields: Sequence[str] = ("scene_id",)

    def __init__(self, *, scene_id: str, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.scene_id = scene_id

    def execute(self, context: Context) -> dict[str, str]:
        from blueprint_pipeline.registry.database import open_registry
        from blueprint_pipeline.workspace.storage import Workspace

        try:
            settings = load_settings()
            scene = Workspace(settings.workspace).scene(self.scene_id)
            open_registry(settings.registry)
        except BlueprintError as error:
            raise_for_airflow(error)
        self.log.info("Scene %s lies in %s; run %s may start.", self.scene_id, scene.root, context["run_id"])
        return {"scene_id": self.scene_id, "scene_url": str(scene.root)}


class CloseRunOperator(BaseOperator):
    """Free what the run still holds, and tell the registry how it ended.

    Finished units and resumable staging stay: the next run continues from there.
    """

    template_fields: Sequence[str] = ("scene_id",)

    def __init__(self, *, scene_id: str, **kwargs: Any) -> None:
        super().__init__(**{**STAGE_RETRIES, **kwargs})
        self.scene_id = scene_id

    def execute(self, context: Context) -> dict[str, object]:
        from blueprint_pipeline.registry.database import open_registry

        run_id = str(context["run_id"])
        registry = open_registry(load_settings().registry)
        freed = [lease.name for lease in registry.leases.release_all(run_id)]
        if freed:
            self.log.warning("Run %s still held %s: free now.", run_id, ", ".join(freed))
        ended: Literal["failed", "succeeded"] = "failed" if _failed_tasks(context) else "succeeded"
        if registry.scenes.find(self.scene_id) is not None:
            registry.scenes.mark_finished(self.scene_id, run_id, ended)
        self.log.info("Run %s of scene %s %s.", run_id, self.scene_id, ended)
        return {"leases_freed": len(freed), "ended": ended}


def _failed_tasks(context: Context) -> list[str]:
    """Tasks of the run that failed or never could run."""
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[str(context["run_id"])])
    return sorted(task for tasks in states.values() for task, state in tasks.items() if state in {"failed", "upstream_failed"})
