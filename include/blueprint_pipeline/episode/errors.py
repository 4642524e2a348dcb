"""What can be wrong with a recorded episode."""

from blueprint_pipeline.errors import GateError, InputError


class EpisodeMissing(InputError):
    """There is no such episode."""

    code = "episode.missing"
    template = "There is no episode '{episode_id}' under {place}. `bpp episode list` shows those that exist."

    episode_id: str
    place: str


class NothingAudited(GateError):
    """There was nothing to judge, which is not a pass."""

    code = "quality.nothing_audited"
    template = (
        "{stage} found nothing to judge in scene {scene_id}: {found}. A run in which nothing was checked does not "
        "pass. Run the stages before it."
    )

    scene_id: str
    stage: str
    found: str


class RecordingUnreadable(InputError):
    """``states.parquet`` is not in the format of ``blueprint_pipeline.episode.record``."""

    code = "quality.recording_unreadable"
    template = "{path} is not a recording: {findings:; }. Simulate the episode again."

    path: str
    findings: list[str]
