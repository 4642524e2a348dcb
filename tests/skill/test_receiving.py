"""Putting an object in or on another one: conditions that hold and can fail, and tasks that the twin's physics confirms."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.job.site import NothingToDo
from blueprint_pipeline.kit.predicates import ObservedMotion, judge, parse_conditions
from blueprint_pipeline.skill import place_in, stack
from blueprint_pipeline.skill.conditions import SupportNotObserved
from blueprint_pipeline.skill.place_in import PlaceInTask
from blueprint_pipeline.skill.receiving import ReceivedTask
from blueprint_pipeline.skill.stack import StackTask
from tests.simulation.receiver_scene import BOWL, BOX, CAN, PLATE, RECEIVER_XML, RECEIVERS, body, walls, with_bodies
from tests.simulation.small_job import small_options, task_scene

FRAMES = 60
SIDE_M = 0.08
FACTS = {
    "target_object": "can",
    "support_object": "bowl",
    "goal_position_m": (0.0, 0.12, 0.756),
    "center_object_m": (0.0, 0.0, 0.0),
    "half_height_m": 0.05,
    "upright": True,
}


def square(height_m: float) -> tuple[tuple[float, float, float], ...]:
    """An outline about the receiver's origin."""
    return tuple((x * SIDE_M, y * SIDE_M, height_m) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)))


IN = PlaceInTask(instruction="put the can in the bowl", corners_object_m=square(0.06), depth_m=0.054, **FACTS)
ON = StackTask(instruction="put the can on the plate", corners_object_m=square(0.006), **FACTS)
SKILLS = pytest.mark.parametrize(("skill", "task"), [(place_in.SKILL, IN), (stack.SKILL, ON)], ids=["place_in", "stack"])


def motion(**changes: object) -> ObservedMotion:
    """A can that is lifted and set down in the middle of what receives it, with some of it changed."""
    can = np.tile([0.0, -0.1, 0.75, 1.0, 0.0, 0.0, 0.0], (FRAMES + 1, 1))
    can[10:40, 2] += 0.15
    can[25:, 1] = 0.12
    can[40:, 2] = 0.756
    held = ("can|robot/left_finger",)
    rest = ("bowl|can",)
    facts: dict[str, object] = {
        "target_poses": can,
        "support_poses": np.tile([0.0, 0.12, 0.7, 1.0, 0.0, 0.0, 0.0], (FRAMES + 1, 1)),
        "gripper_width_m": np.where(np.arange(FRAMES + 1) < 40, 0.06, 0.08),
        "contacts": tuple(held if 5 < frame < 45 else rest for frame in range(FRAMES + 1)),
        "fps": 30,
    }
    return ObservedMotion(**{**facts, **changes})


def failed(skill, task: ReceivedTask, observed: ObservedMotion) -> set[str]:
    """Names of the conditions that do not hold: the same when they are written down, and judged from there."""
    written = parse_conditions(json.loads(json.dumps([condition.as_json() for condition in skill.conditions(task)])))
    checks = skill.check(task, observed)
    assert [(item.value, item.held) for item in judge(written, observed)] == [(check.value, check.held) for check in checks]
    return {check.name for check in checks if not check.held}


@SKILLS
def test_a_clean_motion_holds_everywhere(skill, task) -> None:
    """All conditions, each with its margin; the can stands in the middle."""
    checks = skill.check(task, motion())
    assert all(check.held and check.margin >= 0 for check in checks)
    assert checks[1].value == pytest.approx(SIDE_M)


@SKILLS
def test_the_receiver_may_be_moved(skill, task) -> None:
    """What counts is where it ends: shifted and turned with the can on it."""
    can, bowl = motion().target_poses.copy(), motion().support_poses.copy()
    can[:, :2] += (0.1, 0.05)
    bowl[:, :2] += (0.1, 0.05)
    bowl[:, 3:] = (np.cos(0.4), 0.0, 0.0, np.sin(0.4))
    assert failed(skill, task, motion(target_poses=can, support_poses=bowl)) == set()


@SKILLS
def test_beside_the_receiver_fails(skill, task) -> None:
    """A centimetre outside of its outline."""
    can = motion().target_poses.copy()
    can[25:, 0] = SIDE_M + 0.01
    assert failed(skill, task, motion(target_poses=can)) == {skill.check(task, motion())[1].name}


def test_on_the_rim_is_not_in_the_bowl() -> None:
    """Its underside a hair above where the rim is."""
    can = motion().target_poses.copy()
    can[40:, 2] = 0.7 + 0.06 + 0.05 - 0.005
    assert failed(place_in.SKILL, IN, motion(target_poses=can)) == {"below_rim"}


def test_under_the_bowl_is_not_in_it() -> None:
    """The bowl was set down on the can, or the can fell through it: nearer to the ground than the bowl's floor."""
    under = motion()
    can, bowl = under.target_poses.copy(), under.support_poses.copy()
    can[40:, 2] = 0.75
    bowl[40:, 2] = 0.8
    assert failed(place_in.SKILL, IN, motion(target_poses=can, support_poses=bowl)) == {"above_floor"}


