"""What can be wrong with a recorded episode."""

from blueprint_pipeline.errors import GateError, InputError, IntegrityError


class EpisodeMissing(InputError):
    """There is no such episode."""

    code = "episode.missing"

    def __init__(self, episode_id: str, place: str) -> None:
        super().__init__(
            f"There is no episode '{episode_id}' under {place}. `bpp episode list` shows those that exist.",
            episode_id=episode_id,
            place=place,
        )


class StatesUnreadable(IntegrityError):
    """``states.parquet`` is not what an episode's states look like."""

    code = "episode.states_unreadable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read as recorded states: {reason}. Simulate the shard again.",
            path=path,
            reason=reason,
        )


class NothingMoved(InputError):
    """The episode's motion could not be planned, so there is nothing to replay or to draw."""

    code = "episode.nothing_moved"

    def __init__(self, episode_id: str, reason: str | None) -> None:
        super().__init__(
            f"Episode {episode_id} has no states: its planning failed ({reason}). Choose an episode with frames > 0.",
            episode_id=episode_id,
            reason=reason,
        )


class NoDepthOrLabels(InputError):
    """Depth or segmentation is asked of a simulator that draws colour alone."""

    code = "episode.no_depth_or_labels"

    def __init__(self, simulator: str) -> None:
        super().__init__(
            f"{simulator} draws colour alone through the Simulator protocol, and depth or segmentation is asked for. "
            "Leave both out, or simulate and render with the embedded mujoco.",
            simulator=simulator,
        )


class NotReplayed(IntegrityError):
    """An episode, executed again, did not give the recorded states: nothing is drawn of it."""

    code = "episode.not_replayed"

    def __init__(self, episode_id: str, reason: str) -> None:
        super().__init__(f"Episode {episode_id} does not replay: {reason}. Simulate the shard again.", episode_id=episode_id, reason=reason)


class NothingAudited(GateError):
    """There was nothing to judge: that is no pass."""

    code = "quality.nothing_audited"

    def __init__(self, scene_id: str, stage: str, found: str) -> None:
        super().__init__(
            f"{stage} found nothing to judge in scene {scene_id}: {found}. A run in which nothing was checked does not pass. "
            "Run the stages before it.",
            scene_id=scene_id,
            stage=stage,
            found=found,
        )


class RecordingUnreadable(InputError):
    """``states.parquet`` is not in the format of ``blueprint_pipeline.episode.record``."""

    code = "quality.recording_unreadable"

    def __init__(self, path: str, findings: list[str]) -> None:
        super().__init__(f"{path} is not a recording: {'; '.join(findings)}. Simulate the episode again.", path=path, findings=findings)
