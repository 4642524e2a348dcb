"""Sliding: an object between the fingers that never leaves its support; conditions that can fail, holds that do not tip it."""

from pathlib import Path

import numpy as np
import pytest

from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.kit.predicates import ObservedMotion
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.scene import MotionScene, build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.skill.grasping import GraspQuery
from blueprint_pipeline.skill.push_contact import observe_pushed
from blueprint_pipeline.skill.region import RELATIONS, THIRDS
from blueprint_pipeline.skill.slide import LONGEST_M, MOVED_M, RISE_M, SHORTEST_M, SKILL, SlideTask
from blueprint_pipeline.skill.sliding import MOST_SLANTED, slidable_grasps
from tests.motion.conftest import FPS, TABLE_M, build_table_spec
from tests.regions import square_about
from tests.simulation.small_job import small_options, task_scene
from tests.simulation.small_scene import SLIPPERY_XML
from tests.skill.part_job import assert_job_is_done

TASK = SlideTask(
    instruction="slide the can to the left side of the table",
    target_object="can",
    support_object="table",
    region_m=square_about(0.45, 0.2, 0.1),
    center_object_m=(0.0, 0.0, -0.05),
    goal_position_m=(0.45, 0.2, TABLE_M + 0.05),
    upright=True,
)
FRAMES = 60


@pytest.fixture(scope="module")
def slippery_scene(grasp_cache_dir: Path) -> MotionScene:
    """The table with objects that slide easily."""
    spec = build_table_spec()
    for geom in spec.geoms:
        geom.friction[0] = 0.25
    return build_motion_scene(spec.compile(), load_embodiment("franka_panda"), "arm", fps=FPS, cache_dir=grasp_cache_dir)


def motion(**changes: object) -> ObservedMotion:
    """A can that slides 0.2 m to the left between the fingers, with some of it changed."""
    poses = np.tile([0.45, 0.0, TABLE_M + 0.05, 1.0, 0.0, 0.0, 0.0], (FRAMES + 1, 1))
    poses[10:31, 1] = np.linspace(0.0, 0.2, 21)
    poses[31:, 1] = 0.2
    held = ("can|robot/left_finger", "can|robot/right_finger", "can|table")
    facts: dict[str, object] = {
        "target_poses": poses,
        "support_poses": None,
        "gripper_width_m": np.where(np.arange(FRAMES + 1) < 40, 0.06, 0.08),
        "contacts": tuple(held if 8 <= frame <= 40 else ("can|table",) for frame in range(FRAMES + 1)),
        "fps": 30,
    }
    return ObservedMotion(**{**facts, **changes})


def failed(observed: ObservedMotion, task: SlideTask = TASK) -> set[str]:
    return {check.name for check in SKILL.check(task, observed) if not check.held}


def test_a_clean_slide_holds_everywhere() -> None:
    checks = SKILL.check(TASK, motion())
    assert [check.name for check in checks] == ["in_region", "moved", "on_support", "upright", "at_rest", "untouched"]
    assert all(check.held and check.margin >= 0 for check in checks)


def changed(rows: slice, columns: slice, values: object) -> ObservedMotion:
    poses = motion().target_poses.copy()
    poses[rows, columns] = values
    return motion(target_poses=poses)


@pytest.mark.parametrize(
    ("observed", "names"),
    [
        (changed(slice(20, 25), slice(2, 3), TABLE_M + 0.05 + RISE_M + 0.001), {"on_support"}),
        (changed(slice(20, 25), slice(3, 7), (np.cos(0.1), np.sin(0.1), 0.0, 0.0)), {"upright"}),
        (changed(slice(31, None), slice(1, 2), 0.09), {"in_region"}),
        (changed(slice(0, 31), slice(1, 2), 0.2 - MOVED_M / 2), {"moved"}),
        (motion(contacts=(("can|robot/left_finger", "can|table"),) * (FRAMES + 1)), {"untouched"}),
    ],
    ids=["lifted on the way", "tipped on the way", "short", "began there", "still held"],
)
def test_what_the_sentence_does_not_say_is_no_slide(observed: ObservedMotion, names: set[str]) -> None:
    """Each by the condition that asks it, and by no other."""
    assert failed(observed) == names


def test_what_may_lie_may_turn_on_its_way() -> None:
    """Of an object that need not stand, no tilt is asked."""
    tipped = changed(slice(20, 25), slice(3, 7), (np.cos(0.1), np.sin(0.1), 0.0, 0.0))
    assert failed(tipped, TASK.model_copy(update={"upright": False})) == set()


def query(scene: MotionScene, qpos: np.ndarray, target: str, goal_m: tuple[float, float, float]) -> GraspQuery:
    return GraspQuery(
        scene=scene, qpos=qpos, target=target, support="table", goal_position_m=goal_m, center_object_m=(0.0, 0.0, 0.0), yaws_rad=(0.0,)
    )


