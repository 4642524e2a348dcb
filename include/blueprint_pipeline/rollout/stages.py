"""The stage that simulates a shard of a job."""

from pydantic import Field

from blueprint_pipeline.episode.record import recording_path, usage_path
from blueprint_pipeline.rollout.shard import count_failures, simulate_shard
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.simulation.open_simulator import other_engines, scene_inputs, simulator_release
from blueprint_pipeline.simulators import SimulatorName
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult
from blueprint_pipeline.task.plan import PLAN_PATH, shard_name, shard_plan_path
from blueprint_pipeline.workspace.canonical import canonical_json
from blueprint_pipeline.workspace.checksums import FileDigest, digest_bytes


class SimulateShardRequest(StageRequest):
    """Which shard."""

    shard_index: int = Field(ge=0)
    simulator: SimulatorName | None = None
    """What acts; ``None``: what the settings say."""


class SimulateShardResult(StageResult):
    """How the attempts ended."""

    shard_index: int
    attempted: int
    succeeded: int
    failures: dict[str, int]
    """Failed attempts by ``stage:code``."""
    frames: int


def _simulate_shard(request: SimulateShardRequest, context: StageContext) -> SimulateShardResult:
    summaries = simulate_shard(request.shard_index, context, request.simulator)
    return SimulateShardResult(
        shard_index=request.shard_index,
        attempted=len(summaries),
        succeeded=sum(summary.success for summary in summaries),
        failures=count_failures(summaries),
        frames=sum(summary.frames for summary in summaries),
    )


def _plans(shard_index: int) -> list[str]:
    """The first shard reads the whole plan, too: it removes what is left of shards that are not planned any more."""
    return [shard_plan_path(shard_index), *([PLAN_PATH] if shard_index == 0 else [])]


def _acted_by(request: SimulateShardRequest, settings: Settings) -> dict[str, FileDigest]:
    """Another release of a simulator acts otherwise."""
    release = simulator_release(request.simulator or settings.simulation.simulator, settings)
    return {"simulator": digest_bytes(canonical_json(release))} if release else {}


SIMULATE_SHARD = Stage(
    name="simulate_shard",
    description="Attempt every episode of a shard in physics, without pictures; keep failures, labelled.",
    request=SimulateShardRequest,
    result=SimulateShardResult,
    run=_simulate_shard,
    complete=lambda request, settings: request.model_copy(update={"simulator": request.simulator or settings.simulation.simulator}),
    external_inputs=_acted_by,
    reads=lambda request: [*_plans(request.shard_index), *scene_inputs(request.simulator)],
    writes=lambda request: [recording_path(request.shard_index), usage_path(request.shard_index)],
    keeps=True,
    leaves_out=lambda request: other_engines(request.simulator),
    unit=lambda request: shard_name(request.shard_index),
)
