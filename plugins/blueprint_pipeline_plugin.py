"""The one file that Airflow loads as a plugin: macros for templates of DAGs."""

from airflow.plugins_manager import AirflowPlugin


def scene_files(scene_id: str) -> str:
    """The URL of a scene's folder, for links and messages: ``{{ macros.blueprint_pipeline.scene_files(params.scene_id) }}``."""
    from blueprint_pipeline.settings import load_settings
    from blueprint_pipeline.workspace.storage import Workspace

    return str(Workspace(load_settings().workspace).scene(scene_id).root)


class BlueprintPipelinePlugin(AirflowPlugin):
    """What Blueprint adds to Airflow."""

    name = "blueprint_pipeline"
    macros = [scene_files]
