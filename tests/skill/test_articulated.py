"""Drawers and doors are opened and closed by their handles; what cannot be is refused with the reason."""

from dataclasses import replace

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.job.plan_tasks import load_task_scene
from blueprint_pipeline.job.planning import JobOptions, plan_job
from blueprint_pipeline.job.site import Film, NothingToDo, choose_site
from blueprint_pipeline.kit.predicates import ObservedMotion
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.motion.scene import build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.rollout.controller import SkillController
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.skill.close import SKILL as CLOSE
from blueprint_pipeline.skill.close import CloseTask
from blueprint_pipeline.skill.contract import NotOffered, StartState
from blueprint_pipeline.skill.instruction import NamedObject
from blueprint_pipeline.skill.open import HALFWAY, OPEN_SHARE, OpenTask
from blueprint_pipeline.skill.open import SKILL as OPEN
from blueprint_pipeline.skill.part_words import NamedPart, part_phrases
from blueprint_pipeline.skill.swept import find_in_the_way
from blueprint_pipeline.task.outcome import describe_missed
from blueprint_pipeline.twin.joint_line import JointLine
from blueprint_pipeline.twin.model import build_scene_model, planning_copy

PARTS = ("cabinet/door", "chest/lower_drawer", "chest/upper_drawer")
OPTIONS = JobOptions(robot="franka_panda", skills=("open", "close"), episodes=6, seed=0, shard_size=6, fps=30, width=160, height=120)
LINE = JointLine(
    slides=True, axis=(0, -1, 0), anchor_m=(0, 0, 1), limits=(0, 0.2), closed=Pose(position_m=(0, 0, 1), quat_wxyz=(1, 0, 0, 0))
)


@pytest.fixture(scope="module")
def scene(cabinet):
    """A chest of drawers and a cabinet on a table, after all stages of a scene."""
    return load_task_scene(cabinet)


@pytest.fixture(scope="module")
def site(scene):
    return choose_site(scene, "franka_panda", ("open", "close"), Film(fps=30, width=160, height=120), seed=0)


def motion(shares, *, touched=0, width_m=None):
    """A part that goes through shares of its way; touched in so many of the last frames."""
    poses = np.array([LINE.pose_at(LINE.position_at(share)).as_tuple() for share in shares])
    count = len(shares)
    touching = range(count - 1 - touched, count - 1)
    contacts = [frozenset({"chest/drawer|robot/left_finger"} if row in touching else ()) for row in range(count)]
    widths = np.concatenate([np.full(count - 3, 0.01), np.full(3, 0.04)]) if width_m is None else np.full(count, width_m)
    return ObservedMotion(target_poses=poses, support_poses=None, gripper_width_m=widths, contacts=contacts, fps=30)


def task(model, between, aim):
    words = {"instruction": "open the drawer", "target_object": "chest/drawer", "support_object": "chest"}
    return model(**words, line=LINE, ends_between=between, aim=aim)


def missed(skill, asked, observed):
    return describe_missed([check for check in skill.check(asked, observed) if not check.held])


def course(end, start=0.0):
    return [*np.linspace(start, end, 30), *[end] * 10]


def test_an_open_drawer_is_open():
    assert missed(OPEN, task(OpenTask, (OPEN_SHARE, 1.1), 0.85), motion(course(0.85))) == ""


@pytest.mark.parametrize(
    ("observed", "names"),
    [
        (motion(course(0.6)), "open_enough"),
        (motion(course(0.85, start=0.75)), "moved"),
        (motion([*np.linspace(0, 0.9, 40)]), "at_rest"),
        (motion(course(0.85), touched=3), "untouched"),
        (motion(course(0.85), width_m=0.01), "released"),
    ],
)
def test_each_condition_can_fail(observed, names):
    assert missed(OPEN, task(OpenTask, (OPEN_SHARE, 1.1), 0.85), observed).startswith(f"{names}:")


def test_halfway_is_neither_less_nor_more():
    asked = task(OpenTask, HALFWAY, 0.5)
    assert missed(OPEN, asked, motion(course(0.5))) == ""
    assert missed(OPEN, asked, motion(course(0.35))).startswith("open_enough")
    assert missed(OPEN, asked, motion(course(0.8))).startswith("closed_enough")


def test_a_drawer_that_is_ajar_is_not_closed():
    asked = task(CloseTask, (-0.1, 0.03), 0.0)
    assert missed(CLOSE, asked, motion(course(0.0, start=0.8))) == ""
    assert missed(CLOSE, asked, motion(course(0.05, start=0.8))).startswith("closed_enough")