@pytest.mark.parametrize("height_m", [-0.03, 0.03])
def test_on_top_is_neither_higher_nor_lower(height_m) -> None:
    """On something that lies there, or through it."""
    can = motion().target_poses.copy()
    can[40:, 2] += height_m
    assert failed(stack.SKILL, ON, motion(target_poses=can)) == {"on_support"}


@SKILLS
def test_each_of_the_other_conditions_can_fail(skill, task) -> None:
    """Pushed there, tipped over, held up by something else, still in hand, moving, and a receiver that lies on its side."""
    low, tipped, moving, lying = (motion().target_poses.copy() for _ in range(4))
    low[10:40, 2] = 0.76
    tipped[40:, 3:] = (np.cos(0.2), np.sin(0.2), 0.0, 0.0)
    moving[-3:, 0] += 0.004
    lying = motion().support_poses.copy()
    lying[50:, 3:] = (np.cos(0.14), np.sin(0.14), 0.0, 0.0)
    nothing = tuple(frame if index < 45 else () for index, frame in enumerate(motion().contacts))
    in_hand = tuple(motion().contacts[20] + motion().contacts[-1] for _ in range(FRAMES + 1))
    assert failed(skill, task, motion(target_poses=low)) == {"lifted"}
    assert failed(skill, task, motion(target_poses=tipped)) == {"upright"}
    assert failed(skill, task, motion(target_poses=moving)) == {"at_rest"}
    assert failed(skill, task, motion(support_poses=lying)) >= {"receiver_upright"}
    assert failed(skill, task, motion(contacts=nothing)) == {"borne"}
    assert failed(skill, task, motion(contacts=in_hand)) == {"untouched"}
    assert failed(skill, task, motion(gripper_width_m=np.full(FRAMES + 1, 0.06))) == {"released"}


@SKILLS
def test_what_may_roll_may_end_otherwise_than_it_stood(skill, task) -> None:
    """An apple in a bowl."""
    tipped = motion().target_poses.copy()
    tipped[40:, 3:] = (np.cos(0.5), np.sin(0.5), 0.0, 0.0)
    assert failed(skill, task.model_copy(update={"upright": False}), motion(target_poses=tipped)) == set()


@SKILLS
def test_a_receiver_that_was_not_observed_is_told(skill, task) -> None:
    """Nothing is judged without it."""
    with pytest.raises(SupportNotObserved, match="bowl"):
        skill.check(task, motion(support_poses=None))


def test_tasks_go_where_there_is_room(tmp_path) -> None:
    """What fits goes in the bowl; on the plate and the box goes what they bear; sentences name both things."""
    plan = plan_job(task_scene(tmp_path, RECEIVER_XML, RECEIVERS), small_options(12, skills=("place_in", "stack")))
    pairs = Counter((episode.task.task_type, episode.task.target_object, episode.task.support_object) for episode in plan.episodes)
    assert {receiver for kind, _, receiver in pairs if kind == "place_in"} == {"bowl"}
    assert {receiver for kind, _, receiver in pairs if kind == "stack"} <= {"plate", "box", "can"}
    assert {target for _, target, _ in pairs} >= {"can", "box"}
    for episode in plan.episodes:
        task = episode.task
        assert task.target_object in task.instruction
        assert task.support_object in task.instruction
        assert all(task.target_object in told and task.support_object in told for told in task.paraphrases)
        assert len({task.instruction, *task.paraphrases}) == 5
        assert (" in" if task.task_type == "place_in" else " on") in task.instruction
        receiver = np.array(episode.object_poses[task.support_object].position_m)
        assert np.linalg.norm(np.array(task.goal_position_m[:2]) - receiver[:2]) < 0.03
    assert plan.left_out["place_in"].keys() == {"bowl", "plate"}


def test_the_same_request_gives_the_same_plan(tmp_path) -> None:
    """What an object offers is looked at anew in another process; the twin runs bit by bit alike."""
    options = small_options(2, skills=("place_in", "stack"))
    first, second = (plan_job(task_scene(tmp_path / name, RECEIVER_XML, RECEIVERS), options) for name in "ab")
    assert first == second


@pytest.mark.parametrize(
    ("bowl", "why"),
    [
        (walls(0.04, 0.06), "no container beside it has room for it"),
        (walls(0.09, 0.06, gap=True), "no container beside it has room for it"),
    ],
    ids=["too narrow", "open at a side"],
)
def test_a_scene_without_a_container_says_so(tmp_path, bowl, why) -> None:
    """For every object."""
    xml = with_bodies(CAN, body("bowl", "0.0 0.12 0.7001", 0.4, bowl, "1 1 1 1"), BOX)
    names = {name: RECEIVERS[name] for name in ("table", "can", "bowl", "box")}
    with pytest.raises(NothingToDo, match=why):
        plan_job(task_scene(tmp_path, xml, names), small_options(1, skills=("place_in",)))


