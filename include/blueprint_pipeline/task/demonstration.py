"""A demonstration, cut into motions that belong to one object each: what further episodes are derived from.

It may come from a planner or from a person; nothing in it depends on where things stood.
"""

from functools import cached_property
from typing import Literal

from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.twin.body_names import BodyName
from blueprint_pipeline.workspace.canonical import key_of
from blueprint_pipeline.workspace.storage import Id


class HandMotion(FrozenModel):
    """One phase of a motion of hand and gripper."""

    phase: str
    tool_poses: tuple[Pose, ...] = Field(min_length=1)
    """Where the tool is told to be, in the frame of the segment's reference: its way, or the one place where it stands still."""
    width_m: float = Field(ge=0)
    """Commanded opening of the gripper at its end."""
    reached_m: float
    """Measured opening at its end."""
    grip_speed_m_s: float = Field(ge=0)
    """How fast the commanded opening changes at most."""
    hold_s: float = Field(ge=0)
    """How long everything stands still at its end."""

    @property
    def is_still(self) -> bool:
        """Whether the hand stays where it is: only the gripper moves."""
        return len(self.tool_poses) == 1


class Segment(FrozenModel):
    """A motion that belongs to one object."""

    subtask: str
    """Name of the skill's subtask."""
    reference: Literal["target", "goal"]
    """Whose frame: that of the target where it stood when the motion began; or a frame like the world's at the goal's place."""
    motions: tuple[HandMotion, ...] = Field(min_length=1)
    held: Pose | None
    """The target in the tool's frame when the motion begins; ``None``: the hand is empty."""


class SourceDemonstration(FrozenModel):
    """``<episode_id>.json``: a kept episode as others may repeat it."""

    schema_version: Literal["1.0"] = "1.0"
    episode_id: Id
    job_id: Id
    scene_id: Id
    states_sha256: str
    """Of the recording that it was made of."""
    robot: Id
    """Embodiment."""
    arm: str
    skill: str
    target_object: BodyName
    segments: tuple[Segment, ...] = Field(min_length=1)

    @cached_property
    def sha256(self) -> str:
        """Over all that it says."""
        return key_of(self.model_dump(mode="json"))

    @property
    def derivation(self) -> "Derivation":
        """What an episode says that is derived from it."""
        return Derivation(
            episode_id=self.episode_id,
            job_id=self.job_id,
            states_sha256=self.states_sha256,
            demonstration_sha256=self.sha256,
            segments=tuple(segment.subtask for segment in self.segments),
        )


class Derivation(FrozenModel):
    """Where the motion of a derived episode comes from."""

    episode_id: Id
    """The source."""
    job_id: Id
    """Of the source."""
    states_sha256: str
    """Of the source's recording."""
    demonstration_sha256: str
    segments: tuple[str, ...]
    """Names of the subtasks whose motion is repeated, in order; the ways that connect them are planned."""
