"""Toy stages of a sharded flow."""

from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult


class PlanRequest(StageRequest):
    """Nothing that matters."""

    source: str
    log: str = ""


class PlanResult(StageResult):
    """Two shards, not counted from nought."""

    job_id: str
    shards: tuple[int, ...]


class ShardRequest(StageRequest):
    """Which one."""

    shard_index: int


class ShardResult(StageResult):
    """Which one it was."""

    shard: int


def plan(_request: PlanRequest, context: StageContext) -> PlanResult:
    context.output("plan.json").write_text("{}")
    return PlanResult(job_id="job-1", shards=(3, 5))


def shard(request: ShardRequest, context: StageContext) -> ShardResult:
    context.output(f"shards/{request.shard_index}.json").write_text("{}")
    return ShardResult(shard=request.shard_index)


def _stage(name, request, result, run, **fields):
    return Stage(name=name, description="", request=request, result=result, run=run, **fields)


TOY_PLAN = _stage("toy_plan", PlanRequest, PlanResult, plan, reads=lambda _: [], writes=lambda _: ["plan.json"])
TOY_SHARD = _stage(
    "toy_shard",
    ShardRequest,
    ShardResult,
    shard,
    reads=lambda _: ["plan.json"],
    writes=lambda r: [f"shards/{r.shard_index}.json"],
    unit=lambda r: f"shard_{r.shard_index:04d}",
)
