"""The AGIBOT G2 against the table that its maker publishes."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.twin.binding import RobotBinding, bind_robot
from blueprint_pipeline.twin.mount import PEDESTAL, mount

G2 = load_embodiment("agibot_g2")
MIRROR = np.array([-1, 1, -1, 1, -1, 1, -1])
HAND_BEYOND_HIP = [
    ((0, 0, 0, 0, 0, 0, 0), (0.1181, 1.0757, 0.4420), (0.0, 1.0, 0.0)),
    ((0.739033, -0.717023, -1.524419, -1.537612, 0.27811, -0.925845, -0.839257), (0.6455, 0.2859, 0.3917), (0.5659, -0.8012, -0.1944)),
    ((0.5264, -0.5189, -1.0938, -1.5954, -1.1488, 0.3386, -1.1805), (0.5565, 0.1971, 0.4446), (0.1371, -0.9900, -0.0320)),
]
"""Joints of the left arm; where the URDF has ``gripper_l_center_link``, seen from the hip, and its approach; the trunk leans by 0.261 rad.

Source: AgibotTech/genie_sim, G2_omnipicker_fixed_dual.urdf, loaded as it is; the second and third are start poses of its benchmark.
"""
HIP_M = (0.0, 0.0, -0.022)


@pytest.fixture
def standing() -> tuple[mujoco.MjModel, mujoco.MjData, RobotBinding]:
    """The robot as it is mounted before a support of 0.8 m, at home."""
    spec = mujoco.MjSpec()
    mount(spec, G2, Pose(position_m=(0, 0, 0.8), quat_wxyz=(1, 0, 0, 0)))
    model = spec.compile()
    data, robot = mujoco.MjData(model), bind_robot(model, G2)
    robot.place(data, home_qpos(G2))
    mujoco.mj_forward(model, data)
    return model, data, robot


@pytest.mark.parametrize(("left_rad", "hand_m", "approach"), HAND_BEYOND_HIP)
def test_both_hands_are_where_the_maker_has_them(standing, left_rad, hand_m, approach) -> None:
    model, data, robot = standing
    for arm, joints, mirrored in zip(robot.arms, (np.array(left_rad), MIRROR * left_rad), (1, -1), strict=True):
        data.qpos[arm.qpos] = joints
        mujoco.mj_kinematics(model, data)
        tool_m, axis = data.site_xpos[arm.tool_site], data.site_xmat[arm.tool_site].reshape(3, 3)[:, 2]
        np.testing.assert_allclose(tool_m - (0, 0, 0.8) - HIP_M, np.array(hand_m) * (1, mirrored, 1), atol=2e-4)
        np.testing.assert_allclose(axis, np.array(approach) * (1, mirrored, 1), atol=2e-4)


def test_at_home_it_touches_nothing_of_itself_and_the_acting_hand_points_down(standing) -> None:
    model, data, robot = standing
    assert data.ncon == 0
    np.testing.assert_allclose(data.site_xmat[robot.arms[0].tool_site].reshape(3, 3)[:, 2], (0, 0, -1), atol=2e-3)
    assert PEDESTAL in [model.geom(index).name for index in range(model.ngeom)], "the lower body's stand-in"


def test_the_resting_arm_is_no_obstacle_to_the_acting_one(standing) -> None:
    """It keeps to its side and above what stands on the support."""
    _, data, robot = standing
    _, y, z = data.site_xpos[robot.arms[1].tool_site]
    assert y < -0.3
    assert z > 0.8 + 0.3


@pytest.mark.parametrize("width_m", [0.0, 0.03, 0.1])
def test_the_pads_stand_as_far_apart_as_the_record_says(standing, width_m) -> None:
    model, data, robot = standing
    arm = robot.arms[0]
    data.qpos[arm.finger_qpos] = arm.arm.gripper.joints_at(width_m)
    mujoco.mj_kinematics(model, data)
    pads = [model.geom(f"{ROBOT_PREFIX}gripper_l_{side}_pad").id for side in ("outer", "inner")]
    assert mujoco.mj_geomDistance(model, data, *pads, 1.0, None) == pytest.approx(width_m, abs=1e-6)
    tool_m = data.site_xpos[arm.tool_site]
    np.testing.assert_allclose(data.geom_xpos[pads].mean(axis=0), tool_m, atol=1e-6)
