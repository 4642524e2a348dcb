"""The one place that knows which operator runs a stage: DAGs name stages, settings say where they run."""

from typing import Any

from blueprint_pipeline.compute.profiles import runs_as_pod
from blueprint_pipeline.settings import load_settings
from operators.stage import StageOperator
from operators.stage_task import StageTask


def operator_of(stage: str) -> type[StageTask]:
    """The class of the operator of a stage, as the settings of this process want it.

    The provider of pods costs seconds to import: only an installation that wants pods pays for it.
    """
    if not runs_as_pod(stage, load_settings().compute):
        return StageOperator
    from operators.isaac_sim_pod import IsaacSimPodOperator

    return IsaacSimPodOperator


def stage_task(stage: str, request: dict[str, object], **kwargs: Any) -> StageTask:
    """The task of a stage."""
    return operator_of(stage)(stage=stage, request=request, **kwargs)
