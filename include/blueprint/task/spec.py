"""What a robot shall do in a scene: the task, its goal and the start of one episode.

World frame: z up, metres, right-handed; quaternions w, x, y, z.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from blueprint.workspace.storage import Id

Vector3 = tuple[float, float, float]
QuatWxyz = tuple[float, float, float, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pose(_Frozen):
    """A rigid pose in the world."""

    position_m: Vector3
    quat_wxyz: QuatWxyz


class PickPlaceTask(_Frozen):
    """Take one object and set it down in a region of a supporting surface."""

    task_type: Literal["pick_place"] = "pick_place"
    instruction: str
    """English imperative, e.g. "put the lemon to the left of the bowl"; what a language-conditioned policy reads."""
    target_object: Id
    support_object: Id
    """The object that the target shall stand on at the end (the table, the counter, or a plate)."""
    goal_position_m: Vector3
    """Where the target's settled origin shall come to rest, in the world."""
    goal_radius_m: float = Field(default=0.03, gt=0)
    """Horizontal tolerance of the goal."""
    upright: bool
    """Whether the target must end as upright as it began."""
    max_tilt_rad: float = Field(default=0.26, gt=0)


class EpisodeSpec(_Frozen):
    """All that one attempt starts from; the same spec gives the same episode, bit by bit."""

    episode_index: int = Field(ge=0)
    episode_id: Id
    seed: int = Field(ge=0)
    task: PickPlaceTask
    object_poses: dict[str, Pose]
    """Start pose of every movable object in the world (after variation of the settled scene)."""
    robot_qpos: tuple[float, ...]
    """Start configuration of the robot's joints, in the embodiment's order [rad, m]."""


class RobotPlacement(_Frozen):
    """Which robot stands where."""

    embodiment: Id
    base_pose: Pose


class ShardRef(_Frozen):
    """A batch of episodes for one job."""

    shard_index: int = Field(ge=0)
    episode_indices: tuple[int, ...]


class JobPlan(_Frozen):
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
    shards: tuple[ShardRef, ...]
    episodes: tuple[EpisodeSpec, ...]


PLAN_PATH = "geniesim/plan.json"
SCENE_GRAPH_PATH = "geniesim/scene_graph.json"
ASSET_INDEX_PATH = "geniesim/asset_index.json"
TASK_CONFIG_PATH = "geniesim/task_config.json"
EXPORT_MANIFEST_PATH = "geniesim/export_manifest.json"
