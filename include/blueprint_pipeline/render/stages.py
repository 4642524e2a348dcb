"""The stage that draws what is kept, and honest failures where somebody buys them."""

from pydantic import Field

from blueprint_pipeline.episode.record import KOfN, Selection, recording_path, render_path, render_usage_path
from blueprint_pipeline.quality.approval_log import APPROVALS_FOLDER
from blueprint_pipeline.quality.replay_rule import load_replay_rule
from blueprint_pipeline.quality.verdicts import verdicts_path
from blueprint_pipeline.render.render_shard import RenderChoice, render_shard
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.simulation.mujoco.drawing import RenderBackend
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, drawing_releases
from blueprint_pipeline.simulation.open_simulator import is_embedded, other_engines, scene_inputs, simulator_release
from blueprint_pipeline.simulation.render_profiles import FAST, RENDER_PROFILES, RenderProfileName
from blueprint_pipeline.simulators import SIMULATORS, SimulatorName
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult, name_unit
from blueprint_pipeline.task.plan import shard_name, shard_plan_path
from blueprint_pipeline.workspace.canonical import canonical_json
from blueprint_pipeline.workspace.checksums import FileDigest, digest_bytes


class RenderShardRequest(StageRequest):
    """Which shard, and what beside colour."""

    shard_index: int = Field(ge=0)
    selection: Selection = "kept"
    """Which of its episodes."""
    depth: bool = False
    """Also ``{camera}.depth.mkv``: 16 bit, millimetres."""
    segmentation: bool = False
    """Also ``{camera}.segmentation.mkv``: 8 bit, one value an object."""
    render_profile: RenderProfileName = FAST.name
    """How good the pictures are, where MuJoCo draws."""
    simulator: SimulatorName | None = None
    """What executes and draws: what made the episodes; ``None``: what the settings say."""
    replay_rule: KOfN | None = None
    """For a simulator that promises no bit-identical replay; ``None``: the rule of the tiers' limits."""
    backend: RenderBackend | None = None
    """What draws where MuJoCo does; ``None``: what the settings say, found out on this machine."""


class RenderShardResult(StageResult):
    """What was drawn."""

    shard_index: int
    selection: Selection
    selected: int
    rendered: int
    refused: tuple[str, ...]
    """Episodes that did not replay; their certificates say why."""
    frames: int


def _render_shard(request: RenderShardRequest, context: StageContext) -> RenderShardResult:
    choice = RenderChoice(
        simulator=request.simulator or context.settings.simulation.simulator,
        replay_rule=request.replay_rule,
        depth=request.depth,
        segmentation=request.segmentation,
        backend=request.backend,
        profile=RENDER_PROFILES[request.render_profile],
    )
    summaries = render_shard(request.shard_index, context, choice, request.selection)
    drawn = [summary for summary in summaries if summary.replayed]
    return RenderShardResult(
        shard_index=request.shard_index,
        selection=request.selection,
        selected=len(summaries),
        rendered=len(drawn),
        refused=tuple(summary.episode_id for summary in summaries if not summary.replayed),
        frames=sum(summary.frames for summary in drawn),
    )


def _complete(request: RenderShardRequest, settings: Settings) -> RenderShardRequest:
    """Name what draws, and the rule where it counts: replays that are bit-identical are not asked about it, and stay when it changes.

    The backend is the one that works here: pictures of another one are other pictures, and are drawn again.
    """
    simulator = request.simulator or settings.simulation.simulator
    rule = None if SIMULATORS[simulator].bit_identical else request.replay_rule or load_replay_rule()
    backend = choose_backend(request.backend or settings.render.backend) if is_embedded(simulator, settings) else None
    return request.model_copy(update={"simulator": simulator, "replay_rule": rule, "backend": backend})


def _drawn_with(request: RenderShardRequest, settings: Settings) -> dict[str, FileDigest]:
    """Another release of the ray tracer, or of a simulator that draws itself, draws other pictures."""
    simulator = request.simulator or settings.simulation.simulator
    releases = {"ray tracer": drawing_releases(request.backend), "simulator": simulator_release(simulator, settings)}
    return {name: digest_bytes(canonical_json(found)) for name, found in releases.items() if found}


RENDER_SHARD = Stage(
    name="render_shard",
    description="Execute the kept episodes of a shard, or its honest failures, again; draw those that replay (bit-identical, or k of n), "
    "and certify it.",
    request=RenderShardRequest,
    result=RenderShardResult,
    run=_render_shard,
    complete=_complete,
    external_inputs=_drawn_with,
    reads=lambda request: [
        shard_plan_path(request.shard_index),
        *scene_inputs(request.simulator),
        recording_path(request.shard_index),
        verdicts_path("verdicts", request.shard_index),
        APPROVALS_FOLDER,
    ],
    writes=lambda request: [
        render_path(request.shard_index, selection=request.selection),
        render_usage_path(request.shard_index, selection=request.selection),
    ],
    keeps=True,
    leaves_out=lambda request: other_engines(request.simulator),
    unit=lambda request: name_unit(request.selection, shard_name(request.shard_index)),
)
