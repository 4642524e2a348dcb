"""A camera is turned and zoomed so that what it should show fills its picture."""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.robot.placement import RobotPlacement, View
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.twin.view import MARGIN, NARROWEST_DEG, WIDEST_DEG, aim_at
from tests.simulation.small_scene import write_scene

ASPECT = 4 / 3
ANYWHERE = st.tuples(*[st.floats(-3, 3)] * 3)


def seen(view, points):
    """Where points are in the picture: -1 to 1 across and up, and how far before the camera."""
    local = (points - np.array(view.position_m)) @ rotation_from_quat(np.array(view.quat_wxyz))
    half = np.tan(np.radians(view.fovy_deg) / 2)
    return local[:, 0] / -local[:, 2] / half / ASPECT, local[:, 1] / -local[:, 2] / half, -local[:, 2]


@given(position=ANYWHERE, center=ANYWHERE, size=st.floats(0.05, 0.6), seed=st.integers(0, 99))
def test_all_points_are_in_the_picture_and_fill_it(position, center, size, seed):
    position, center = np.array(position), np.array(center)
    points = center + np.random.default_rng(seed).uniform(-size, size, (30, 3))
    if np.linalg.norm(center - position) < 3 * size:
        return
    view = aim_at(position, points, ASPECT)
    across, up, depth = seen(view, points)
    assert view.position_m == pytest.approx(position, abs=1e-4)
    assert (depth > 0).all()
    if view.fovy_deg < WIDEST_DEG:
        assert np.abs(across).max() <= 1 / MARGIN + 1e-5
        assert np.abs(up).max() <= 1 / MARGIN + 1e-5
    if NARROWEST_DEG < view.fovy_deg < WIDEST_DEG:
        assert max(np.abs(across).max(), np.abs(up).max()) == pytest.approx(1 / MARGIN, abs=1e-4)
        if abs(rotation_from_quat(np.array(view.quat_wxyz))[2, 2]) < 0.9:  # nearly straight down, which way is up turns with every step
            assert across.max() == pytest.approx(-across.min(), abs=0.02)


@given(yaw=st.floats(-3, 3), height=st.floats(-1, 1))
def test_the_picture_is_upright(yaw, height):
    """Its right is level, and what is higher is higher in it."""
    points = np.array([np.cos(yaw), np.sin(yaw), height]) + 0.1 * np.eye(3)
    axes = rotation_from_quat(np.array(aim_at(np.zeros(3), points, ASPECT).quat_wxyz))
    assert axes[2, 0] == pytest.approx(0.0, abs=1e-9)
    assert axes[2, 1] > 0


def test_a_camera_straight_above_has_the_worlds_y_on_top():
    view = aim_at(np.array([0.0, 0.0, 2.0]), np.array([[0.2, 0.1, 0.0], [-0.2, -0.1, 0.0]]), ASPECT)
    assert rotation_from_quat(np.array(view.quat_wxyz)) == pytest.approx(np.eye(3), abs=1e-6)


def test_the_twin_draws_what_the_placement_says(tmp_path):
    """Another view is another model, and nothing that moves depends on it."""
    placement = RobotPlacement(embodiment="franka_panda", base_pose=Pose(position_m=(-0.6, 0, 0.6), quat_wxyz=(1, 0, 0, 0)))
    turned = placement.model_copy(update={"view": View(position_m=(0.4, -1.0, 1.6), quat_wxyz=(0.5, 0.5, 0.5, 0.5), fovy_deg=33.0)})
    mjcf = write_scene(tmp_path) / "mjcf/scene.xml"
    before, after = (build_scene_model(mjcf, robot, 30) for robot in (placement, turned))
    camera = mujoco.mj_name2id(after.model, mujoco.mjtObj.mjOBJ_CAMERA, "scene")
    assert after.model.cam_quat[camera] == pytest.approx([0.5, 0.5, 0.5, 0.5])
    assert after.model.cam_fovy[camera] == pytest.approx(33.0)
    assert after.model.cam_pos[camera] == pytest.approx([0.4, -1.0, 1.6])
    assert after.sha256 != before.sha256
    assert after.model.nq == before.model.nq
