"""Put an object in another one that is open above: a bowl, a basket, a pot."""

from typing import Literal

from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.skill.contract import Workplace
from blueprint_pipeline.skill.receiver import Receiver
from blueprint_pipeline.skill.receiving import ReceivedTask, ReceivingSkill

BELOW_RIM_M = 0.01
"""So far below the rim the underside of what is in a container lies."""
_WALL_M = 0.008
"""Kept from the walls."""


class PlaceInTask(ReceivedTask):
    """Take one object and put it in the container that the sentence names."""

    task_type: Literal["place_in"] = "place_in"


class PlaceIn(ReceivingSkill[PlaceInTask]):
    """Takes an object and puts it in a container."""

    name = "place_in"
    version = "place_in-2"
    difficulty = 0.4
    task = PlaceInTask
    relation = "in"
    nowhere = "no container beside it has room for it, holds it and leaves it visible"

    def receiver(self, place: Workplace, name: str) -> Receiver | None:
        return place.receivers.opening(name) if place.objects[name].contains else None

    def room_m(self, radius_m: float) -> float:
        return radius_m + _WALL_M

    def place_conditions(self, task: PlaceInTask) -> tuple[Condition, ...]:
        rim = task.outline
        return (
            task.depth_in_outline("in_container"),
            Condition(name="below_rim", measure="depth_under_rim", arguments=rim, limit=BELOW_RIM_M, direction="at_least", unit="m"),
        )


SKILL = PlaceIn()
