"""Orders, frames and contacts between Isaac Sim and us, forth and back."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.simulation.isaac_sim.calls import ContactPoint
from blueprint_pipeline.simulation.isaac_sim.mapping import (
    RobotNotMapped,
    body_name,
    check_setpoints,
    compose,
    horizontal_aperture_mm,
    map_robot,
    poses_from_transforms,
    ramp,
    reduce_contacts,
    transforms_from_poses,
)
from blueprint_pipeline.twin.errors import WrongShape

PANDA = load_embodiment("franka_panda")
OURS = [*(joint.name for joint in PANDA.arms[0].joints), *PANDA.arms[0].gripper.joints]
WORLD = frozenset({"/World/floor", "/World/robot_pedestal"})
numbers = st.floats(-10, 10, allow_nan=False, width=32)


def robot(order=None):
    return map_robot(PANDA, order or OURS[::-1], np.array([[0, 0, 0.1, 1, 0, 0, 0.0]]))


@given(arrays(np.float64, (4, 3), elements=numbers), arrays(np.float64, (4, 4), elements=numbers))
def test_poses_come_back_from_transforms(positions, quats):
    """Wxyz to xyzw and back, to float32's precision; unit quaternions stay unit."""
    quats = quats + np.array([20.0, 0, 0, 0])
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    poses = np.concatenate([positions, quats], axis=1)
    transforms = transforms_from_poses(poses)
    assert transforms.dtype == np.float32
    assert np.array_equal(transforms[:, 6], poses[:, 3].astype(np.float32)), "w stands last at Isaac Sim"
    assert poses_from_transforms(transforms) == pytest.approx(poses, abs=1e-5)


@given(st.permutations(OURS), arrays(np.float64, (3, len(OURS)), elements=numbers))
def test_joints_come_back_from_any_order(order, values):
    mapped = robot(order)
    there = mapped.to_isaac(values)
    assert there[:, order.index("joint3")] == pytest.approx(values[:, 2].astype(np.float32))
    assert mapped.from_isaac(there[0]) == pytest.approx(values[0], abs=1e-5)


def test_other_joints_are_refused():
    with pytest.raises(RobotNotMapped, match="panda_joint1"):
        robot(["panda_joint1", *OURS[1:]])


def test_one_gripper_command_drives_both_fingers():
    mapped = robot()
    targets = mapped.targets(np.array([[0.1] * 7 + [0.06]]))
    assert targets[0] == pytest.approx([0.1] * 7 + [0.03, 0.03])
    assert mapped.ctrl_holding(targets[0]) == pytest.approx([0.1] * 7 + [0.06])
    assert mapped.actuators == tuple(f"robot/actuator{index}" for index in range(1, 9))


def test_a_ramp_ends_exactly_at_the_setpoint():
    rows = ramp(np.array([0.1, 0.0]), np.array([0.3, 1 / 3]), 16)
    assert rows.shape == (16, 2)
    assert rows[-1].tolist() == [0.3, 1 / 3]
    assert np.diff(rows[:, 0]) == pytest.approx(0.2 / 16)


def test_setpoints_of_another_width_are_refused():
    with pytest.raises(WrongShape, match=r"\(T, 8\)"):
        check_setpoints(np.zeros((3, 7)), 8)


@given(arrays(np.float64, (2, 4), elements=numbers), arrays(np.float64, (2, 3), elements=numbers))
def test_compose_is_mujocos(quats, positions):
    quats = quats + np.array([20.0, 0, 0, 0])
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    position, quat = np.zeros(3), np.zeros(4)
    mujoco.mju_mulPose(position, quat, positions[0], quats[0], positions[1], quats[1])
    found = compose(np.concatenate([positions[0], quats[0]]), np.concatenate([positions[1], quats[1]]))
    assert found == pytest.approx([*position, *quat], abs=1e-9)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/World/objects/can", "can"),
        ("/World/objects/table/collision/hull_003", "table"),
        ("/World/robot/left_finger", "robot/left_finger"),
        ("/World/robot/hand/hand_collision", "robot/hand"),
        ("/World/robot_pedestal", "world"),
        ("/World/floor", "world"),
        ("/World/background/collision/hull_000", "background"),
        ("/World/objects/robot/collision/hull_000", "robot"),
    ],
)
def test_actors_have_the_twins_names(path, name):
    assert body_name(path, WORLD) == name


def point(first, second, impulse, separation):
    return ContactPoint(actors=(first, second), normal_impulse_ns=impulse, separation_m=separation)


def test_contacts_of_a_frame_are_the_largest_of_its_steps():
    """Forces of one step add up over the points of a pair; of the steps the largest counts; depth is that of any point."""
    steps = [
        [
            point("/World/objects/can", "/World/objects/table/collision/hull_000", 0.5, -1e-4),
            point("/World/objects/table/collision/hull_001", "/World/objects/can", 0.5, 2e-5),
        ],
        [point("/World/objects/can", "/World/objects/table/collision/hull_000", 0.7, -3e-4)],
        [point("/World/objects/can", "/World/floor", 0.0, 1e-3)],
    ]
    (found,) = reduce_contacts(steps, WORLD, 0.01)
    assert (found.bodies, found.depth_m, found.force_n) == ("can|table", 3e-4, pytest.approx(100.0))


def test_bodies_that_are_only_near_do_not_touch():
    assert reduce_contacts([[point("/World/objects/can", "/World/floor", 0.0, 1e-3)]], WORLD, 0.01) == ()


def test_the_vertical_view_is_kept_by_the_horizontal_aperture():
    assert horizontal_aperture_mm(24.0, 640, 480) == 32.0
