"""What tasks of parts share: a joint, where the part ends on it, which part suits a skill, and how it is said."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.scene.part_use import PartUse
from blueprint_pipeline.skill.contract import NotOffered, Workplace
from blueprint_pipeline.skill.instruction import PARAPHRASES
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.twin.joint_line import JointLine

_NOT: dict[PartUse, str] = {
    "handle": "it is no button and no knob: it slides or turns, and is taken by a handle",
    "button": "it is a button, which is pressed",
    "knob": "it is a knob, which is turned",
}
"""Why a part is nothing for a skill of another use."""


class JointTask(Task):
    """Move one part of an object on its joint."""

    line: JointLine
    """Its joint, in the world."""

    @property
    @abstractmethod
    def end_position(self) -> float:
        """Where the demonstration brings the part [m] or [rad]."""

    @property
    def goal_xy_m(self) -> tuple[float, float]:
        x, y, _ = self.line.pose_at(self.end_position).position_m
        return (x, y)

    def end_pose(self, _start: Pose) -> Pose:
        """Where the demonstration brings it."""
        return self.line.pose_at(self.end_position)


def find_unsuitable_part(place: Workplace, target: str, use: PartUse) -> str | None:
    """Why a part is no target of a skill: it did not pass its motion test, or a hand does something else with it."""
    if (problem := place.parts[target].problem) is not None:
        return problem
    found = place.planner.use_of(target)
    return None if found == use else _NOT[found]


def say_of_part(place: Workplace, target: str, templates: Sequence[str], rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
    """A sentence about a part, and up to :data:`~blueprint_pipeline.skill.instruction.PARAPHRASES` others that say the same.

    Args:
        place: Where it is.
        target: The part.
        templates: Ways to give the order; ``{part}`` stands for the part.
        rng: Draws.

    Raises:
        NotOffered: No words tell the part from another.
    """
    phrases = place.parts[target].phrases
    if not phrases:
        raise NotOffered("no words tell it from another part")
    ways = [template.format(part=phrase) for template in templates for phrase in phrases]
    first, *others = (ways[index] for index in rng.permutation(len(ways))[: PARAPHRASES + 1])
    return first, tuple(others)
