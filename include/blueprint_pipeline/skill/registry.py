"""Skills by name, imported when they are asked for."""

from typing import Any

from blueprint_pipeline.skill.contract import Skill
from blueprint_pipeline.task.skills import import_skill


def load_skill(name: str) -> Skill[Any]:
    """A skill.

    Raises:
        UnknownSkill: No skill has this name.
    """
    skill: Skill[Any] = import_skill(name)
    return skill