def named(name, owner, place, colour=None):
    return NamedPart(name=name, owner=NamedObject(object_id=name.split("/")[0], noun=owner, colour=colour), middle_m=np.array(place))


def as_seen(points):
    """From the front: x is away from who looks, y to the left."""
    return points


def test_parts_are_told_apart_by_where_they_are_and_not_by_their_names():
    """The one that its author calls left is the right one in the picture."""
    drawers = [named("chest/left_drawer", "chest", (0, -0.3, 1)), named("chest/right_drawer", "chest", (0, 0.3, 1))]
    found = part_phrases(drawers, as_seen)
    assert found["chest/left_drawer"] == ("right drawer", "right drawer of the chest")
    assert found["chest/right_drawer"] == ("left drawer", "left drawer of the chest")


def test_the_only_door_is_the_door():
    found = part_phrases([named("cabinet/door", "cabinet", (0, 0, 1), "white"), named("chest/drawer", "chest", (0, 1, 1))], as_seen)
    assert found["cabinet/door"] == ("door", "cabinet door", "door of the cabinet", "door of the white cabinet")


def test_drawers_of_two_chests_name_their_chest():
    parts = [named(f"{owner}/{which}", owner, (0, side, height)) for owner, side in (("chest", 0), ("desk", 1)) for which, height in
             (("a_drawer", 0.5), ("b_drawer", 0.8))]  # fmt: skip
    found = part_phrases(parts, as_seen)
    assert found["desk/b_drawer"] == ("top drawer of the desk",)
    assert found["chest/a_drawer"] == ("bottom drawer of the chest",)


def test_parts_that_no_words_tell_apart_have_none():
    """Four drawers in a square: neither top nor left names one of them."""
    parts = [named(f"chest/{row}{column}_drawer", "chest", (0, column, 0.2 * row)) for row in (0, 1) for column in (0, 1)]
    assert part_phrases(parts, as_seen) == {}


def test_every_part_is_a_target_of_both_skills(site):
    assert site.targets == {"open": PARTS, "close": PARTS}
    assert site.place.parts["chest/upper_drawer"].phrases[0] == "top drawer"
    assert site.place.parts["cabinet/door"].phrases[:2] == ("door", "cabinet door")


def test_objects_are_no_targets_of_a_skill_that_opens(site):
    assert set(site.left_out["open"]) == set()
    assert set(site.place.objects) == {"red_can", "green_box"}


def test_a_scene_in_which_nothing_opens_says_so(scene):
    """Of two skills the one that finds nothing is named, with the reason of every part."""
    stuck = replace(scene, stuck=dict.fromkeys(PARTS, "it is stuck"))
    with pytest.raises(NothingToDo) as refused:
        choose_site(stuck, "franka_panda", ("open",), Film(fps=30, width=160, height=120), seed=0)
    assert refused.value.reasons == dict.fromkeys(PARTS, "it is stuck")


def test_parts_with_nothing_movable_beside_them_say_that_no_robot_is_put_there(scene, monkeypatch):
    """Not that the scene has no parts."""
    monkeypatch.setattr("blueprint_pipeline.job.site.find_tiers", lambda _scene, _starts: [])
    with pytest.raises(NothingToDo, match="nothing movable stands on what it stands on") as refused:
        choose_site(scene, "franka_panda", ("open",), Film(fps=30, width=160, height=120), seed=0)
    assert set(refused.value.reasons) == set(PARTS)


def test_where_the_robot_cannot_face_all_parts_it_faces_one_after_the_other(scene, monkeypatch):
    """The highest handle first; each part is told its own reason, not that the robot stood before another one."""
    faced_in_turn = []

    def refuse(scene, embodiment, skills, starts, tier, *, faced, **_):
        faced_in_turn.append(faced)
        raise NothingToDo(scene.manifest.scene_id, "open", {part: f"before {' and '.join(faced)}" for part in PARTS})

    monkeypatch.setattr("blueprint_pipeline.job.site._build_site", refuse)
    with pytest.raises(NothingToDo) as refused:
        choose_site(scene, "franka_panda", ("open",), Film(fps=30, width=160, height=120), seed=0)
    assert faced_in_turn == [PARTS, ("chest/upper_drawer",), ("cabinet/door",), ("chest/lower_drawer",)]
    assert refused.value.reasons == {part: f"before {part}" for part in PARTS}


