"""Put an object in another one that is open above: a bowl, a basket, a pot."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.skill.contract import ObjectFacts
from blueprint_pipeline.skill.receiver import Receiver, Receivers
from blueprint_pipeline.skill.receiving import ReceivedTask, ReceivingSkill

BELOW_RIM_M = 0.01
"""So far below the rim the underside of what is in a container lies."""
_WALL_M = 0.008
"""Kept from the walls."""


class PlaceInTask(ReceivedTask):
    """Take one object and put it in the container that the sentence names."""

    task_type: Literal["place_in"] = "place_in"
    depth_m: float = Field(gt=0)
    """Of the container, from its rim to its lowest spot."""


class PlaceIn(ReceivingSkill[PlaceInTask]):
    """Takes an object and puts it in a container."""

    name = "place_in"
    version = "place_in-4"
    difficulty = 0.4
    task = PlaceInTask
    relation = "in"
    nowhere = "no container beside it has room for it, holds it and leaves it visible"
    lacking = "it is not open above and closed all round, or it is too flat"

    def is_receiver(self, facts: ObjectFacts) -> bool:
        return facts.contains

    def receiver(self, receivers: Receivers, name: str) -> Receiver | None:
        return receivers.opening(name)

    def facts_of(self, receiver: Receiver) -> Mapping[str, object]:
        return {"depth_m": round(receiver.depth_m, 5)}

    def room_m(self, radius_m: float) -> float:
        return radius_m + _WALL_M

    def place_conditions(self, task: PlaceInTask) -> tuple[Condition, ...]:
        rim = task.outline
        middle = {**rim, "half_height_m": 0.0}
        return (
            task.depth_in_outline("in_container"),
            Condition(name="below_rim", measure="depth_under_rim", arguments=rim, limit=BELOW_RIM_M, direction="at_least", unit="m"),
            Condition(name="above_floor", measure="depth_under_rim", arguments=middle, limit=task.depth_m, direction="at_most", unit="m"),
        )


SKILL = PlaceIn()
