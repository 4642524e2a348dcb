"""Pushing: tasks that lead into a region, strokes that the physics confirms, and conditions that can fail."""

from dataclasses import replace

import numpy as np
import pytest

from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.job.site import NothingToDo
from blueprint_pipeline.kit.predicates import ObservedMotion
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.skill.push import MOVED_M, SKILL, PushTask, Way, order_tries
from blueprint_pipeline.skill.push_contact import find_contacts, observe_pushed
from blueprint_pipeline.skill.stroke import holds
from tests.motion.conftest import TABLE_M
from tests.simulation.small_job import small_options, task_scene

LEFT = ((0.2, 0.1), (0.8, 0.1), (0.8, 0.5), (0.2, 0.5))
FAR_LEFT = ((0.2, 0.35), (0.8, 0.35), (0.8, 0.6), (0.2, 0.6))
TASK = PushTask(
    instruction="push the can to the left side of the table",
    target_object="can",
    support_object="table",
    region_m=LEFT,
    center_object_m=(0.0, 0.0, -0.05),
)
FRAMES = 60


def motion(**changes: object) -> ObservedMotion:
    """A can that slides 0.2 m to the left before closed fingers, with some of it changed."""
    poses = np.tile([0.45, 0.0, TABLE_M + 0.05, 1.0, 0.0, 0.0, 0.0], (FRAMES + 1, 1))
    poses[10:31, 1] = np.linspace(0.0, 0.2, 21)
    poses[31:, 1] = 0.2
    touch = ("can|robot/left_finger",)
    facts: dict[str, object] = {
        "target_poses": poses,
        "support_poses": None,
        "gripper_width_m": np.full(FRAMES + 1, 0.03),
        "contacts": tuple(touch if 10 <= frame <= 30 else () for frame in range(FRAMES + 1)),
        "fps": 30,
    }
    return ObservedMotion(**{**facts, **changes})


def failed(observed: ObservedMotion) -> set[str]:
    return {check.name for check in SKILL.check(TASK, observed) if not check.held}


def test_a_clean_push_holds_everywhere():
    """Every condition, each with its margin."""
    checks = SKILL.check(TASK, motion())
    assert [check.name for check in checks] == ["in_region", "moved", "upright", "on_support", "not_gripped", "at_rest", "untouched"]
    assert all(check.held and check.margin >= 0 for check in checks)
    assert checks[0].value == pytest.approx(0.1)


def test_a_hand_is_held_so_that_its_camera_sees(table_scene: MotionScene, start_qpos: np.ndarray):
    """Of the two ways to hold the hand at a contact the one that has more of the can in view is tried first, against the arm's default."""
    pushed, changed = observe_pushed(table_scene, start_qpos, "can", "table"), 0
    for direction in np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]):
        contact = find_contacts(table_scene, pushed, direction)[0]
        hidden = [hold.hidden for hold in holds(table_scene, pushed, contact)]
        tried = [hold.hidden for _, hold in order_tries(table_scene, pushed, [Way(contact=contact, length_m=0.1, cost=0.0)])]
        assert tried == sorted(hidden)
        changed += tried != hidden
    assert changed


def test_a_hand_without_a_camera_is_held_as_by_default(table_scene: MotionScene, start_qpos: np.ndarray):
    """Nothing is hidden from it, and the order stays."""
    blind = replace(table_scene, hand_camera=None)
    pushed = observe_pushed(blind, start_qpos, "can", "table")
    contact = find_contacts(blind, pushed, np.array([1.0, 0.0]))[0]
    ways = holds(blind, pushed, contact)
    assert [hold.hidden for hold in ways] == [0.0, 0.0]
    tries = order_tries(blind, pushed, [Way(contact=contact, length_m=0.1, cost=0.0)])
    assert all(np.array_equal(hold.pose_world_tcp, first.pose_world_tcp) for (_, hold), first in zip(tries, ways, strict=True))


def test_an_object_short_of_the_region_fails():
    """Its middle a centimetre outside."""
    poses = motion().target_poses.copy()
    poses[:, 1] = np.minimum(poses[:, 1], 0.09)
    assert failed(motion(target_poses=poses)) == {"in_region"}


def test_an_object_that_lies_there_was_not_pushed():
    """It began where it ends."""
    poses = motion().target_poses.copy()
    poses[:, 1] = 0.2
    poses[0, 1] -= MOVED_M / 2
    assert failed(motion(target_poses=poses)) == {"moved"}


def test_lifting_tipping_and_gripping_are_no_push():
    """In the middle of the way; at the end all is well."""
    lifted, tipped, width = motion().target_poses.copy(), motion().target_poses.copy(), np.full(FRAMES + 1, 0.08)
    lifted[20, 2] += 0.02
    tipped[20, 3:] = (np.cos(0.1), np.sin(0.1), 0.0, 0.0)
    width[15:] = 0.06
    assert failed(motion(target_poses=lifted)) == {"on_support"}
    assert failed(motion(target_poses=tipped)) == {"upright"}
    assert failed(motion(gripper_width_m=width)) == {"not_gripped"}


def test_fingers_may_close_where_they_touch_nothing():
    """Between two strokes."""
    width = np.full(FRAMES + 1, 0.08)
    width[40:] = 0.0
    assert failed(motion(gripper_width_m=width)) == set()


