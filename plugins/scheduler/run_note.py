"""Scene and lab in the note of a run: the id of a run that a person starts says neither."""

from typing import Any

from airflow.listeners import hookimpl


class RunNoteListener:
    """Writes the note as a run starts, where it has none; its errors are logged by Airflow and stop nothing."""

    @hookimpl
    def on_dag_run_running(self, dag_run: Any, msg: str) -> None:
        """A run starts; the note becomes part of the scheduler's own transaction."""
        del msg
        dag = getattr(dag_run, "dag", None)
        if dag is None or dag_run.note or "blueprint_pipeline" not in dag.tags:
            return
        chosen = {**dag.params.dump(), **(dag_run.conf or {})}
        if chosen.get("scene_id") and chosen.get("lab"):
            dag_run.note = f"scene {chosen['scene_id']}, lab {chosen['lab']}"
