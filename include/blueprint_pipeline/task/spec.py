"""What a robot shall do in a scene: the task, its goal and the start of one episode.

World frame: z up, metres, right-handed; quaternions w, x, y, z.
"""

from typing import Literal

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose, Vector3
from blueprint_pipeline.workspace.storage import Id


class PickPlaceTask(FrozenModel):
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


class EpisodeSpec(FrozenModel):
    """All that one attempt starts from; the same spec gives the same episode, bit by bit."""

    episode_index: int = Field(ge=0)
    episode_id: Id
    seed: int = Field(ge=0)
    task: PickPlaceTask
    object_poses: dict[str, Pose]
    """Start pose of every movable object in the world (after variation of the settled scene)."""
    robot_qpos: tuple[float, ...]
    """Start configuration of the robot's joints, in the embodiment's order [rad, m]."""
