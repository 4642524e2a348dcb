"""Buttons are pressed by the robot, once, far enough, and left; anything else is not what the sentence says."""

from dataclasses import replace

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.job.plan_tasks import load_task_scene
from blueprint_pipeline.job.site import Film, choose_site
from blueprint_pipeline.kit.predicates import ObservedMotion
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill.contract import NotOffered
from blueprint_pipeline.skill.instruction import NamedObject
from blueprint_pipeline.skill.part_words import NamedPart, part_phrases
from blueprint_pipeline.skill.press import BACK_SHARE, PRESSED_SHARE, PressTask
from blueprint_pipeline.skill.press import SKILL as PRESS
from blueprint_pipeline.twin.joint_line import JointLine
from tests.skill.part_job import assert_job_is_done

BUTTONS = ("mixer/blue_switch", "panel/green_button", "panel/red_button")
FILM = Film(fps=30, width=320, height=240)
TARGET, FINGER = "panel/red_button", "robot/left_finger"
LINE = JointLine(
    slides=True, axis=(0, 1, 0), anchor_m=(0, 0, 1), limits=(0, 0.008), closed=Pose(position_m=(0, 0, 1), quat_wxyz=(1, 0, 0, 0))
)
RED, GREEN, GREY = np.array([0.8, 0.1, 0.1]), np.array([0.1, 0.6, 0.15]), np.array([0.5, 0.5, 0.5])


@pytest.fixture(scope="module")
def scene(panel):
    """A panel and a mixer on a table, after all stages of a scene."""
    return load_task_scene(panel)


@pytest.fixture(scope="module")
def site(scene):
    return choose_site(scene, "franka_panda", ("press",), FILM, seed=0)


def task(*, springs_back=True):
    words = {"instruction": "press the red button", "target_object": TARGET, "support_object": "panel"}
    return PressTask(**words, line=LINE, springs_back=springs_back)


def motion(shares, by=FINGER, touched=TARGET, *, also=()):
    """A button that goes through shares of its way; whoever is named touches what is named while it is in, and in rows ``also``."""
    shares = np.asarray(shares, dtype=float)
    poses = np.array([LINE.pose_at(LINE.position_at(share)).as_tuple() for share in shares])
    pair = "|".join(sorted((by, touched)))
    contacts = [frozenset({pair} if share > 0.01 or row in also else ()) for row, share in enumerate(shares)]
    return ObservedMotion(target_poses=poses, support_poses=None, gripper_width_m=np.zeros(len(shares)), contacts=contacts, fps=30)


def push(depth, end=0.0):
    return [*np.zeros(10), *np.linspace(0, depth, 10), *np.linspace(depth, end, 10), *np.full(15, end)]


def missed(asked, observed):
    return [check.name for check in PRESS.check(asked, observed) if not check.held]


def test_a_button_that_was_pushed_by_the_hand_and_came_back_was_pressed():
    assert missed(task(), motion(push(0.95))) == []


@pytest.mark.parametrize("share", [PRESSED_SHARE + 0.01, 0.8, 1.0, 1.1])
def test_how_far_beyond_its_point_it_goes_does_not_matter(share):
    assert missed(task(), motion(push(share))) == []


@pytest.mark.parametrize(
    ("observed", "name"),
    [
        (motion(push(0.6)), "pressed"),
        (motion(push(0.95), by="red_can"), "pressed"),
        (motion(np.zeros(45), also=range(10, 20)), "pressed"),
        (motion([*push(0.95), *push(0.95)]), "pressed_once"),
        (motion(push(0.95, end=0.0)[:-15] + [0.4] * 15), "came_back"),
        (motion([*push(0.95)[:-15], *np.linspace(0.0, 0.2, 15)]), "at_rest"),
        (motion(push(0.95), also=range(42, 45)), "untouched"),
    ],
    ids=["half", "by a can", "stroked", "twice", "stuck", "moving", "still touched"],
)
def test_each_condition_can_fail(observed, name):
    assert name in missed(task(), observed)


def test_one_press_is_one_though_the_button_trembles_while_it_is_in():
    shares = [*np.zeros(5), *np.linspace(0, 0.95, 10), 0.95, 0.66, 0.95, 0.6, 0.9, *np.linspace(0.9, 0, 10), *np.zeros(10)]
    assert missed(task(), motion(shares)) == []


def test_another_button_pressed_is_not_the_one_that_was_said():
    """The red one stays out, though the hand does everything else; touching a second one beside the right one counts, too."""
    other = motion(push(0.95), touched="panel/green_button")
    still = replace(other, target_poses=np.tile(other.target_poses[0], (len(other.target_poses), 1)))
    assert {"pressed", "nothing_else_touched"} <= set(missed(task(), still))
    both = motion(push(0.95))
    contacts = [*both.contacts[:20], frozenset({f"panel/green_button|{FINGER}"}), *both.contacts[21:]]
    assert missed(task(), replace(both, contacts=contacts)) == ["nothing_else_touched"]


def test_touching_the_table_counts_and_the_robot_itself_does_not():
    once = motion(push(0.95))
    for pair, expected in (("robot/hand|table", ["nothing_else_touched"]), ("robot/left_finger|robot/right_finger", [])):
        assert missed(task(), replace(once, contacts=[once.contacts[0] | {pair}, *once.contacts[1:]])) == expected


def test_a_switch_that_stays_must_stay_in():
    asked = task(springs_back=False)
    assert missed(asked, left_in()) == []
    assert missed(asked, motion(push(0.95))) == ["stays_in"]


