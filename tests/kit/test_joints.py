"""How far a drawer or a door is open, by its pose, with NumPy alone."""

import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.kit.predicates import MEASURES, ObservedMotion
from blueprint_pipeline.twin.joint_line import JointLine

CLOSED = Pose(position_m=(1.0, 0.2, 0.5), quat_wxyz=(0.8, 0.0, 0.0, 0.6))
DRAWER = JointLine(slides=True, axis=(0.6, -0.8, 0.0), anchor_m=(1.0, 0.0, 0.5), limits=(0.0, 0.3), closed=CLOSED)
DOOR = JointLine(slides=False, axis=(0.0, 0.0, -1.0), anchor_m=(0.8, 0.0, 0.5), limits=(0.0, 2.0), closed=CLOSED)


def motion_of(line, shares):
    poses = np.array([line.pose_at(line.position_at(share)).as_tuple() for share in shares])
    count = len(shares)
    return ObservedMotion(target_poses=poses, support_poses=None, gripper_width_m=np.zeros(count), contacts=[frozenset()] * count, fps=30)


@pytest.mark.parametrize("line", [DRAWER, DOOR], ids=["drawer", "door"])
def test_measures_of_a_part(line):
    """Where it ends, how far it came, and how fast it still moves, as shares of its way; whatever sign the quaternions have."""
    motion = motion_of(line, [0.1, 0.2, 0.75, 0.8, 0.81])
    motion.target_poses[2:, 3:] *= -1
    joint = line.as_measure()
    assert MEASURES["end_share"](motion, **joint) == pytest.approx(0.81)
    assert MEASURES["moved_share"](motion, **joint) == pytest.approx(0.71)
    assert MEASURES["end_pace"](motion, frames=2, **joint) == pytest.approx(0.05 * 30)
    assert MEASURES["end_pace"](motion, frames=1, **joint) == pytest.approx(0.01 * 30)


def test_a_hinge_is_told_beyond_half_a_turn():
    wide = DOOR.model_copy(update={"limits": (0.0, 4.0)})
    assert MEASURES["end_share"](motion_of(wide, [0.0, 0.95]), **wide.as_measure()) == pytest.approx(0.95)


def test_a_part_pressed_beyond_its_end_is_below_zero():
    assert MEASURES["end_share"](motion_of(DRAWER, [0.5, -0.01]), **DRAWER.as_measure()) == pytest.approx(-0.01)
