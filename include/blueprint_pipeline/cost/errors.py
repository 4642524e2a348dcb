"""What can be wrong with prices and with what is priced."""

from blueprint_pipeline.errors import InputError


class NothingToPrice(InputError):
    """A run has no commits or no episodes, so it has no cost of an episode."""

    code = "cost.nothing_to_price"

    def __init__(self, scene_id: str, what: str) -> None:
        super().__init__(f"Scene {scene_id} has no {what}; run the stages before price_run first.", scene_id=scene_id, what=what)
