"""The Fourier GR1T2 against its maker's URDF, and its hand's pinch."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from tests.robot.pinch import Standing, assert_mirrored, assert_pinch, stand

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
def standing() -> Standing:
    """The robot at home."""
    return stand(GR1T2)


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


def test_to_work_the_right_arm_mirrors_the_left_one(standing) -> None:
    assert_mirrored(standing, MIRROR)


@pytest.mark.parametrize("side", ["left", "right"])
def test_thumb_and_index_finger_face_each_other_as_far_apart_as_the_record_says(standing, side) -> None:
    """At every opening of the table: half a millimetre, the tool centre point between them, and flats that lean by 23 degrees at most."""
    pads = [f"{ROBOT_PREFIX}{side[0].upper()}_{finger}_pad" for finger in ("thumb", "index")]
    assert_pinch(standing, side, pads, thumb_faces=1, aside_m=0.003, lean_deg=23.0)
