"""What can be wrong with a recorded episode."""

from blueprint_pipeline.errors import GateError, InputError


class EpisodeMissing(InputError):
    """There is no such episode."""

    code = "episode.missing"

    def __init__(self, episode_id: str, place: str) -> None:
        super().__init__(
            f"There is no episode '{episode_id}' under {place}. `bpp episode list` shows those that exist.",
            episode_id=episode_id,
            place=place,
        )


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
