"""The skills by name.

Skills are looked up lazily, so that naming one, or reading a task, imports no more than the one skill.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

from pydantic import AfterValidator

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.task.task import Task

SKILLS: dict[str, str] = {
    "pick_place": "blueprint_pipeline.skill.pick_place",
    "push": "blueprint_pipeline.skill.push",
}
"""Name of a skill, which is also the type of its tasks, to the module that holds it as ``SKILL``."""


class UnknownSkill(InputError):
    """No skill has this name."""

    code = "task.unknown_skill"
    template = "There is no skill '{name}'. Known skills: {known}."

    name: str
    known: Sequence[str]


def import_skill(name: str) -> Any:
    """Import a skill's module, and return the skill.

    Raises:
        UnknownSkill: No skill has this name.
    """
    return import_module(SKILLS[validate_skill(name)]).SKILL


def validate_skill(name: str) -> str:
    """Check that a skill of this name exists.

    Raises:
        UnknownSkill: No skill has this name.
    """
    if name not in SKILLS:
        raise UnknownSkill(name, list(SKILLS))
    return name


SkillName = Annotated[str, AfterValidator(validate_skill)]


def load_task_model(name: str) -> type[Task]:
    """The model of a skill's tasks.

    Raises:
        UnknownSkill: No skill has this name.
    """
    model: type[Task] = import_skill(name).task
    return model
