"""Knobs are turned the way and by the angle that the sentence says, let go, and nothing else is touched."""

from dataclasses import replace

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.transforms import joint_motion
from blueprint_pipeline.job.plan_tasks import load_task_scene
from blueprint_pipeline.job.site import Film, choose_site
from blueprint_pipeline.kit.predicates import ObservedMotion
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill.contract import NotOffered
from blueprint_pipeline.skill.turn import GOALS, LEAST_RAD, WAYS, TurnTask
from blueprint_pipeline.skill.turn import SKILL as TURN
from blueprint_pipeline.twin.joint_line import JointLine
from tests.skill.part_job import assert_job_is_done

KNOBS = ("mixer/dial", "panel/knob")
FILM = Film(fps=30, width=320, height=240)
TARGET, FINGER = "panel/knob", "robot/left_finger"
ANY, QUARTER = (goal.turns_between for goal in GOALS)
LINE = JointLine(
    slides=False, axis=(0, -1, 0), anchor_m=(0.1, 0, 1), limits=(-2.4, 2.4), closed=Pose(position_m=(0, 0, 0.9), quat_wxyz=(1, 0, 0, 0))
)


@pytest.fixture(scope="module")
def scene(panel):
    """A panel and a mixer on a table, after all stages of a scene."""
    return load_task_scene(panel)


@pytest.fixture(scope="module")
def site(scene):
    return choose_site(scene, "franka_panda", ("turn",), FILM, seed=0)


def task(turn_rad, between, start=0.0):
    words = {"instruction": "turn the knob", "target_object": TARGET, "support_object": "panel"}
    return TurnTask(**words, line=LINE, starts_at=start, turn_rad=turn_rad, turns_between=between)


def motion(angles, *, width_m=None, touched=range(10, 35), by=FINGER, target=TARGET):
    """A knob that goes through angles; held in some rows, with fingers that open at the end."""
    poses = np.array([LINE.pose_at(float(angle)).as_tuple() for angle in angles])
    pair = "|".join(sorted((by, target)))
    contacts = [frozenset({pair} if row in touched else ()) for row in range(len(angles))]
    widths = np.concatenate([np.full(len(angles) - 8, 0.02), np.full(8, 0.05)]) if width_m is None else np.full(len(angles), width_m)
    return ObservedMotion(target_poses=poses, support_poses=None, gripper_width_m=widths, contacts=contacts, fps=30)


def turned(by, start=0.0):
    return [*np.full(10, start), *np.linspace(start, start + by, 25), *np.full(15, start + by)]


def missed(asked, observed):
    return [check.name for check in TURN.check(asked, observed) if not check.held]


@pytest.mark.parametrize("sign", WAYS)
@pytest.mark.parametrize("begins", [-2.3, -1.2, 0.0, 0.8])
def test_a_knob_that_went_the_said_way_was_turned_wherever_it_began(sign, begins):
    """Anywhere in its range."""
    start = sign * begins
    assert missed(task(sign * 1.0, ANY, start), motion(turned(sign * 1.0, start))) == []
    assert missed(task(sign * 1.57, QUARTER, start), motion(turned(sign * 1.6, start))) == []


@pytest.mark.parametrize(
    ("between", "observed", "name"),
    [
        (ANY, motion(turned(-1.0)), "turned_enough"),
        (ANY, motion(turned(LEAST_RAD - 0.02)), "turned_enough"),
        (ANY, motion([*turned(1.0)[:35], *np.linspace(1.0, 0.1, 15), *np.full(10, 0.1)]), "turned_enough"),
        (QUARTER, motion(turned(1.2)), "turned_enough"),
        (QUARTER, motion(turned(2.0)), "not_too_far"),
        (QUARTER, motion(turned(-1.57)), "turned_enough"),
        (ANY, motion(turned(1.0), touched=range(10, 50)), "untouched"),
        (ANY, motion(turned(1.0), width_m=0.02), "released"),
        (ANY, motion(np.linspace(0, 1.5, 50)), "at_rest"),
        (ANY, motion(turned(1.0), target="panel/red_button"), "nothing_else_touched"),
    ],
    ids=["wrong way", "hardly", "and back", "too little", "too far", "a quarter the wrong way", "held", "never let go", "moving", "bumped"],
)
def test_each_condition_can_fail(between, observed, name):
    assert name in missed(task(1.0 if between == ANY else 1.57, between), observed)


def test_a_knob_that_was_only_held_was_not_turned():
    assert missed(task(1.0, ANY), motion(np.zeros(50))) == ["turned_enough"]


def test_clockwise_is_as_seen_by_who_looks_at_the_face():
    """The axis points to who looks; a mark at the top goes to the right."""
    to_viewer = np.array(LINE.axis)
    moved = joint_motion(to_viewer, np.zeros(3), -0.3, slides=False)[:3, :3] @ (0, 0, 1)
    rightwards = np.cross((0, 0, 1), to_viewer)
    assert "clockwise" in WAYS[-1]
    assert moved @ rightwards > 0


