"""The Fourier GR1T2 against its maker's URDF, and its hand's pinch."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.twin.binding import RobotBinding, bind_robot
from blueprint_pipeline.twin.mount import mount

GR1T2 = load_embodiment("fourier_gr1t2")
PELVIS_M = (0.0, 0.0, 0.17)
MIRROR = np.array([1, -1, -1, 1, -1, -1, 1])
FINGERTIPS_BEYOND_PELVIS = [
    ((0, 0, 0, 0, 0, 0, 0), (-0.0929, 0.1942, -0.2127), (-0.1541, -0.892, -0.4249), (-0.0757, 0.1411, -0.1571)),
    ((-0.3, 0.6, 0.4, -0.9, 0.8, -0.3, 0.4), (0.4417, 0.4773, 0.0182), (0.6603, -0.748, -0.0673), (0.4167, 0.4225, 0.0689)),
    ((-1.2, 0.3, -0.5, -1.6, -1.1, 0.5, -0.3), (0.4148, -0.0929, 0.4019), (0.4499, -0.8734, -0.1868), (0.4518, -0.0833, 0.3331)),
]
"""Joints of the left arm; seen from the pelvis, where the index finger's last link is and points, and where the thumb's is.

Source: fourier-robot-descriptions 0.2.7, gr1t2_fourier_hand_6dof.urdf as it is, its waist leaning forward by 0.3 rad, and fingers as below.
"""
FINGERS_RAD = {"index_proximal": -0.6, "index_intermediate": -0.5, "thumb_proximal_pitch": 0.5, "thumb_distal": 0.4}
"""The thumb is turned by -1.56 rad, as in the model it always is."""


@pytest.fixture
def standing() -> tuple[mujoco.MjModel, mujoco.MjData, RobotBinding]:
    """The robot as it is mounted before a support of 0.8 m, at home."""
    spec = mujoco.MjSpec()
    mount(spec, GR1T2, Pose(position_m=(0, 0, 0.8), quat_wxyz=(1, 0, 0, 0)))
    model = spec.compile()
    data, robot = mujoco.MjData(model), bind_robot(model, GR1T2)
    robot.place(data, home_qpos(GR1T2))
    mujoco.mj_forward(model, data)
    return model, data, robot


@pytest.mark.parametrize(("left_rad", "index_m", "along", "thumb_m"), FINGERTIPS_BEYOND_PELVIS)
def test_both_hands_are_where_the_maker_has_them(standing, left_rad, index_m, along, thumb_m) -> None:
    model, data, robot = standing
    for arm, side, mirrored in zip(robot.arms, "LR", (1, -1), strict=True):
        data.qpos[arm.qpos] = np.array(left_rad) * (1 if mirrored > 0 else MIRROR)
        for name, bent_rad in FINGERS_RAD.items():
            data.qpos[model.joint(f"{ROBOT_PREFIX}{side}_{name}_joint").qposadr] = bent_rad
        mujoco.mj_kinematics(model, data)
        index, thumb = (data.body(f"{ROBOT_PREFIX}{side}_{link}_link") for link in ("index_intermediate", "thumb_distal"))
        for body, place_m in ((index, index_m), (thumb, thumb_m)):
            np.testing.assert_allclose(body.xpos - (0, 0, 0.8) - PELVIS_M, np.array(place_m) * (1, mirrored, 1), atol=4e-4)
        np.testing.assert_allclose(index.xmat.reshape(3, 3)[:, 0], np.array(along) * (1, mirrored, 1), atol=3e-3)


def test_at_home_it_touches_nothing_of_itself_and_the_acting_hand_points_down(standing) -> None:
    _, data, robot = standing
    assert data.ncon == 0
    np.testing.assert_allclose(data.site_xmat[robot.arms[0].tool_site].reshape(3, 3)[:, 2], (0, 0, -1), atol=1e-2)
    _, y, z = data.site_xpos[robot.arms[1].tool_site]
    assert y < -0.3, "the resting arm keeps to its side"
    assert z > 0.8 + 0.15, "and above what stands on the support"


@pytest.mark.parametrize("side", ["left", "right"])
def test_thumb_and_index_finger_face_each_other_as_far_apart_as_the_record_says(standing, side) -> None:
    """At every opening of the table: half a millimetre, the tool centre point between them, and flats that lean by 23 degrees at most."""
    model, data, robot = standing
    arm = robot.arms[("left", "right").index(side)]
    pads = [model.geom(f"{ROBOT_PREFIX}{side[0].upper()}_{finger}_pad").id for finger in ("thumb", "index")]
    for width_m in arm.arm.gripper.openings_m:
        data.qpos[arm.finger_qpos] = arm.arm.gripper.joints_at(width_m)
        mujoco.mj_kinematics(model, data)
        assert mujoco.mj_geomDistance(model, data, *pads, 1.0, None) == pytest.approx(width_m, abs=5e-4)
        rotation = data.site_xmat[arm.tool_site].reshape(3, 3)
        middle_m = rotation.T @ (data.geom_xpos[pads].mean(axis=0) - data.site_xpos[arm.tool_site])
        assert np.abs(middle_m[:2]).max() < 0.003
        assert middle_m[2] == pytest.approx(float(arm.arm.gripper.advance_at(width_m)), abs=5e-4)
        thumb, index = (data.geom_xmat[pad].reshape(3, 3)[:, 1] @ rotation[:, 1] for pad in pads)
        assert min(thumb, -index) > np.cos(np.radians(23.0))
