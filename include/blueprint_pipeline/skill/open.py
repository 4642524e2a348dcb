"""Open a drawer or a door by its handle, all the way or halfway."""

from typing import Literal

from blueprint_pipeline.skill.articulated import PartGoal, PartSkill, PartTask

OPEN_SHARE = 0.7
"""Of the range: a part that is open so far or farther is open."""
HALFWAY = (0.4, 0.6)


class OpenTask(PartTask):
    """Open one part of an object, as far as the sentence says."""

    task_type: Literal["open"] = "open"


class Open(PartSkill[OpenTask]):
    """Pulls a part open."""

    name = "open"
    version = "open-4"
    difficulty = 0.5
    move_phase = "pull"
    start_shares = (0.0, 0.15)
    goals = (
        PartGoal(
            templates=("open the {part}", "pull the {part} open", "pull open the {part}"),
            ends_between=(OPEN_SHARE, 1.1),
            aims=(0.8, 0.92),
        ),
        PartGoal(
            templates=("open the {part} halfway", "pull the {part} halfway open", "open the {part} about halfway"),
            ends_between=HALFWAY,
            aims=(0.47, 0.53),
        ),
    )
    task = OpenTask


SKILL = Open()
