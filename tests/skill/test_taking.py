"""Tries that fail, planted and provoked: they are seen, made good by another grasp, or given up for the right reason."""

from collections.abc import Callable
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.transforms import quat_of, turn_about_z
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.plan import MotionPlan
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.skill import taking
from blueprint_pipeline.skill.grasping import GraspQuery
from blueprint_pipeline.skill.mishaps import FARTHEST_M, MORE_M, plan_missed
from blueprint_pipeline.skill.pick_place import SKILL
from blueprint_pipeline.skill.picking import PickPlan, plan_pick
from blueprint_pipeline.skill.placing import plan_place
from blueprint_pipeline.task.mishap import Mishap, MishapKind
from blueprint_pipeline.task.outcome import base_phase
from tests.skill.test_pick_place import CAN_GOAL, begin, execute, query_for, task_for

TASK = task_for("can", CAN_GOAL)
FIRST = ["approach", "pre_grasp", "close"]
AGAIN = [f"{name}_again" for name in (*FIRST, "lift")]
Meddle = Callable[[int, mujoco.MjData], None]
"""Called before the step of a number is executed."""


def mishap(*kinds: MishapKind, share: float = 0.5) -> Mishap:
    return Mishap(kinds=kinds, way_rad=0.3, turn_rad=0.1, share=share)


def perform(
    scene: MotionScene, data: mujoco.MjData, wrong: Mishap | None = None, meddle: Meddle = lambda _number, _data: None
) -> list[MotionPlan]:
    """Plan and execute a pick-and-place of the can step by step."""
    qpos = data.qpos.copy()
    steps = SKILL.plan(scene, qpos, TASK, seed=1) if wrong is None else SKILL.plan_with_mishap(scene, qpos, TASK, wrong, seed=1)
    done = [next(steps)]
    while True:
        meddle(len(done) - 1, data)
        execute(scene.model, data, done[-1].setpoints)
        try:
            done.append(steps.send(data.qpos.copy()))
        except StopIteration:
            return done


def names(plans: list[MotionPlan]) -> list[list[str]]:
    return [[phase.name for phase in plan.phases] for plan in plans]


def move_can(data: mujoco.MjData, offset_m: tuple[float, float, float]) -> None:
    address = data.model.joint("can").qposadr[0]
    data.qpos[address : address + 3] += offset_m
    mujoco.mj_forward(data.model, data)


@pytest.mark.parametrize("kind", ["beside", "high", "loose"])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_provoked_miss_is_seen_and_made_good(
    table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray, kind: MishapKind, share: float
) -> None:
    """The first try takes nothing and leaves the can where it is; the second brings it to its goal."""
    data, stood = begin(table_model, start_qpos), []
    plans = perform(table_scene, data, mishap(kind, share=share), lambda _number, now: stood.append(now.body("can").xpos.copy()))
    provoked = plans[0].provoked
    assert provoked is not None
    assert provoked.kind == kind
    tries = [plan for plan in plans if plan.begins_try]
    backs = [plan for plan in plans if plan.failed is not None]
    assert (len(tries), len(backs)) == (2, 1)
    found = [name for step in names(plans) for name in step]
    lifted = ["lift"] if kind == "loose" else []
    back = ["let_go"] if kind == "loose" else ["let_go", "back_off"]
    assert found == [*FIRST, *lifted, *back, *AGAIN, "transport", "place", "release", "retract", "home"]
    before_again = stood[[plan.begins_try for plan in plans].index(True, 1)]
    assert np.linalg.norm(before_again - stood[0]) < 0.005
    assert np.linalg.norm(data.body("can").xpos - CAN_GOAL) < 0.01
    assert data.body("can").xmat.reshape(3, 3)[2, 2] > 0.999


