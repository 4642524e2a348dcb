"""What can stand in the way of executing and drawing an episode again."""

from blueprint_pipeline.errors import InputError, IntegrityError


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
