"""What a worker is given to simulate episodes of a shard, and what it answers."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.episode.record import EpisodeRecord
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.task.demonstration import SourceDemonstration


class EpisodeSummary(BaseModel):
    """What the shard's result counts of one episode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    episode_id: str
    success: bool
    failure: str | None
    """``stage:code``."""
    frames: int


@dataclass(frozen=True, kw_only=True)
class ShardWork:
    """What a worker process needs to simulate episodes of one shard; it is sent to it once."""

    scene: Path
    """Local folder of the scene."""
    scene_id: str
    job_id: str
    shard_index: int
    fps: int
    robot: RobotPlacement
    output: Path
    """Where the shard's episodes are written, one folder each."""
    usage: Path
    """Where is written what each attempt took, one file each."""
    cache_dir: Path
    machine: str
    """Machine profile of the price table."""
    side_by_side: int
    """How many processes simulate at a time."""
    demonstrations: tuple[SourceDemonstration, ...] = ()
    """Whose motions the shard's derived episodes repeat."""


def summarise(record: EpisodeRecord) -> EpisodeSummary:
    """One episode in brief."""
    outcome = record.outcome
    failure = None if outcome.success else f"{outcome.failure_stage}:{outcome.failure_code}"
    return EpisodeSummary(episode_id=record.episode_id, success=outcome.success, failure=failure, frames=record.frames)
