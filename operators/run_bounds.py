"""The first and the last task of a run: check that everything is in place, and leave nothing behind."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from blueprint.errors import BlueprintError
from blueprint.settings import load_settings
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
        from blueprint.registry.database import open_registry
        from blueprint.workspace.storage import Workspace

        try:
            settings = load_settings()
            scene = Workspace(settings.workspace).scene(self.scene_id)
            open_registry(settings.registry)
        except BlueprintError as error:
            raise_for_airflow(error)
        self.log.info("Scene %s lies in %s; run %s may start.", self.scene_id, scene.root, context["run_id"])
        return {"scene_id": self.scene_id, "scene_url": str(scene.root)}


class CloseRunOperator(BaseOperator):
    """Free what the run still holds: its leases. Finished units and resumable staging stay, so that the next run goes on there."""

    template_fields: Sequence[str] = ("scene_id",)

    def __init__(self, *, scene_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scene_id = scene_id

    def execute(self, context: Context) -> dict[str, int]:
        from blueprint.registry.database import open_registry

        registry = open_registry(load_settings().registry)
        freed = registry.leases.release_all(holder=str(context["run_id"]))
        self.log.info("Run %s is closed: %d leases were still held and are free now.", context["run_id"], freed)
        return {"leases_freed": freed}
