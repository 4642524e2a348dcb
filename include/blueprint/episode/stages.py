"""The stages of recorded episodes: take them in, and draw those that are kept."""

from pydantic import Field

from blueprint.episode.import_episodes import IMPORT_EPISODES
from blueprint.episode.record import recording_path, render_path, shard_name
from blueprint.episode.render_shard import render_shard
from blueprint.quality.report import APPROVALS_FOLDER, GATES_PATH
from blueprint.stage import Stage, StageContext, StageRequest, StageResult
from blueprint.task.spec import PLAN_PATH

__all__ = ["IMPORT_EPISODES", "RENDER_SHARD"]


class RenderShardRequest(StageRequest):
    """Which shard, and what beside colour."""

    shard_index: int = Field(ge=0)
    depth: bool = False
    """Also ``{camera}.depth.mkv``: 16 bit, millimetres."""
    segmentation: bool = False
    """Also ``{camera}.segmentation.mkv``: 8 bit, one value an object."""


class RenderShardResult(StageResult):
    """What was drawn."""

    shard_index: int
    selected: int
    rendered: int
    refused: tuple[str, ...]
    """Episodes that did not replay; their certificates say why."""
    frames: int


def _render_shard(request: RenderShardRequest, context: StageContext) -> RenderShardResult:
    summaries = render_shard(request.shard_index, context, depth=request.depth, segmentation=request.segmentation)
    drawn = [summary for summary in summaries if summary.replayed]
    return RenderShardResult(
        shard_index=request.shard_index,
        selected=len(summaries),
        rendered=len(drawn),
        refused=tuple(summary.episode_id for summary in summaries if not summary.replayed),
        frames=sum(summary.frames for summary in drawn),
    )


RENDER_SHARD = Stage(
    name="render_shard",
    group="episode",
    description="Execute the kept episodes of a shard again; draw those that come out bit-identical, and certify it.",
    request=RenderShardRequest,
    result=RenderShardResult,
    run=_render_shard,
    reads=lambda request: [PLAN_PATH, "mjcf", recording_path(request.shard_index), GATES_PATH, APPROVALS_FOLDER],
    writes=lambda request: [render_path(request.shard_index)],
    unit=lambda request: shard_name(request.shard_index),
)
