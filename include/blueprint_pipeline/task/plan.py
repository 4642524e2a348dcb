"""A job: every episode of a scene, before anything is simulated, and the documents about it."""

from typing import Literal

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.task.spec import EpisodeSpec
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
    covariances_m2: dict[Id, tuple[tuple[float, float], tuple[float, float]]]
    """Of each object that the job moves: of all places on the surface where it has room, world x and y."""


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
    start_area: StartArea | None = None
    """``None`` in plans of before it was recorded."""
    set_aside: dict[Id, str] = {}
    """Objects of the scene that never come to rest, each with the reason: they are fixed where they were reconstructed.

    No skill can move them, so ``left_out`` does not name them.
    """
    left_out: dict[str, dict[Id, str]] = {}
    """By skill, the movable objects that it does not take, each with the reason."""
    shards: tuple[ShardRef, ...]
    episodes: tuple[EpisodeSpec, ...]


PLAN_PATH = "geniesim/plan.json"


SCENE_GRAPH_PATH = "geniesim/scene_graph.json"


ASSET_INDEX_PATH = "geniesim/asset_index.json"


TASK_CONFIG_PATH = "geniesim/task_config.json"


EXPORT_MANIFEST_PATH = "geniesim/export_manifest.json"


def load_plan(scene: SceneFolder) -> JobPlan:
    """The plan of a scene's job.

    Raises:
        FileMissing: None was made.
    """
    return JobPlan.model_validate_json(scene.read_bytes(PLAN_PATH))