def test_tasks_lead_from_outside_into_the_region_that_the_sentence_names(tmp_path_factory):
    """Both objects, all starts outside, words of a part of the table."""
    plan = plan_job(task_scene(tmp_path_factory.mktemp("scene")), small_options(8, skills=("push",)))
    for episode in plan.episodes:
        task, start = episode.task, episode.object_poses[episode.task.target_object].position_m
        assert episode.episode_id == f"push_ep{episode.episode_index:06d}"
        assert task.region.depth_m(np.array(start[:2])) < 0
        assert task.instruction.split(" the ")[0] in {"push", "move"}
        assert task.instruction.rsplit(" of the ", 1)[0].rsplit("to the ", 1)[1] in {"left side", "right side", "front", "back", "middle"}
    assert {episode.task.target_object for episode in plan.episodes} == {"can", "box"}


def test_skills_take_turns(tmp_path_factory):
    """And an episode is the same whether the job has more of them or not."""
    scene = task_scene(tmp_path_factory.mktemp("scene"))
    plan = plan_job(scene, small_options(4, skills=("push", "pick_place")))
    assert [episode.task.task_type for episode in plan.episodes] == ["push", "pick_place", "push", "pick_place"]
    assert plan_job(scene, small_options(2, skills=("push", "pick_place"))).episodes == plan.episodes[:2]


def test_what_may_roll_is_not_pushed(tmp_path_factory):
    """A can that may lie is left out, by its rule; so nothing is left to push where all may."""
    scene = task_scene(tmp_path_factory.mktemp("scene"))
    may_roll = scene.affordances.model_copy(
        update={"rules": (), "default": scene.affordances.default.model_copy(update={"upright": False})}
    )
    with pytest.raises(NothingToDo, match=r"push.*it may roll"):
        plan_job(replace(scene, affordances=may_roll), small_options(1, skills=("push",)))


def test_a_tall_object_is_pushed_low(table_scene: MotionScene, start_qpos: np.ndarray):
    """The box of 12 cm by 4 x 8 cm tips before it slides if it is pushed above a height that its base and its friction give."""
    pushed = observe_pushed(table_scene, start_qpos, "box", "table")
    narrow, wide = pushed.highest_push_m(np.array([1.0, 0.0])), pushed.highest_push_m(np.array([0.0, 1.0]))
    assert pushed.friction == pytest.approx(1.0)  # the table's: of two the larger one counts
    assert narrow == pytest.approx(0.7 * 0.02, abs=1e-6)
    assert wide == pytest.approx(0.7 * 0.04, abs=1e-6)


def test_a_slender_object_is_pushed_slowly(table_scene: MotionScene, start_qpos: np.ndarray):
    """What would tip by itself when it slides may store no more in its motion than lifts it by 0.02 rad; what would not, any speed."""
    pushed = observe_pushed(table_scene, start_qpos, "box", "table")
    along = np.array([1.0, 0.0])
    assert pushed.center_height_m == pytest.approx(0.06, abs=1e-3)
    assert pushed.fastest_push_m_s(along) ** 2 / (2 * 9.81) == pytest.approx(0.02 * 0.02, rel=1e-3)
    assert replace(pushed, friction=0.2).fastest_push_m_s(along) == np.inf


def test_a_planned_push_keeps_to_that_speed(table_scene: MotionScene, start_qpos: np.ndarray):
    """The box, from the setpoints alone."""
    task = TASK.model_copy(update={"target_object": "box", "center_object_m": (0.0, 0.0, -0.06), "region_m": FAR_LEFT})
    plan = next(SKILL.plan(table_scene, start_qpos, task, seed=0))
    (push,) = [phase for phase in plan.phases if phase.name == "push"]
    rows = plan.setpoints[push.start_frame : push.end_frame, table_scene.acting.actuators]
    ways_m = np.diff([table_scene.tool_pose(row)[:2, 3] for row in rows], axis=0)
    direction = ways_m.sum(axis=0) / np.linalg.norm(ways_m.sum(axis=0))
    pushed = observe_pushed(table_scene, start_qpos, "box", "table")
    fastest = np.linalg.norm(ways_m, axis=1).max() * table_scene.fps
    assert 0.5 < fastest / pushed.fastest_push_m_s(direction) < 1.02  # whole frames round a little


@pytest.mark.parametrize(("degrees", "least", "most"), [(0.0, 0.0, 0.01), (45.0, 0.3, 2.0), (50.0, 0.3, 2.0)])
def test_a_corner_between_the_fingers_is_no_flush_side(table_scene: MotionScene, start_qpos: np.ndarray, degrees, least, most):
    """Seen from its ends alone it would be: the object would turn around it, until the palm touches it."""
    qpos = start_qpos.copy()
    address = int(table_scene.model.jnt_qposadr[table_scene.model.body("box").jntadr[0]])
    half = np.radians(degrees) / 2
    qpos[address + 3 : address + 7] = (np.cos(half), 0.0, 0.0, np.sin(half))
    found = find_contacts(table_scene, observe_pushed(table_scene, qpos, "box", "table"), np.array([0.0, 1.0]))
    slopes = [contact.slope for contact in found if contact.width_m > 0.01]
    assert slopes
    assert least <= min(slopes) <= max(slopes) <= most


def test_a_region_out_of_reach_has_no_stroke(table_scene: MotionScene, start_qpos: np.ndarray):
    """A metre away: the failure names the step and the cause."""
    far = TASK.model_copy(update={"region_m": ((2.0, 0.0), (2.5, 0.0), (2.5, 0.5), (2.0, 0.5))})
    with pytest.raises(PlanningFailed) as caught:
        next(SKILL.plan(table_scene, start_qpos, far, seed=1))
    assert (caught.value.stage, caught.value.failure_code) == ("plan_stroke", "no_stroke")