def test_a_hand_that_misses_touches_nothing(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """Whatever is drawn: the physics finds no contact of the robot in the whole try."""
    query = query_for(table_scene, start_qpos, TASK)
    pick = plan_pick(query, seed=1)
    done = 0
    drawn: list[tuple[MishapKind, float]] = [("high", 0.0), *(("beside", way_rad) for way_rad in (-2.9, -1.8, -0.3, 0.3, 1.3, 2.7))]
    for kind, way_rad in drawn:
        wrong = mishap(kind).model_copy(update={"way_rad": way_rad})
        missed = plan_missed(query, pick, wrong, seed=1)
        if missed is None:  # along the way in which the fingers close, it is too far to where they pass
            continue
        done += 1
        assert missed.provoked is not None
        assert 0.005 <= np.linalg.norm(missed.provoked.offset_hand_m) < FARTHEST_M + MORE_M
        data = begin(table_model, start_qpos)
        assert execute(table_model, data, missed.setpoints) == set()
    assert done >= 5


def test_the_first_kind_that_the_situation_allows_is_done(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """A gripper whose stroke the can nearly fills cannot stop short of it; where nothing goes wrong the pick is as it was."""
    query = query_for(table_scene, start_qpos, TASK)
    pick = plan_pick(query, seed=1)
    tight = replace(pick, open_m=pick.width_m + 0.004)
    assert plan_missed(query, tight, mishap("loose"), seed=1) is None
    missed = plan_missed(query, tight, mishap("loose", "high"), seed=1)
    assert missed is not None
    assert missed.provoked is not None
    assert missed.provoked.kind == "high"


def test_an_object_that_was_moved_is_taken_where_it_is_now(
    table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray
) -> None:
    """Nobody told the plan: the can stands 12 cm off when the hand comes down. The next try is planned from what is seen."""
    data = begin(table_model, start_qpos)

    def meddle(number: int, now: mujoco.MjData) -> None:
        if number == 0:
            move_can(now, (0.05, 0.12, 0.0))

    plans = perform(table_scene, data, meddle=meddle)
    assert next(plan.failed for plan in plans if plan.failed is not None).startswith("the fingers closed to ")
    assert sum(plan.begins_try for plan in plans) == 2
    assert np.linalg.norm(data.body("can").xpos - CAN_GOAL) < 0.01


def test_two_failures_need_a_third_try(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """The can is moved twice; phases of every try but the first carry the mark."""
    data = begin(table_model, start_qpos)
    steps: list[int] = []

    def meddle(number: int, now: mujoco.MjData) -> None:
        if number in {0, 2}:
            steps.append(number)
            move_can(now, (0.0, 0.12 if number == 0 else -0.12, 0.0))

    plans = perform(table_scene, data, meddle=meddle)
    assert steps == [0, 2]
    assert sum(plan.begins_try for plan in plans) == 3
    assert [base_phase(name) for name in names(plans)[4]] == FIRST
    assert np.linalg.norm(data.body("can").xpos - CAN_GOAL) < 0.01


def test_it_is_given_up_after_three_tries(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """The can flees from every try."""
    data = begin(table_model, start_qpos)

    def meddle(number: int, now: mujoco.MjData) -> None:
        if number % 2 == 0:
            move_can(now, (0.0, 0.12 if number % 4 == 0 else -0.12, 0.0))

    with pytest.raises(PlanningFailed, match="3 tries did not take 'can'; in the last one, the fingers closed") as refusal:
        perform(table_scene, data, meddle=meddle)
    assert (refusal.value.stage, refusal.value.failure_code) == ("recover", "too_many_tries")


def test_what_toppled_is_not_taken_again(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """The can must end upright, and lies: no other try is begun."""
    data = begin(table_model, start_qpos)

    def meddle(number: int, now: mujoco.MjData) -> None:
        if number == 0:
            move_can(now, (0.05, 0.14, -0.02))
            now.qpos[table_model.joint("can").qposadr[0] + 3 :][:4] = (np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0)
            mujoco.mj_forward(table_model, now)

    with pytest.raises(PlanningFailed, match="'can' leans by 90 degrees") as refusal:
        perform(table_scene, data, meddle=meddle)
    assert refusal.value.failure_code == "object_toppled"


def test_what_is_gone_is_given_up(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """The hand backs off; then no grasp is in reach, and the reason says after what."""
    data = begin(table_model, start_qpos)

    def meddle(number: int, now: mujoco.MjData) -> None:
        if number == 0:
            move_can(now, (1.5, 0.0, -0.7))

    with pytest.raises(PlanningFailed, match=r"after a try \(the fingers closed .*out of the arm's reach") as refusal:
        perform(table_scene, data, meddle=meddle)
    assert (refusal.value.stage, refusal.value.failure_code) == ("recover", "no_ik")


def test_what_lies_badly_in_the_hand_is_set_down_and_held_otherwise(
    table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first hold has no way to the goal: the can is put back where it stood, and taken by another grasp."""
    data, held = begin(table_model, start_qpos), []
    stood = data.body("can").xpos.copy()

    def refuse_once(query: GraspQuery, pick: PickPlan, *, seed: int) -> MotionPlan:
        held.append(pick.pose_object_tcp)
        if len(held) == 1:
            raise PlanningFailed("plan_place", "goal_unreachable", "the goal is out of reach")
        return plan_place(query, pick, seed=seed)

    monkeypatch.setattr(taking, "plan_place", refuse_once)
    rested: list[np.ndarray] = []
    plans = perform(table_scene, data, meddle=lambda _number, now: rested.append(now.body("can").xpos.copy()))
    assert names(plans)[2] == ["set_down", "let_go", "back_off"]
    assert np.linalg.norm(rested[3] - stood) < 0.01
    apart_m = np.linalg.norm(held[0][:3, 3] - held[1][:3, 3])
    turned = min(held[0][:3, 2] @ held[1][:3, 2], abs(held[0][:3, 1] @ held[1][:3, 1]))
    assert apart_m > 0.015 or turned < np.cos(0.3)
    assert np.linalg.norm(data.body("can").xpos - CAN_GOAL) < 0.01


def test_a_turned_object_is_still_brought_to_the_same_place(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """Its origin lies beside its middle: where a try has turned it, the goal of the origin turns along."""
    asked = replace(query_for(table_scene, start_qpos, TASK), center_object_m=(0.02, 0.01, 0.0))
    turned = start_qpos.copy()
    address = table_scene.model.joint("can").qposadr[0]
    turned[address + 3 : address + 7] = quat_of(turn_about_z(1.0))
    again = taking._ask_again(asked, turned, ())
    middle = np.array(again.goal_position_m) + turn_about_z(1.0)[:3, :3] @ np.array(asked.center_object_m)
    np.testing.assert_allclose(middle, np.add(CAN_GOAL, (0.02, 0.01, 0.0)), atol=1e-9)


def test_what_succeeds_at_once_is_no_recovery(table_scene: MotionScene, table_model: mujoco.MjModel, start_qpos: np.ndarray) -> None:
    """The steps of an untroubled attempt are the pick, in two, and the place: the same setpoints as without looking."""
    data = begin(table_model, start_qpos)
    plans = perform(table_scene, data)
    assert names(plans)[:2] == [FIRST, ["lift"]]
    assert [plan.failed for plan in plans] == [None] * 3
    pick = plan_pick(query_for(table_scene, start_qpos, TASK), seed=1)
    np.testing.assert_array_equal(np.concatenate([plans[0].setpoints, plans[1].setpoints]), pick.setpoints)