def left_in():
    """Pushed in, and left there."""
    pushed = motion([*push(0.95)[:20], *np.full(20, 0.95)])
    return replace(pushed, contacts=[*pushed.contacts[:22], *[frozenset()] * 18])


def test_limits_leave_room_between_pressed_and_released():
    assert 0 < BACK_SHARE < PRESSED_SHARE < 1


def named(name, place, colour=None, drawn=None, owner="panel"):
    who = NamedObject(object_id=name.split("/")[0], noun=owner, colour=None)
    return NamedPart(name=name, owner=who, middle_m=np.array(place), colour=colour, drawn_rgb=drawn)


def as_seen(points):
    """From the front: x is away from who looks, y to the left."""
    return points


def test_buttons_are_told_by_colour_and_by_side():
    found = part_phrases(
        [named("panel/red_button", (0, 0.2, 1), "red", RED), named("panel/green_button", (0, 0, 1), "green", GREEN)], as_seen
    )
    assert found["panel/red_button"][0] == "left button"
    assert "red button of the panel" in found["panel/red_button"]
    assert "right button" in found["panel/green_button"]


def test_a_colour_that_another_one_has_too_tells_nothing():
    """Though its author did not call the other one red."""
    row = [named(f"panel/{name}", (0, y, 1), colour, RED) for name, y, colour in (("red_button", 0, "red"), ("big_button", 0.01, None))]
    assert part_phrases(row, as_seen) == {}


def test_of_four_in_a_square_colour_tells_which():
    drawn = [("red", RED), ("green", GREEN), (None, GREY), (None, GREY)]
    square = [
        named(f"panel/{colour or index}_button", (0, index % 2, 1 + index // 2), colour, rgb) for index, (colour, rgb) in enumerate(drawn)
    ]
    found = part_phrases(square, as_seen)
    assert set(found) == {"panel/red_button", "panel/green_button"}
    assert found["panel/red_button"] == ("red button", "red button of the panel")


def test_red_buttons_of_two_panels_name_their_panel():
    parts = [named("panel/red_button", (0, 0, 1), "red", RED), named("desk/red_button", (0, 1, 1), "red", RED, owner="desk")]
    found = part_phrases(parts, as_seen)
    assert "red button of the desk" in found["desk/red_button"]
    assert "red button" not in found["desk/red_button"]


def test_every_button_is_a_target_and_a_knob_is_none(site):
    assert site.targets == {"press": BUTTONS}
    assert site.left_out == {"press": dict.fromkeys(("mixer/dial", "panel/knob"), "it is a knob, which is turned")}


def propose_any(site, target):
    """A task for a button in the first start state that has one."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        try:
            return PRESS.propose(site.place, site.draw_start(PRESS, target, rng), target, rng)
        except NotOffered:
            continue
    raise AssertionError(target)


def test_sentences_name_the_button_and_what_it_does(site):
    said = {}
    for target in BUTTONS:
        asked = propose_any(site, target)
        said[target] = {asked.instruction, *asked.paraphrases}
        assert len(asked.paraphrases) == 4
        assert asked.springs_back == target.startswith("panel")
    phrases = site.place.parts["panel/red_button"].phrases
    assert all(any(phrase in sentence for phrase in phrases) for sentence in said["panel/red_button"])
    assert not any("once" in sentence for sentence in said["mixer/blue_switch"])


def test_a_button_that_did_not_pass_its_motion_test_is_left_out(scene):
    stuck = replace(scene, stuck={"panel/red_button": "let go it springs back to 0.003 m only"})
    found = choose_site(stuck, "franka_panda", ("press",), FILM, seed=0)
    assert found.left_out["press"]["panel/red_button"] == "let go it springs back to 0.003 m only"
    assert "panel/red_button" not in found.targets["press"]


def test_a_button_out_of_reach_is_a_failure_with_its_reason(site):
    """The robot stands where the job put it, and the panel two metres away."""
    planner = site.place.planner
    qpos = site.compiled.qpos_at(site.starts.settled_state(()).poses, home_qpos(site.place.embodiment))
    joint = planner.parts[TARGET]
    far = joint.line.model_copy(update={"closed": Pose(position_m=(-3.0, 0.38, 0.72), quat_wxyz=(1, 0, 0, 0))})
    moved = replace(planner, parts={**planner.parts, TARGET: replace(joint, line=far)})
    words = {"instruction": "press it", "target_object": TARGET, "support_object": "panel"}
    with pytest.raises(PlanningFailed, match="out of the arm's reach"):
        next(PRESS.plan(moved, qpos, PressTask(**words, line=far, springs_back=True), seed=0))


def test_a_button_with_something_before_it_is_not_offered(site):
    """The green box, in the air right before the red button."""
    rng = np.random.default_rng(0)
    drawn = site.draw_start(PRESS, TARGET, rng)
    face = site.place.planner.handle_of(TARGET).handle
    x, y, z = face.face_m + 0.05 * face.outward + site.place.planner.parts[TARGET].line.closed.position_m
    blocked = {**drawn.poses, "green_box": Pose(position_m=(x, y, z - 0.045), quat_wxyz=(1, 0, 0, 0))}
    with pytest.raises(NotOffered, match="no way to handle"):
        PRESS.propose(site.place, replace(drawn, poses=blocked), TARGET, rng)


@pytest.mark.slow
def test_a_job_presses_every_button(scene):
    """As planned, in the simulator: each goes in and comes back, or stays, nothing else moves, and the same again bit by bit."""
    assert_job_is_done(scene, "press", set(BUTTONS))
