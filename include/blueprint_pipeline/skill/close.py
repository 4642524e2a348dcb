"""Close a drawer or a door by its handle."""

from typing import Literal

from blueprint_pipeline.skill.articulated import PartGoal, PartSkill, PartTask

CLOSED_SHARE = 0.03
"""Of the range: a part that is open no farther is closed."""


class CloseTask(PartTask):
    """Close one part of an object."""

    task_type: Literal["close"] = "close"


class Close(PartSkill[CloseTask]):
    """Pushes a part shut."""

    name = "close"
    version = "close-4"
    difficulty = 0.45
    move_phase = "push"
    start_shares = (0.4, 0.9)
    goals = (
        PartGoal(
            templates=("close the {part}", "shut the {part}", "push the {part} shut", "push the {part} closed"),
            ends_between=(-0.1, CLOSED_SHARE),
            aims=(0.0, 0.0),
        ),
    )
    task = CloseTask


SKILL = Close()
