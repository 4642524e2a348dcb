"""The operator of a scene's own DAG: one run of ``scene_to_dataset``, waited for without a worker."""

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from blueprint_pipeline.registry.ids import shorten_id
from operators.night_runs import RUN_ID_CHARACTERS
from operators.retries import STAGE_RETRIES
from plugins.providers.messages.failure import RUN_FAILED

POLL_S = 30


class RunSceneOperator(TriggerDagRunOperator):
    """Start a scene's run and wait for its end; cleared, it starts that same run again, which finds what was finished.

    Args:
        conf: Parameters of the run, with ``scene_id`` and ``lab``, which stand in its id.

    Raises:
        AirflowFailException: The scene's run failed. It told people itself, so this task does not.
    """

    def __init__(self, *, conf: dict[str, Any], task_id: str = "run_scene", **kwargs: Any) -> None:
        options = {
            "trigger_dag_id": "scene_to_dataset",
            "trigger_run_id": f"{{{{ run_id }}}}__{conf['scene_id']}__{conf['lab']}",
            "conf": conf,
            "reset_dag_run": True,
            "wait_for_completion": True,
            "deferrable": True,
            "poke_interval": POLL_S,
            "openlineage_inject_parent_info": False,
            **STAGE_RETRIES,
        }
        super().__init__(task_id=task_id, **{**options, **kwargs})

    def execute(self, context: Context) -> None:
        """Start the run; where this task's own run id leaves no room for scene and lab, their run id is cut off and ends in a digest."""
        self.trigger_run_id = shorten_id(str(self.trigger_run_id), RUN_ID_CHARACTERS)
        super().execute(context)

    def execute_complete(self, context: Context, event: tuple[str, dict[str, Any]]) -> None:
        """The scene's run has ended."""
        try:
            super().execute_complete(context, event)
        except AirflowException as error:
            raise AirflowFailException(f"[{RUN_FAILED}] {error}") from error
