"""The stage that plans a job."""

from typing import TYPE_CHECKING

from pydantic import Field, Json

from blueprint_pipeline.compute.profiles import acting_simulator
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.job.demonstrations import digest_demonstrations, load_demonstrations
from blueprint_pipeline.robot.names import DEFAULT_ROBOT
from blueprint_pipeline.scene.set_aside import SET_ASIDE_PATH
from blueprint_pipeline.settings import Settings
from blueprint_pipeline.simulation.errors import NotVaried
from blueprint_pipeline.simulators import SIMULATORS
from blueprint_pipeline.stage.contract import Stage, StageContext, StageRequest, StageResult
from blueprint_pipeline.task.coverage import Cover
from blueprint_pipeline.task.plan import (
    ASSET_INDEX_PATH,
    EXPORT_MANIFEST_PATH,
    PLAN_PATH,
    SCENE_GRAPH_PATH,
    SHARD_PLANS_PATH,
    TASK_CONFIG_PATH,
)
from blueprint_pipeline.task.skills import SkillName, require_arms
from blueprint_pipeline.task.variation import AUTO, DEFAULT_VARIATION, NO_VARIATION, VariationChoice
from blueprint_pipeline.workspace.canonical import MAX_INTEGER
from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.storage import Workspace

if TYPE_CHECKING:
    from blueprint_pipeline.job.planning import JobOptions

SETTLED_PATH, JOINTS_PATH = "layout/settled.json", "layout/joints.json"


class NothingToDerive(InputError):
    """Episodes shall be derived of nothing, or demonstrations are given that nothing is derived of."""

    code = "task.nothing_to_derive"
    template = "augment is {augment} and demonstrations is '{demonstrations}': give both, or neither."

    augment: int
    demonstrations: str


class PlanTasksRequest(StageRequest):
    """Which robot does how much."""

    robot: str = DEFAULT_ROBOT
    skills: tuple[SkillName, ...] | Json[tuple[SkillName, ...]] = Field(default=("pick_place",), min_length=1)
    """Episodes take them in turn. As a list, or as its JSON text."""
    episodes: int = Field(default=24, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0, le=MAX_INTEGER)
    shard_size: int = Field(default=12, ge=1)
    fps: int = Field(default=30, ge=1)
    """Control setpoints, recorded states and video frames a second; must divide the twin's physics rate."""
    variation: VariationChoice = AUTO
    """Within which ranges lights, colours, surfaces, backdrop, other objects, the camera, friction and masses differ between episodes.

    ``auto``: ``mild`` where the simulator can vary a scene, else ``none``.
    """
    cover: Cover = "none"
    """How targets, starts and goals are chosen. ``none``: in turn, and drawn. ``even``: evenly over the cells of the scene.

    ``missing``: first what no kept episode of the scene's other batches of this robot has. What those have is part of the key.
    """
    recoveries: float = Field(default=0.0, ge=0, le=1)
    """Share of the episodes in which the first try goes wrong on purpose, so that they show how the robot notices it and tries again.

    Drawn for each episode by itself, and recorded with it; of skills in which nothing can go wrong on purpose, none.
    A job of those alone is refused.
    """
    held_out: int = Field(default=50, ge=0, le=10_000)
    """Starts that are planned beside the episodes and never demonstrated: a policy is tried from them."""
    augment: int = Field(default=0, ge=0, le=1000)
    """Episodes that are derived from each demonstration, after all others: its motions, with other starts and goals."""
    demonstrations: str = ""
    """Folder or URL of the demonstrations (``bpp episode demonstrate`` writes such a folder)."""
    width: int = Field(default=320, ge=16, le=3840, multiple_of=2)
    height: int = Field(default=240, ge=16, le=2160, multiple_of=2)


class PlanTasksResult(StageResult):
    """The job."""

    job_id: str
    shards: tuple[int, ...]
    episodes: int
    targets: tuple[str, ...]
    left_out: dict[str, dict[str, str]]
    """By skill, the movable objects, or the parts that move, that it does not take, each with the reason."""


def _plan_tasks(request: PlanTasksRequest, context: StageContext) -> PlanTasksResult:
    from blueprint_pipeline.job.plan_tasks import plan_tasks  # noqa: PLC0415 -- planners take seconds to import

    plan = plan_tasks(_options(request), context, load_demonstrations(request.demonstrations))
    return PlanTasksResult(
        job_id=plan.job_id,
        shards=tuple(shard.shard_index for shard in plan.shards),
        episodes=len(plan.episodes),
        targets=tuple(sorted({episode.task.target_object for episode in plan.episodes})),
        left_out=plan.left_out,
    )


def _options(request: PlanTasksRequest) -> "JobOptions":
    from blueprint_pipeline.job.planning import JobOptions  # noqa: PLC0415 -- planners take seconds to import

    return JobOptions(**request.model_dump(exclude={"scene_id", "demonstrations"}))


def _past(request: PlanTasksRequest, settings: Settings) -> dict[str, FileDigest]:
    """Where a batch is planned by what is missing: what the other batches have."""
    if request.cover != "missing":
        return {}
    from blueprint_pipeline.job.past_batches import PAST, digest_past, load_past  # noqa: PLC0415 -- imports planners, too

    scene = Workspace(settings.workspace).scene(request.scene_id)
    return {PAST: digest_past(load_past(scene, _options(request), settings.registry))}


def _complete(request: PlanTasksRequest, settings: Settings) -> PlanTasksRequest:
    """Refuse what the robot, the skills or the simulator cannot do.

    A robot that cannot act, or has too few arms for a skill; recoveries where none can be provoked; a variation that the simulator cannot
    make. All that before the plan that lies there is taken away.
    """
    from blueprint_pipeline.robot.embodiment import arms_by_robot, load_embodiment  # noqa: PLC0415 -- reads every robot's record; a flow that is only drawn needs none

    robot = load_embodiment(request.robot)
    require_arms(robot.name, len(robot.arms), request.skills, arms_by_robot())
    if request.recoveries > 0:
        from blueprint_pipeline.job.mishaps import require_mishaps  # noqa: PLC0415 -- imports the skills

        require_mishaps(request.skills)
    if bool(request.augment) != bool(request.demonstrations):
        raise NothingToDerive(request.augment, request.demonstrations)
    simulator = SIMULATORS[acting_simulator(settings)]
    usual = DEFAULT_VARIATION if simulator.varies else NO_VARIATION
    variation = usual if request.variation == AUTO else request.variation
    if variation != NO_VARIATION and not simulator.varies:
        raise NotVaried(simulator.title, [variation])
    return request.model_copy(update={"variation": variation})


PLAN_TASKS = Stage(
    name="plan_tasks",
    description="Choose where the robot stands and what it does in every episode.",
    request=PlanTasksRequest,
    result=PlanTasksResult,
    run=_plan_tasks,
    complete=_complete,
    external_inputs=lambda request, settings: {**digest_demonstrations(request.demonstrations), **_past(request, settings)},
    reads=lambda _: [
        "assets/scene_manifest.json",
        "assets/*/physics.json",
        "assets/*/meshes.json",
        SETTLED_PATH,
        JOINTS_PATH,
        SET_ASIDE_PATH,
        "mjcf",
    ],
    writes=lambda _: [
        PLAN_PATH,
        SHARD_PLANS_PATH,
        SCENE_GRAPH_PATH,
        ASSET_INDEX_PATH,
        TASK_CONFIG_PATH,
        EXPORT_MANIFEST_PATH,
    ],
)
