"""The operator that runs one stage as a process of its worker."""

from typing import Any

from airflow.sdk import Context

from blueprint_pipeline.compute.job import Compute
from blueprint_pipeline.compute.local import LocalCompute
from blueprint_pipeline.compute.profiles import load_compute
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.settings import load_settings
from operators.lab_notice import end_task
from operators.stage_task import StageTask


class StageOperator(StageTask):
    """Run a stage here, and wait for it, no longer than the profile `local` of ``compute.yaml`` allows.

    Arguments and errors are those of :class:`StageTask`.

    Args:
        compute: What runs the job; a process of this machine if not given.
    """

    def __init__(self, *, compute: Compute | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute = compute

    def execute(self, context: Context) -> Any:
        spec = self.build_spec(context, load_compute(load_settings().compute.config).local)
        self.compute = self.compute or LocalCompute()
        try:
            done = self.compute.run(spec, self.show_event)
        except BlueprintError as error:
            end_task(context, error, never_fails=self.never_fails)
        return self.finish(context, done)

    def on_kill(self) -> None:
        """Pass the wish to end on to the stage; it stops between two units and what is whole stays."""
        if self.compute is not None:
            self.log.warning("asking stage %s to end", self.stage)
            self.compute.stop()
