"""Set an object on another one that is level above: a plate, a box, a can."""

from typing import Literal

from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.skill.conditions import HEIGHT_SLACK_M
from blueprint_pipeline.skill.contract import ObjectFacts
from blueprint_pipeline.skill.receiver import Receiver, Receivers
from blueprint_pipeline.skill.receiving import ReceivedTask, ReceivingSkill

_BORNE_SHARE = 0.6
"""Of the target's radius that what bears it reaches at least, from the target's middle."""
_LEAN = 0.05
"""Sideways push, as a share of the target's weight, under which it stays: a ball rolls off what is level."""


class StackTask(ReceivedTask):
    """Take one object and set it on the one that the sentence names."""

    task_type: Literal["stack"] = "stack"


class Stack(ReceivingSkill[StackTask]):
    """Takes an object and sets it on another one."""

    name = "stack"
    version = "stack-4"
    difficulty = 0.5
    task = StackTask
    relation = "on"
    pushes = ((_LEAN, 0.0), (0.0, _LEAN))
    nowhere = "nothing beside it has a level top that bears it and leaves it visible"
    lacking = "it has no level top"

    def is_receiver(self, facts: ObjectFacts) -> bool:
        return facts.stackable

    def receiver(self, receivers: Receivers, name: str) -> Receiver | None:
        return receivers.top(name)

    def room_m(self, radius_m: float) -> float:
        return _BORNE_SHARE * radius_m

    def place_conditions(self, task: StackTask) -> tuple[Condition, ...]:
        top = task.outline
        return (
            task.depth_in_outline("on_top"),
            Condition(name="on_support", measure="height_off_support", arguments=top, limit=HEIGHT_SLACK_M, direction="at_most", unit="m"),
        )


SKILL = Stack()