def test_the_sentence_says_where_the_knob_goes(site):
    """Direction, angle and name, in the instruction and in every paraphrase; of both directions and both angles over some start states."""
    rng, seen = np.random.default_rng(0), set()
    for number in range(24):
        target = KNOBS[number % 2]
        try:
            asked = TURN.propose(site.place, site.draw_start(TURN, target, rng), target, rng)
        except NotOffered:
            continue
        other = WAYS[-asked.sign]
        for sentence in (asked.instruction, *asked.paraphrases):
            words = sentence.replace("counterclockwise", "counter-clock-wise") if asked.sign < 0 else sentence
            assert any(way in words for way in WAYS[asked.sign])
            assert not any(f" {way}" in f" {words}" for way in other)
            assert ("quarter" in sentence) == (asked.turns_between == QUARTER)
        low, high = asked.line.limits
        assert low < asked.end_position < high
        assert asked.turns_between[0] < abs(asked.turn_rad) < (asked.turns_between[1] or np.inf)
        seen.add((asked.sign, asked.turns_between))
    assert seen == {(sign, between) for sign in WAYS for between in (ANY, QUARTER)}


def test_every_knob_is_a_target_and_a_button_is_none(site):
    assert site.targets == {"turn": KNOBS}
    assert site.left_out == {
        "turn": dict.fromkeys(("mixer/blue_switch", "panel/green_button", "panel/red_button"), "it is a button, which is pressed")
    }


def test_knobs_begin_anywhere_in_their_range(site):
    for part, joint in ((part, site.place.planner.parts[part]) for part in KNOBS):
        assert site.start_range(TURN, part) == joint.line.limits
    rng = np.random.default_rng(1)
    poses = [site.draw_start(TURN, TARGET, rng).poses[TARGET].as_tuple() for _ in range(8)]
    assert np.ptp(site.place.planner.parts[TARGET].line.positions_of(np.array(poses))) > 1.5


def test_a_bar_is_held_across_and_a_round_knob_anywhere(site):
    """Never aslant: fingers that close on a bar aslant would turn it."""
    bar, dial = (site.place.planner.handle_of(part).grasps for part in ("panel/knob", "mixer/dial"))
    assert sorted(np.round(bar.width_m, 3)) == [0.02, 0.068]
    assert len(dial) > 10
    assert np.ptp(dial.width_m) < 0.002
    for part, grasps in (("panel/knob", bar), ("mixer/dial", dial)):
        handle = site.place.planner.handle_of(part).handle
        np.testing.assert_allclose(grasps.pose_object_tcp[:, :3, 2], np.tile(-handle.outward, (len(grasps), 1)), atol=1e-6)


def test_a_knob_wider_than_the_gripper_is_left_out(site):
    """With a gripper that opens by 4 cm the dial cannot be spanned, and the bar can."""
    from blueprint_pipeline.motion.handles import in_part_frame
    from blueprint_pipeline.motion.knob_grips import find_grips
    from blueprint_pipeline.motion.surface import object_surface

    planner = site.place.planner
    small = planner.arm.gripper.model_copy(update={"openings_m": (0.0, 0.04)})
    found = {
        part: find_grips(object_surface(planner.model, part), planner.handle_of(part).handle, in_part_frame(planner.parts[part]), small)
        for part in KNOBS
    }
    assert {part: len(grasps) for part, grasps in found.items()} == {"mixer/dial": 0, "panel/knob": 1}


def test_a_knob_out_of_reach_is_a_failure_with_its_reason(site):
    """The robot stands where the job put it, and the panel two metres away."""
    planner = site.place.planner
    qpos = site.compiled.qpos_at(site.starts.settled_state(()).poses, home_qpos(site.place.embodiment))
    joint = planner.parts[TARGET]
    far = joint.line.model_copy(update={"closed": Pose(position_m=(-3.0, 0.38, 0.72), quat_wxyz=(1, 0, 0, 0)), "anchor_m": (-3, 0.38, 0.8)})
    moved = replace(planner, parts={**planner.parts, TARGET: replace(joint, line=far)})
    asked = task(1.0, ANY).model_copy(update={"line": far})
    with pytest.raises(PlanningFailed, match="out of the arm's reach"):
        next(TURN.plan(moved, qpos, asked, seed=0))


@pytest.mark.slow
def test_a_job_turns_every_knob(scene):
    """As planned, in the simulator: by the angle that was aimed at, nothing else moves, and the same again bit by bit."""

    def check(turned, poses):
        start, end = turned.line.positions_of(poses[[0, -1]])
        assert end - start == pytest.approx(turned.turn_rad, abs=0.06)

    assert_job_is_done(scene, "turn", set(KNOBS), check)
