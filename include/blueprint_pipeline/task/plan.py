"""A job: every episode of a scene, before anything is simulated, and the documents about it."""

from typing import Literal

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.task.coverage import PlannedCoverage
from blueprint_pipeline.task.demonstration import SourceDemonstration
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.body_names import BodyName
from blueprint_pipeline.workspace.storage import Id, SceneFolder


class ShardRef(FrozenModel):
    """A batch of episodes for one job."""

    shard_index: int = Field(ge=0)
    episode_indices: tuple[int, ...]


class StartArea(FrozenModel):
    """Where the objects of a job may start: what the spread of its episodes is compared with."""

    support: str
    area_m2: float = Field(gt=0)
    """Of the level surface within the robot's reach."""
    covariances_m2: dict[BodyName, tuple[tuple[float, float], tuple[float, float]]]
    """Of each object that the job moves: of all places on the surface where it has room, world x and y."""
    ranges: dict[str, dict[BodyName, tuple[float, float]]] = {}
    """By skill, of each part that it moves: how far it may be open at the start, at least and at most [m] or [rad]."""


class JobPlan(FrozenModel):
    """``geniesim/plan.json``: every episode of a job, before anything is simulated."""

    schema_version: Literal["1.0"] = "1.0"
    job_id: Id
    """``job-<12 hex>``: from the hash over the plan's canonical inputs, not over time."""
    scene_id: Id
    seed: int
    fps: int
    """Rate of control setpoints, of recorded states and of video frames [Hz]."""
    robot: RobotPlacement
    cameras: tuple[str, ...]
    """Names of the cameras that will be drawn, e.g. ``scene`` and ``wrist``."""
    width: int
    height: int
    variation: str = "none"
    """Within which ranges the scene of each episode was varied: a row of :data:`~blueprint_pipeline.task.variation.VARIATIONS`."""
    recoveries: float = 0.0
    """Share of the episodes in which the first try should go wrong on purpose."""
    start_area: StartArea | None = None
    """``None`` in plans of before it was recorded."""
    set_aside: dict[Id, str] = {}
    """Objects of the scene that never come to rest, each with the reason: they are fixed where they were reconstructed.

    No skill can move them, so ``left_out`` does not name them.
    """
    left_out: dict[str, dict[BodyName, str]] = {}
    """By skill, the movable objects, or the parts that move, that it does not take, each with the reason."""
    coverage: PlannedCoverage | None = None
    """The cells of the episodes and of all that the scene allows; ``None`` in plans of before it was recorded, and in those of shards."""
    shards: tuple[ShardRef, ...]
    episodes: tuple[EpisodeSpec, ...]
    held_out: tuple[EpisodeSpec, ...] = ()
    """Starts, each with a task, that are never demonstrated: a policy is tried from them."""
    demonstrations: tuple[SourceDemonstration, ...] = ()
    """Whose motions the derived episodes repeat."""

    def by_shard(self) -> dict[str, "JobPlan"]:
        """For each shard the same job with its episodes alone, under the path of its file."""
        specs = {spec.episode_index: spec for spec in self.episodes}
        return {
            shard_plan_path(shard.shard_index): self._only(shard, tuple(specs[index] for index in shard.episode_indices))
            for shard in self.shards
        }

    def _only(self, shard: ShardRef, episodes: tuple[EpisodeSpec, ...]) -> "JobPlan":
        wanted = {spec.derived_from.demonstration_sha256 for spec in episodes if spec.derived_from is not None}
        demonstrations = tuple(item for item in self.demonstrations if item.sha256 in wanted)
        own = {"shards": (shard,), "held_out": (), "coverage": None, "episodes": episodes, "demonstrations": demonstrations}
        return self.model_copy(update=own)


PLAN_PATH = "geniesim/plan.json"
SHARD_PLANS_PATH = "geniesim/plan"
"""One file a shard, so that what a shard reads does not grow with the job."""


SCENE_GRAPH_PATH = "geniesim/scene_graph.json"


ASSET_INDEX_PATH = "geniesim/asset_index.json"


TASK_CONFIG_PATH = "geniesim/task_config.json"


EXPORT_MANIFEST_PATH = "geniesim/export_manifest.json"


def shard_name(shard_index: int) -> str:
    """Name of a shard's folders and files."""
    return f"shard_{shard_index:04d}"


def shard_plan_path(shard_index: int) -> str:
    """The plan of one shard, in the scene's folder."""
    return f"{SHARD_PLANS_PATH}/{shard_name(shard_index)}.json"


def dump_plan(plan: JobPlan) -> dict[str, bytes]:
    """The files of a plan, under their paths: the whole, and one a shard."""
    parts = {PLAN_PATH: plan, **plan.by_shard()}
    return {name: (part.model_dump_json(indent=1) + "\n").encode() for name, part in parts.items()}


def load_shard_plan(scene: SceneFolder, shard_index: int) -> JobPlan:
    """The plan of a scene's job, of its episodes those of one shard.

    Raises:
        FileMissing: The plan has no such shard, or none was made.
    """
    return JobPlan.model_validate_json(scene.read_bytes(shard_plan_path(shard_index)))


def load_plan(scene: SceneFolder) -> JobPlan:
    """The plan of a scene's job.

    Raises:
        FileMissing: None was made.
    """
    return JobPlan.model_validate_json(scene.read_bytes(PLAN_PATH))
