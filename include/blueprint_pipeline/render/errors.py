"""What can stand in the way of executing and drawing an episode again."""

from blueprint_pipeline.errors import InputError, IntegrityError


class NoDepthOrLabels(InputError):
    """Depth or segmentation is requested from a simulator that draws only colour."""

    code = "episode.no_depth_or_labels"
    template = (
        "{simulator} draws only colour through the Simulator protocol, but depth or segmentation was requested. "
        "Leave both out, or simulate and render with the embedded mujoco."
    )

    simulator: str


class ProfileNotDrawn(InputError):
    """A render profile is requested from a simulator that draws in its own way only."""

    code = "episode.profile_not_drawn"
    template = (
        "{simulator} draws in its own way only, but the render profile '{profile}' was requested. Leave it out, or simulate and render "
        "with the embedded mujoco."
    )

    simulator: str
    profile: str


class NotReplayed(IntegrityError):
    """An episode, executed again, did not give the recorded states: nothing is drawn of it."""

    code = "episode.not_replayed"
    template = "Episode {episode_id} does not replay: {reason}. Simulate the shard again."

    episode_id: str
    reason: str
