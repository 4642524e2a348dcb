"""The one file that Airflow loads as a plugin: macros for templates, what the scheduler needs of us, and pictures."""

from airflow.plugins_manager import AirflowPlugin

from plugins.pages.closed_door import ClosedDoor
from plugins.pages.pictures import PREFIX, pictures
from plugins.scheduler.deadline_reference import RunQueuedDeadline
from plugins.scheduler.pools import PoolListener
from plugins.scheduler.run_end import RunEndListener
from plugins.scheduler.run_note import RunNoteListener


def scene_files(scene_id: str) -> str:
    """The URL of a scene's folder, for links and messages: ``{{ macros.blueprint_pipeline.scene_files(params.scene_id) }}``."""
    from blueprint_pipeline.settings import load_settings
    from blueprint_pipeline.workspace.storage import Workspace

    return str(Workspace(load_settings().workspace).scene(scene_id).root)


class BlueprintPipelinePlugin(AirflowPlugin):
    """What Blueprint adds to Airflow."""

    name = "blueprint_pipeline"
    macros = [scene_files]
    deadline_references = [RunQueuedDeadline]
    listeners = [PoolListener(), RunEndListener(), RunNoteListener()]
    fastapi_apps = [{"name": "pictures of scenes", "app": pictures, "url_prefix": PREFIX}]
    fastapi_root_middlewares = [{"name": "no simple auth manager for others than this machine", "middleware": ClosedDoor}]
