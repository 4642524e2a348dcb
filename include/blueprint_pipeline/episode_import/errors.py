"""What can be wrong with the recordings of a job."""

from blueprint_pipeline.errors import GateError


class EpisodesLost(GateError):
    """Planned episodes are missing or damaged: an attempt may fail, but it may not vanish."""

    code = "episode.episodes_lost"

    def __init__(self, scene_id: str, planned: int, losses: list[str]) -> None:
        shown = "; ".join(losses[:5]) + (f"; and {len(losses) - 5} more" if len(losses) > 5 else "")  # noqa: PLR2004 -- five fit a message
        super().__init__(
            f"{len(losses)} losses among {planned} planned episodes of scene {scene_id}: {shown}. All are in the loss ledger of "
            "geniesim/import_manifest.json. Remove the damaged folders and run their shards again.",
            scene_id=scene_id,
            planned=planned,
            losses=losses,
        )
