"""One table for openings: the same formula there and back, for fingers of any build."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from blueprint_pipeline.robot.embodiment import list_embodiments, load_embodiment
from blueprint_pipeline.robot.gripper import FingerJoint, Gripper

PANDA = load_embodiment("franka_panda").arms[0].gripper
ROBOTIQ = load_embodiment("ur10e_2f85").arms[0].gripper
GRIPPERS = [arm.gripper for embodiment in list_embodiments() for arm in embodiment.arms]


def changed(**changes: object) -> Gripper:
    """The Panda's hand with other fingers."""
    return Gripper.model_validate(PANDA.model_dump() | changes)


def mirrored() -> Gripper:
    """Two fingers whose joints move in opposite directions."""
    fingers = (FingerJoint(name="left", positions=(0.0, 0.04)), FingerJoint(name="right", positions=(0.0, -0.04)))
    return changed(fingers=fingers)


@st.composite
def grippers(draw: st.DrawFn) -> Gripper:
    """Any monotone table: rising or falling commands, some joints that measure and some that a linkage moves along."""
    rows = draw(st.integers(2, 12))
    steps = st.lists(st.floats(1e-3, 0.2), min_size=rows - 1, max_size=rows - 1)

    def column() -> tuple[float, ...]:
        values = draw(st.floats(-1, 1)) + np.concatenate([[0.0], np.cumsum(draw(steps))]) * draw(st.sampled_from([-1.0, 1.0]))
        return tuple(values.tolist())

    openings = np.concatenate([[0.0], np.cumsum(draw(steps))])
    fingers = [FingerJoint(name=f"finger{number}", positions=column(), measures=number == 0 or draw(st.booleans())) for number in range(3)]
    pad = PANDA.pad.model_copy(update={"advance_m": (0.0,) * rows})
    return changed(openings_m=tuple(openings.tolist()), ctrl=column(), fingers=fingers, pad=pad.model_dump())


@given(grippers(), st.floats(-0.2, 1.2))
@settings(deadline=None)
def test_an_opening_comes_back_from_command_and_joints(gripper: Gripper, share: float) -> None:
    """Within the table and a little beyond it, where fingers are pressed apart or together."""
    width_m = share * gripper.stroke_m
    assert gripper.width_from_ctrl(gripper.ctrl_at(width_m)) == pytest.approx(width_m, abs=1e-9)
    assert gripper.width_from_joints(gripper.joints_at(width_m)) == pytest.approx(width_m, abs=1e-9)


@given(grippers(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
@settings(deadline=None)
def test_many_openings_are_read_as_each_alone(gripper: Gripper, shares: list[float]) -> None:
    """A trajectory's openings and those of single frames are the same to the bit."""
    widths_m = np.array(shares) * gripper.stroke_m
    np.testing.assert_array_equal(gripper.ctrl_at(widths_m), [gripper.ctrl_at(width) for width in widths_m])
    np.testing.assert_array_equal(gripper.joints_at(widths_m), [gripper.joints_at(width) for width in widths_m])


def test_mirrored_joints_tell_the_opening() -> None:
    """Their positions sum to nothing, and the opening is still known."""
    gripper = mirrored()
    assert gripper.joints_at(0.06).tolist() == pytest.approx([0.03, -0.03])
    assert gripper.width_from_joints(np.array([0.03, -0.03])) == pytest.approx(0.06)


@pytest.mark.parametrize("width_m", [0.0, 0.013, 0.05, 0.08])
def test_parallel_fingers_share_the_opening(width_m: float) -> None:
    """The command is the opening, and each finger makes half of it, to the bit."""
    assert float(PANDA.ctrl_at(width_m)) == width_m
    assert PANDA.joints_at(width_m).tolist() == [0.5 * width_m, 0.5 * width_m]


def test_a_joint_that_a_linkage_moves_along_tells_nothing() -> None:
    """The fingertips of a linkage give way to what they hold; the motor's angle counts."""
    positions = ROBOTIQ.joints_at(0.04)
    given_way = positions + [0.0 if joint.measures else 0.1 for joint in ROBOTIQ.fingers]
    assert ROBOTIQ.width_from_joints(given_way) == pytest.approx(0.04)


@pytest.mark.parametrize("gripper", GRIPPERS, ids=[gripper.actuator for gripper in GRIPPERS])
def test_every_gripper_on_record_closes_and_opens(gripper: Gripper) -> None:
    assert gripper.openings_m[0] == 0.0
    assert gripper.stroke_m == gripper.openings_m[-1] > 0.05
    assert 0 < gripper.squeeze_m < gripper.stroke_m


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ctrl": (0.0, 0.04, 0.08)}, "3 values for 2 openings"),
        ({"openings_m": (0.08, 0.0)}, "from closed to wide open"),
        ({"ctrl": (0.5, 0.5)}, "ctrl neither"),
        ({"fingers": (FingerJoint(name="still", positions=(0.1, 0.1)),)}, "still neither"),
        ({"fingers": (FingerJoint(name="loose", positions=(0.1, 0.2), measures=False),)}, "no finger joint tells"),
    ],
)
def test_a_table_that_does_not_tell_the_opening_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        changed(**changes)
