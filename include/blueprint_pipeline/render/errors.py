"""What can stand in the way of executing and drawing an episode again."""

from blueprint_pipeline.errors import InputError, IntegrityError


class NoDepthOrLabels(InputError):
    """Depth or segmentation is asked of a simulator that draws colour alone."""

    code = "episode.no_depth_or_labels"
    template = (
        "{simulator} draws colour alone through the Simulator protocol, and depth or segmentation is asked for. "
        "Leave both out, or simulate and render with the embedded mujoco."
    )

    simulator: str


class ProfileNotDrawn(InputError):
    """A render profile is asked of a simulator that has one way to draw, its own."""

    code = "episode.profile_not_drawn"
    template = (
        "{simulator} draws in one way, its own, and the render profile '{profile}' is asked for. Leave it out, or simulate and render with "
        "the embedded mujoco."
    )

    simulator: str
    profile: str


class NotReplayed(IntegrityError):
    """An episode, executed again, did not give the recorded states: nothing is drawn of it."""

    code = "episode.not_replayed"
    template = "Episode {episode_id} does not replay: {reason}. Simulate the shard again."

    episode_id: str
    reason: str
