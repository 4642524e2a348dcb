"""Where the cameras that a robot carries sit on its tools, from its record and its model alone.

The writer derives a camera's pose from the joints; from the recorded pose of the tool and its mount it follows a second way.
"""

from collections.abc import Mapping

import mujoco
import numpy as np

from blueprint_pipeline.dataset.certify.request import CameraMount
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.geometry.transforms import build_pose, invert, quat_of
from blueprint_pipeline.robot.embodiment import Embodiment, WristCamera
from blueprint_pipeline.robot.errors import BrokenEmbodiment
from blueprint_pipeline.robot.placement import MountOffset

_OPENCV_AXES = np.diag([1.0, -1.0, -1.0])
"""A camera of the record has y up and looks along -z, one of a dataset has y down and looks along z."""


def load_camera_mounts(embodiment: Embodiment) -> dict[str, CameraMount]:
    """The mount of every camera that a robot carries, by the camera's name.

    Raises:
        BrokenEmbodiment: A camera's body is not firmly connected to the tool of an arm.
    """
    model = mujoco.MjModel.from_xml_path(str(embodiment.mjcf_path))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return {camera.name: _mount_of(camera, embodiment, model, data) for camera in embodiment.wrist_cameras}


def offset_mounts(mounts: Mapping[str, CameraMount], offsets: Mapping[str, MountOffset]) -> dict[str, CameraMount]:
    """The mounts of an episode whose cameras sit beside their places.

    Args:
        mounts: As the robot's record has them, by the camera's name.
        offsets: As the episode's record has them; a camera that is not named sits in its place.
    """
    return {name: _beside(mount, offsets[name]) if name in offsets else mount for name, mount in mounts.items()}


def _beside(mount: CameraMount, offset: MountOffset) -> CameraMount:
    """In OpenCV's axes: up is -y, and back is -z."""
    pose_tool_camera = build_pose(np.array(mount.position_m), rotation_from_quat(np.array(mount.quat_wxyz)))
    turn = _OPENCV_AXES @ rotation_from_quat(np.array(offset.turn_quat_wxyz)) @ _OPENCV_AXES
    found = pose_tool_camera @ build_pose(_OPENCV_AXES @ np.array(offset.shift_m), turn)
    return mount.model_copy(update={"position_m": tuple(found[:3, 3].tolist()), "quat_wxyz": tuple(quat_of(found))})


def _mount_of(camera: WristCamera, embodiment: Embodiment, model: mujoco.MjModel, data: mujoco.MjData) -> CameraMount:
    body = model.body(camera.body).id
    tools = [model.site(arm.tcp_site).id for arm in embodiment.arms]
    carriers = [index for index, tool in enumerate(tools) if model.body_weldid[model.site_bodyid[tool]] == model.body_weldid[body]]
    if not carriers:
        raise BrokenEmbodiment(embodiment.name, "body of a hand", camera.body, [arm.gripper.hand_body for arm in embodiment.arms])
    tool = tools[carriers[0]]
    pose_robot_body = build_pose(data.xpos[body], data.xmat[body])
    pose_robot_tool = build_pose(data.site_xpos[tool], data.site_xmat[tool])
    pose_body_camera = build_pose(np.array(camera.position_m), camera.rotation @ _OPENCV_AXES)
    pose_tool_camera = invert(pose_robot_tool) @ pose_robot_body @ pose_body_camera
    return CameraMount(arm=carriers[0], position_m=tuple(pose_tool_camera[:3, 3]), quat_wxyz=tuple(quat_of(pose_tool_camera)))
