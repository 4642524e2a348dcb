"""The lower body carries the trunk to where the twin has it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.genie_sim.errors import RobotCannotStand
from blueprint_pipeline.simulation.genie_sim.robots import genie_robot, genie_robot_names, stance_of

ANKLE_M, SHIN_M, THIGH_M, TRUNK_M, LEAN_RAD = (0.102, 0.144), 0.36, 0.38, 0.022006, 0.261
"""Source: G2_omnipicker_fixed_dual.urdf; ``agibot_g2.xml`` has its trunk so far below its base, and leaning so."""


def placed(position_m, yaw_rad=0.0):
    quat = (np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2))
    return RobotPlacement(embodiment="agibot_g2", base_pose=Pose(position_m=position_m, quat_wxyz=tuple(map(float, quat))))


@given(x=st.floats(-2, 2), y=st.floats(-2, 2), height=st.floats(0.52, 0.9), yaw=st.floats(-3.1, 3.1))
def test_the_trunk_is_where_the_twin_has_it(x, y, height, yaw):
    """Forward along base, ankle, knee and hip."""
    stance = stance_of(genie_robot("agibot_g2"), placed((x, y, height), yaw))
    ankle, knee, hip = stance.joints_rad.values()
    thigh = ankle + knee
    local = (
        ANKLE_M[0] + SHIN_M * np.sin(ankle) + THIGH_M * np.sin(thigh),
        0,
        ANKLE_M[1] + SHIN_M * np.cos(ankle) + THIGH_M * np.cos(thigh),
    )
    turn = Rotation.from_quat(stance.base_pose.quat_wxyz, scalar_first=True)
    assert -1.06 <= ankle <= 0 <= knee <= 2.65
    assert -1.91 <= hip <= 1.57
    np.testing.assert_allclose(np.array(stance.base_pose.position_m) + turn.apply(local), (x, y, height - TRUNK_M), atol=1e-9)
    assert stance.base_pose.position_m[2] == 0.0
    assert thigh + hip == pytest.approx(LEAN_RAD)


@pytest.mark.parametrize("height", [0.1, 0.2, 0.93, 2.0])
def test_where_its_legs_do_not_carry_it_it_does_not_stand(height):
    with pytest.raises(RobotCannotStand):
        stance_of(genie_robot("agibot_g2"), placed((0.0, 0.0, height)))


@pytest.mark.parametrize("name", genie_robot_names())
def test_every_robot_has_the_arms_of_its_record(name):
    assert set(genie_robot(name).fingers) == {arm.name for arm in load_embodiment(name).arms}
