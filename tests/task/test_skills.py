"""Skills by name, and tasks that are read as the model of their skill."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.skill.pick_place import PickPlaceTask
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.skills import SKILLS, SkillName, UnknownSkill, load_task_model
from blueprint_pipeline.task.spec import EpisodeSpec
from tests.regions import square_about

SPEC = EpisodeSpec(
    episode_index=0,
    episode_id="pick_place_ep000000",
    seed=1,
    task=PickPlaceTask(
        instruction="move the can",
        target_object="can",
        support_object="table",
        goal_position_m=(0.3, 0.2, 0.76),
        region_m=square_about(0.3, 0.2),
        center_object_m=(0.0, 0.0, 0.05),
        upright=True,
    ),
    object_poses={"can": Pose(position_m=(0.0, 0.0, 0.76), quat_wxyz=(1.0, 0.0, 0.0, 0.0))},
    robot_qpos=(0.0,),
    arm="arm",
)


@pytest.mark.parametrize("name", SKILLS)
def test_every_row_is_a_skill_of_that_name(name):
    """Its tasks carry its name, and what it says of phases is of its phases."""
    skill = load_skill(name)
    assert skill.name == name
    assert load_task_model(name).model_fields["task_type"].default == name
    assert skill.version.startswith(f"{name}-")
    assert {*skill.travel_phases, *skill.touch_phases} <= set(skill.phases)
    assert skill.touch_phases
    assert 0 <= skill.difficulty <= 1


def test_a_task_is_written_and_read_whole():
    """All fields of the skill's own model come back, and nothing is lost on the way."""
    assert EpisodeSpec.model_validate_json(SPEC.model_dump_json()) == SPEC
    assert json.loads(SPEC.model_dump_json())["task"]["goal_position_m"] == [0.3, 0.2, 0.76]


def test_an_unknown_skill_is_refused_with_the_known_ones():
    """In a plan and in a request."""
    document = json.loads(SPEC.model_dump_json())
    document["task"]["task_type"] = "juggle"
    with pytest.raises(UnknownSkill, match=r"juggle.*pick_place"):
        EpisodeSpec.model_validate(document)
    with pytest.raises(UnknownSkill, match="pick_place"):
        TypeAdapter(SkillName).validate_python("juggle")


@pytest.mark.parametrize("task", [{}, {"task_type": 3}, "pick_place", {"task_type": "pick_place", "instruction": "go"}])
def test_a_malformed_task_is_refused(task):
    """No type, a type that is no name, no record at all, or fields missing."""
    document = {**json.loads(SPEC.model_dump_json()), "task": task}
    with pytest.raises((ValidationError, TypeError)):
        EpisodeSpec.model_validate(document)