def test_a_part_that_did_not_pass_its_motion_test_is_left_out(scene):
    stuck = replace(scene, stuck={"cabinet/door": "let go halfway it moves on by 0.3 rad"})
    found = choose_site(stuck, "franka_panda", ("close",), Film(fps=30, width=160, height=120), seed=0)
    assert found.left_out["close"]["cabinet/door"] == "let go halfway it moves on by 0.3 rad"
    assert "cabinet/door" not in found.targets["close"]


def test_what_stands_in_the_way_is_named_and_the_task_refused(site):
    """A box before the lower drawer."""
    rng = np.random.default_rng(0)
    drawn = site.draw_start(OPEN, "chest/lower_drawer", rng)
    z = drawn.poses["green_box"].position_m[2]
    blocked = {**drawn.poses, "green_box": Pose(position_m=(-0.22, -0.02, z), quat_wxyz=(1, 0, 0, 0))}
    with pytest.raises(NotOffered, match="green_box is in its way"):
        OPEN.propose(site.place, StartState(poses=blocked, footprints=drawn.footprints), "chest/lower_drawer", rng)


def test_the_way_of_a_part_is_free_of_what_is_not_there(site):
    qpos = site.compiled.qpos_at(site.starts.settled_state(()).poses, home_qpos(site.place.embodiment))
    for joint in site.place.planner.parts.values():
        assert find_in_the_way(site.place.planner.model, qpos, joint, joint.line.limits[1]) is None


def test_start_states_spread_over_the_range_and_keep_its_way_clear(site):
    rng = np.random.default_rng(1)
    drawn = [site.draw_start(CLOSE, "chest/upper_drawer", rng) for _ in range(6)]
    line = site.place.planner.parts["chest/upper_drawer"].line
    shares = [line.positions_of(np.array([state.poses["chest/upper_drawer"].as_tuple()]))[0] / line.limits[1] for state in drawn]
    assert all(CLOSE.start_shares[0] <= share <= CLOSE.start_shares[1] for share in shares)
    assert np.ptp(shares) > 0.1
    assert len({state.poses["red_can"].position_m for state in drawn}) == 6


@pytest.mark.slow
def test_a_job_opens_and_closes_every_part(scene):
    """As planned, in the simulator: each part by both skills, nothing else moves, and the same again bit by bit."""
    plan = plan_job(scene, OPTIONS)
    twin = build_scene_model(scene.mjcf_path, plan.robot, plan.fps)
    embodiment = load_embodiment("franka_panda")
    planner = build_motion_scene(planning_copy(twin.model), embodiment, embodiment.arms[0].name, fps=30, cache_dir=scene.cache_dir)
    simulator = MujocoSimulator()
    simulator.use(twin)
    controller = SkillController(simulator=simulator, twin=twin, planner=planner)
    done = set()
    for spec in plan.episodes:
        attempt, outcome = controller.attempt(spec)
        if not outcome.success:
            continue
        done.add((spec.task.task_type, spec.task.target_object))
        poses = np.stack([row.state.object_poses for row in attempt.all_rows()])
        target = twin.object_ids.index(spec.task.target_object)
        others = np.delete(np.abs(poses - poses[0]).max(axis=(0, 2)), target)
        assert others.max() < 0.001
        assert {phase.name for phase in attempt.phases} == set(controller_phases(spec.task.task_type))
    assert len(done) >= 5
    again, _ = controller.attempt(plan.episodes[0])
    first, _ = controller.attempt(plan.episodes[0])
    assert all((a.state.qpos == b.state.qpos).all() for a, b in zip(again.all_rows(), first.all_rows(), strict=True))


def controller_phases(skill):
    return {"open": OPEN, "close": CLOSE}[skill].phases


def test_a_handle_out_of_reach_is_a_failure_with_its_reason(site):
    """The robot stands where the job put it, and the chest two metres away."""
    planner = site.place.planner
    qpos = site.compiled.qpos_at(site.starts.settled_state(()).poses, home_qpos(site.place.embodiment))
    joint = planner.parts["chest/upper_drawer"]
    far = joint.line.model_copy(update={"closed": Pose(position_m=(-3.0, 0.38, 0.72), quat_wxyz=(1, 0, 0, 0))})
    moved = replace(planner, parts={**planner.parts, joint.part: replace(joint, line=far)})
    words = {"instruction": "open it", "target_object": joint.part, "support_object": "chest"}
    with pytest.raises(PlanningFailed, match="of 60 tried"):
        next(OPEN.plan(moved, qpos, OpenTask(**words, line=far, ends_between=(0.7, 1.1), aim=0.85), seed=0))
