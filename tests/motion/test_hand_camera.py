"""What the camera on the hand sees, and that it is a thing: it has a housing, which stays out of its own picture and out of others."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.transforms import apply, build_pose, invert, shift
from blueprint_pipeline.motion.hand_camera import HandCamera
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import describe_contact
from blueprint_pipeline.robot.embodiment import list_embodiments, load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.twin.binding import bind_robot
from blueprint_pipeline.twin.mount import mount
from tests.motion.test_collision import over, reach

CAMERA = HandCamera(np.eye(4), np.pi / 2)


@pytest.mark.parametrize(
    ("point_m", "share"),
    [((0.0, 0.0, -1.0), 1.0), ((0.9, -0.9, -1.0), 1.0), ((1.1, 0.0, -1.0), 0.0), ((0.0, -1.1, -1.0), 0.0), ((0.0, 0.0, 1.0), 0.0)],
)
def test_points_are_in_view_before_the_lens_within_the_field_of_view(point_m: tuple[float, float, float], share: float) -> None:
    """A quarter turn of view from top to bottom; what is beside or behind is not seen."""
    moved = shift(np.eye(4), np.array([3.0, 2.0, 1.0]))
    assert CAMERA.share_in_view(moved, apply(moved, np.array([point_m]))) == share


def test_a_hand_sees_what_it_is_about_to_take(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """The can between the open fingers is in view, and what lies behind the robot is not."""
    camera, can = table_scene.hand_camera, table_scene.checker
    can.place_objects(start_qpos)
    assert camera is not None
    pose = table_scene.tool_pose(reach(table_scene, (0.45, 0.0, 0.8)))
    assert camera.share_in_view(pose, can.pose_of("can")[None, :3, 3]) == 1.0
    assert camera.share_in_view(pose, np.array([[-1.0, 0.0, 0.8]])) == 0.0


@pytest.mark.parametrize("robot", [embodiment.name for embodiment in list_embodiments()])
def test_a_housing_lies_behind_its_lens(robot: str) -> None:
    """So it is never in its own picture. At home it touches nothing of the robot."""
    embodiment, spec = load_embodiment(robot), mujoco.MjSpec()
    mount(spec, embodiment, Pose(position_m=(0.0, 0.0, 0.8), quat_wxyz=(1.0, 0.0, 0.0, 0.0)))
    model = spec.compile()
    data = mujoco.MjData(model)
    bind_robot(model, embodiment).place(data, home_qpos(embodiment))
    mujoco.mj_forward(model, data)
    touching = {model.geom(geom).name for geom in data.contact.geom.flatten()}
    for camera in embodiment.wrist_cameras:
        lens, box = data.camera(f"robot/{camera.name}"), data.geom(f"robot/{camera.name}_camera")
        center_m = apply(invert(build_pose(lens.xpos, lens.xmat)), box.xpos[None])[0]
        np.testing.assert_allclose(center_m[:2], 0.0, atol=1e-6)
        assert center_m[2] > camera.housing.half_size_m[2]
        assert model.geom(f"robot/{camera.name}_camera").contype[0] == 1
        assert f"robot/{camera.name}_camera" not in touching


def test_a_camera_is_never_inside_of_a_thing(table_scene: MotionScene, start_qpos: np.ndarray) -> None:
    """A box where the housing would be is a collision, though fingers and palm touch nothing; the message names it and nothing allowed."""
    checker = table_scene.checker
    checker.place_objects(start_qpos)
    point_m = (0.5, -0.05, 0.85)
    pose = over(point_m)
    arm = reach(table_scene, point_m)
    assert checker.is_free(arm, 0.0)
    camera = table_scene.hand_camera
    assert camera is not None
    checker.put("box", shift(np.eye(4), (pose @ camera.pose_tcp_camera)[:3, 3] + np.array([0.05, 0.0, 0.0])))
    assert not checker.is_free(arm, 0.0)
    assert "robot/wrist_camera" in describe_contact(table_scene)
