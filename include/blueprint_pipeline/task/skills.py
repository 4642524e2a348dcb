"""The skills: one row each. To add one: its file in ``skill/``, and a row here.

Skills are looked up lazily, so that naming one, or reading a task, imports no more than the one skill.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

from pydantic import AfterValidator

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.rows import Rows
from blueprint_pipeline.task.task import Task


@dataclass(frozen=True, kw_only=True)
class SkillRow:
    """A skill, as everything outside its file knows it."""

    name: str
    """Also the type of its tasks."""
    title: str
    """In cards and reports for people: ``pick and place``."""
    module: str
    """It holds the skill as ``SKILL``."""
    arms: int = 1
    """How many arms of one robot it needs."""


SKILLS = Rows(
    "skill",
    SkillRow(name="pick_place", title="pick and place", module="blueprint_pipeline.skill.pick_place"),
    SkillRow(name="place_in", title="place in a container", module="blueprint_pipeline.skill.place_in"),
    SkillRow(name="stack", title="stack", module="blueprint_pipeline.skill.stack"),
    SkillRow(name="insert", title="insert in a hole", module="blueprint_pipeline.skill.insert"),
    SkillRow(name="push", title="push", module="blueprint_pipeline.skill.push"),
    SkillRow(name="slide", title="slide", module="blueprint_pipeline.skill.slide"),
    SkillRow(name="open", title="open", module="blueprint_pipeline.skill.open"),
    SkillRow(name="close", title="close", module="blueprint_pipeline.skill.close"),
    SkillRow(name="press", title="press", module="blueprint_pipeline.skill.press"),
    SkillRow(name="turn", title="turn", module="blueprint_pipeline.skill.turn"),
    SkillRow(name="bimanual_lift", title="lift with both arms", module="blueprint_pipeline.skill.bimanual_lift", arms=2),
    SkillRow(name="hand_over", title="hand over", module="blueprint_pipeline.skill.hand_over", arms=2),
)


class UnknownSkill(InputError):
    """No skill has this name."""

    code = "task.unknown_skill"
    template = "There is no skill '{name}'. Known skills: {known}."

    name: str
    known: Sequence[str]


class TooFewArms(InputError):
    """A skill needs more arms than the robot has."""

    code = "task.too_few_arms"
    template = (
        "The skill '{skill}' needs a robot with {needed} arms, and {robot} has {found}. Choose one of: {able}; or ask {robot} for other "
        "skills: {others}."
    )

    skill: str
    needed: int
    robot: str
    found: int
    able: Sequence[str]
    """Robots with so many arms, which can act."""
    others: Sequence[str]
    """Skills for which the robot has arms enough."""


def require_arms(robot: str, arms: int, skills: Iterable[str], arms_of_others: Mapping[str, int]) -> None:
    """Check that a robot has as many arms as skills need.

    Args:
        robot: Its name.
        arms: How many it has.
        skills: Their names.
        arms_of_others: Of every robot that can act, how many it has: who is recommended.

    Raises:
        TooFewArms: One of them needs more.
        UnknownSkill: No skill has one of the names.
    """
    for name in skills:
        needed = SKILLS[validate_skill(name)].arms
        if needed > arms:
            able = [other for other, count in arms_of_others.items() if count >= needed]
            raise TooFewArms(name, needed, robot, arms, able, [row.name for row in SKILLS.values() if row.arms <= arms])


def import_skill(name: str) -> Any:
    """Import a skill's module, and return the skill.

    Raises:
        UnknownSkill: No skill has this name.
    """
    return import_module(SKILLS[validate_skill(name)].module).SKILL


def validate_skill(name: str) -> str:
    """Check that a skill of this name exists.

    Raises:
        UnknownSkill: No skill has this name.
    """
    if name not in SKILLS:
        raise UnknownSkill(name, list(SKILLS))
    return name


def describe_skills(names: Iterable[str]) -> str:
    """Skills in words, in the order of their rows.

    >>> describe_skills({"push", "pick_place"})
    'pick and place, and push'
    """
    titles = [row.title for row in SKILLS.values() if row.name in set(names)]
    return ", and ".join(filter(None, (", ".join(titles[:-1]), titles[-1])))


SkillName = Annotated[str, AfterValidator(validate_skill)]


def load_task_model(name: str) -> type[Task]:
    """The model of a skill's tasks.

    Raises:
        UnknownSkill: No skill has this name.
    """
    model: type[Task] = import_skill(name).task
    return model
