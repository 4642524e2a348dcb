"""The conditions of a pick-and-place: each can hold and can fail."""

import numpy as np
import pytest

from blueprint_pipeline.kit.predicates import ObservedMotion, tilt_rad
from blueprint_pipeline.skill.pick_place import SKILL, PickPlaceTask
from tests.regions import square_about

TASK = PickPlaceTask(
    instruction="move the can to the left side of the table",
    target_object="can",
    support_object="table",
    region_m=square_about(0.3, 0.2, 0.1),
    center_object_m=(0.0, 0.0, -0.06),
    goal_position_m=(0.3, 0.2, 0.76),
    upright=True,
)
FRAMES = 60


def motion(**changes: object) -> ObservedMotion:
    """A perfect pick-and-place, with some of it changed."""
    poses = np.tile([0.0, 0.0, 0.76, 1.0, 0.0, 0.0, 0.0], (FRAMES + 1, 1))
    poses[20:40, 2] += 0.12
    poses[30:, :2] = (0.305, 0.2)
    touch = ("can|robot/left_finger",)
    rest = ("can|table",)
    facts: dict[str, object] = {
        "target_poses": poses,
        "support_poses": None,
        "gripper_width_m": np.where(np.arange(FRAMES + 1) < 40, 0.06, 0.08),
        "fps": 30,
        "contacts": tuple(touch if 10 < frame < 40 else rest for frame in range(FRAMES + 1)),
    }
    return ObservedMotion(**{**facts, **changes})


def failed(observed: ObservedMotion) -> set[str]:
    return {check.name for check in SKILL.check(TASK, observed) if not check.held}


def test_a_clean_motion_holds_everywhere() -> None:
    """All conditions hold, each with its value and limit."""
    checks = SKILL.check(TASK, motion())
    assert [check.name for check in checks] == ["lifted", "in_region", "on_support", "upright", "released", "at_rest", "untouched"]
    assert all(check.held for check in checks)
    assert {check.name: check.value for check in checks}["in_region"] == pytest.approx(0.095)


def test_anywhere_in_the_region_is_where_the_sentence_says() -> None:
    """The spot that a demonstration aims at does not count: one corner is as good as the other."""
    for corner in square_about(0.3, 0.2, 0.09):
        poses = motion().target_poses.copy()
        poses[30:, :2] = corner
        assert failed(motion(target_poses=poses)) == set()


def test_pushed_object_was_not_lifted() -> None:
    """An object that slid to its goal fails."""
    poses = motion().target_poses.copy()
    poses[:, 2] = 0.76
    assert failed(motion(target_poses=poses)) == {"lifted"}


def test_object_outside_of_the_region_or_below_it_fails() -> None:
    """Its middle a centimetre outside, or on the floor under the region."""
    beside, below = motion().target_poses.copy(), motion().target_poses.copy()
    beside[30:, 0] = 0.41
    below[45:, 2] = 0.06
    assert failed(motion(target_poses=beside)) == {"in_region"}
    assert failed(motion(target_poses=below)) == {"on_support"}


def test_fallen_object_is_not_upright() -> None:
    """Turned about a level axis; turning about the vertical is allowed."""
    fallen, turned = motion().target_poses.copy(), motion().target_poses.copy()
    fallen[-1, 3:] = (np.cos(0.4), np.sin(0.4), 0.0, 0.0)
    turned[-1, 3:] = (np.cos(0.4), 0.0, 0.0, np.sin(0.4))
    assert failed(motion(target_poses=fallen)) == {"upright"}
    assert failed(motion(target_poses=turned)) == set()


def test_closed_gripper_did_not_release() -> None:
    """The opening at the end is that of the grasp."""
    assert failed(motion(gripper_width_m=np.full(FRAMES + 1, 0.06))) == {"released"}


def test_rolling_object_is_not_at_rest() -> None:
    """A speed in the last frames counts, one in the middle does not."""
    assert motion().target_speed_m_s.max() > 1.0
    poses = motion().target_poses.copy()
    poses[-2:, 0] += 0.05 / 30
    assert failed(motion(target_poses=poses)) == {"at_rest"}


def test_object_that_hangs_on_the_finger_is_touched() -> None:
    """A contact with the robot at the end fails, whichever name comes first."""
    contacts = list(motion().contacts)
    contacts[-3] = ("can|robot/hand",)
    assert failed(motion(contacts=contacts)) == {"untouched"}


def test_tilt_is_the_angle_from_the_start() -> None:
    """Also where the object's own axes were never upright."""
    lying = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])
    assert tilt_rad(lying, lying) == pytest.approx(0.0)
    assert tilt_rad(lying, np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx(np.pi / 2)