BALL = body("ball", "0.02 -0.1 0.7301", 0.1, ['type="sphere" size="0.03"'], "0.8 0.1 0.1 1")
DESCRIBED = {**RECEIVERS, "ball": "red ball", "tub": "deep white bowl"}


def described(*names: str) -> dict[str, str]:
    return {name: DESCRIBED[name] for name in ("table", *names)}


def test_a_ball_is_put_in_a_bowl_and_set_on_nothing(tmp_path) -> None:
    """It rolls off a plate, and off a box; a bowl holds it."""
    scene = task_scene(tmp_path, with_bodies(BALL, BOWL, PLATE), described("ball", "bowl", "plate"))
    options = replace(small_options(2, skills=("place_in",)), width=640, height=480)
    assert {episode.task.target_object for episode in plan_job(scene, options).episodes} == {"ball"}
    assert "plate: it would not stay there" in plan_job(scene, replace(options, skills=("stack",))).left_out["stack"]["ball"]


def test_two_bowls_that_no_words_tell_apart_receive_nothing(tmp_path) -> None:
    """The reason says so."""
    other = body("tub", "0.0 -0.33 0.7001", 0.4, walls(0.09, 0.06), "0.9 0.9 0.9 1")
    scene = task_scene(tmp_path, with_bodies(CAN, BOWL, other), described("can", "bowl", "tub"))
    alike = {item.id: item.model_copy(update={"id": item.id, "category": "bowl"}) for item in scene.manifest.objects}
    objects = tuple(alike[name] if name in ("bowl", "tub") else item for name, item in zip(alike, scene.manifest.objects, strict=True))
    scene = replace(scene, manifest=scene.manifest.model_copy(update={"objects": objects}))
    with pytest.raises(NothingToDo, match="bowl: no words tell it from another object; tub: no words tell it from another object"):
        plan_job(scene, small_options(1, skills=("place_in",)))


@pytest.mark.parametrize("height_m", [0.03, 0.06])
def test_a_bowl_with_a_thin_partition_receives_beside_it(tmp_path, height_m) -> None:
    """Whether rays from above meet the partition or not."""
    board = f'type="box" size="0.001 0.12 {height_m / 2}" pos="0.0013 0 {height_m / 2}"'
    tub = body("bowl", "0.0 0.12 0.7001", 0.4, [*walls(0.12, 0.06), board], "0.9 0.9 0.9 1")
    plan = plan_job(task_scene(tmp_path, with_bodies(CAN, tub), described("can", "bowl")), small_options(3, skills=("place_in",)))
    for episode in plan.episodes:
        bowl = episode.object_poses["bowl"]
        way = np.array(episode.task.goal_position_m[:2]) - np.array(bowl.position_m[:2])
        turn = 2 * np.arctan2(bowl.quat_wxyz[3], bowl.quat_wxyz[0])
        assert abs(way @ np.array([np.cos(turn), np.sin(turn)])) >= 0.03


def test_what_is_closed_in_the_twin_receives_nothing(tmp_path) -> None:
    """The pieces of a bowl that close it: nothing can be put in it, whatever rays see."""
    scene = task_scene(tmp_path, RECEIVER_XML, RECEIVERS)
    with pytest.raises(NothingToDo, match="no container"):
        plan_job(replace(scene, overfill={**scene.overfill, "bowl": 0.9}), small_options(1, skills=("place_in",)))


def test_what_bears_something_receives_nothing(tmp_path) -> None:
    """A small block lies in the bowl: there is room beside it, and none is offered."""
    block = body("block", "0.0 0.12 0.7172", 0.1, ['type="box" size="0.01 0.01 0.01"'], "0.1 0.8 0.1 1")
    names = {"table": "wooden table", "can": "red soda can", "bowl": "deep white bowl", "block": "small green block"}
    with pytest.raises(NothingToDo, match=r"can: no container .* \(bowl: block is there already\)"):
        plan_job(task_scene(tmp_path, with_bodies(CAN, BOWL, block), names), small_options(1, skills=("place_in",)))


def test_a_receiver_that_leans_is_judged_where_the_target_stands(tmp_path) -> None:
    """A plate tilted by 0.2 rad with a can on its lower side: the height counts over that place, not over the plate's middle."""
    can, plate = motion().target_poses.copy(), motion().support_poses.copy()
    plate[:, 3:] = (np.cos(0.1), np.sin(0.1), 0.0, 0.0)  # about x: lower towards -y
    can[40:, 1] = 0.12 - 0.07
    can[40:, 2] = 0.7 + 0.006 - 0.07 * np.tan(0.2) + 0.05
    checks = {check.name: check for check in stack.SKILL.check(ON, motion(target_poses=can, support_poses=plate))}
    assert checks["on_support"].value < 0.003