@pytest.mark.parametrize(("target", "way_m"), [("can", (-0.12, 0.12)), ("can", (0.0, -0.16)), ("box", (-0.12, 0.1))])
def test_holds_are_low_level_and_no_wider_than_they_must_be(
    slippery_scene: MotionScene, start_qpos: np.ndarray, target: str, way_m: tuple[float, float]
) -> None:
    """So low that a push there would not tip it, whatever the direction."""
    pushed = observe_pushed(slippery_scene, start_qpos, target, "table")
    address = int(slippery_scene.model.jnt_qposadr[slippery_scene.model.body(target).jntadr[0]])
    pose = start_qpos[address : address + 7]
    found = list(slidable_grasps(query(slippery_scene, start_qpos, target, (pose[0] + way_m[0], pose[1] + way_m[1], pose[2])), []))
    assert found
    direction = np.array(way_m) / np.linalg.norm(way_m)
    for grasp in found:
        rotation = rotation_from_quat(pose[3:]) @ grasp.pose_object_tcp[:3, :3]
        height_m = pose[2] + grasp.pose_object_tcp[2, 3] - pushed.bottom_m
        assert height_m <= pushed.highest_push_m(direction) + 1e-9
        assert abs(rotation[2, 1]) <= MOST_SLANTED
        assert grasp.width_m < grasp.open_m <= grasp.width_m + 0.03


def test_what_is_held_by_its_neck_would_tip(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """A slender can on a rough table: its front edge would catch, and no hold is low enough."""
    with pytest.raises(PlanningFailed, match="so high") as caught:
        next(SKILL.plan(table_scene, start_qpos, TASK, seed=0))
    assert (caught.value.stage, caught.value.failure_code) == ("plan_take", "no_grasp")


def test_something_in_the_way_is_found_before_the_hand_sets_out(slippery_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """The crate stands between the can and the goal: every hold is refused, for what would touch what."""
    blocked = TASK.model_copy(update={"goal_position_m": (0.6, -0.45, TABLE_M + 0.05)})
    with pytest.raises(PlanningFailed, match="crate") as caught:
        next(SKILL.plan(slippery_scene, start_qpos, blocked, seed=0))
    assert caught.value.stage == "plan_take"


def test_what_slipped_out_of_the_hand_is_not_slid(slippery_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """The fingers have closed, and the can stands ten centimetres aside."""
    steps = SKILL.plan(slippery_scene, start_qpos, TASK.model_copy(update={"goal_position_m": (0.33, 0.12, TABLE_M + 0.05)}), seed=0)
    held = next(steps)
    observed = start_qpos.copy()
    observed[slippery_scene.acting.qpos] = held.setpoints[-1, slippery_scene.acting.actuators]
    observed[int(slippery_scene.model.jnt_qposadr[slippery_scene.model.body("can").jntadr[0]])] += 0.1
    with pytest.raises(PlanningFailed, match="where the hand should hold it") as caught:
        steps.send(observed)
    assert (caught.value.stage, caught.value.failure_code) == ("plan_slide", "object_not_held")


def test_tasks_go_a_free_way_to_what_the_sentence_names(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both objects, parts of the table and sides of the other object, neither too near nor too far."""
    plan = plan_job(task_scene(tmp_path_factory.mktemp("scene"), SLIPPERY_XML), small_options(12, skills=("slide",)))
    for episode in plan.episodes:
        task, start = episode.task, episode.object_poses[episode.task.target_object]
        assert isinstance(task, SlideTask)
        assert SHORTEST_M - 1e-3 <= np.linalg.norm(np.subtract(task.goal_position_m, start.position_m)[:2]) <= LONGEST_M + 1e-3
        assert task.goal_position_m[2] == pytest.approx(start.position_m[2], abs=1e-4)
        assert task.words in {*THIRDS, *RELATIONS}
        assert all(said.startswith("slide the ") or said.endswith(" without lifting it") for said in (task.instruction, *task.paraphrases))
    assert {episode.task.target_object for episode in plan.episodes} == {"can", "box"}
    assert len({episode.task.words for episode in plan.episodes}) > 3


def test_planned_slides_stay_on_the_table_in_the_simulator(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All the way, and the hand is around the object while it moves."""

    def check(task: object, poses: np.ndarray) -> None:
        assert isinstance(task, SlideTask)
        assert np.abs(poses[:, 2] - poses[0, 2]).max() < RISE_M
        assert task.region.depth_m(poses[-1, :2]) > 0

    assert_job_is_done(task_scene(tmp_path_factory.mktemp("scene"), SLIPPERY_XML), "slide", {"can", "box"}, check)
