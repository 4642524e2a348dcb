"""What the camera on a hand sees of an object, asked before the hand goes there."""

from dataclasses import dataclass

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply, build_pose, invert
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.twin.binding import ArmBinding


@dataclass(frozen=True)
class HandCamera:
    """A camera that moves with the tool."""

    pose_tcp_camera: FloatArray
    """In the tool centre point's frame (4, 4): x to the image's right, y up, looking along -z."""
    fovy_rad: float

    def share_in_view(self, pose_world_tcp: FloatArray, points_m: FloatArray) -> float:
        """Share of points (n, 3) of the world within the square in the middle of the picture; what hides them is not asked."""
        seen = apply(invert(pose_world_tcp @ self.pose_tcp_camera), points_m)
        ahead_m = -seen[:, 2:]
        within = (np.abs(seen[:, :2]) <= ahead_m * np.tan(self.fovy_rad / 2)).all(axis=1)
        return float(within.mean())


def find_hand_camera(model: mujoco.MjModel, binding: ArmBinding) -> HandCamera | None:
    """The camera on an arm's hand; ``None``: it has none."""
    hand = {model.body(ROBOT_PREFIX + name).id for name in binding.arm.gripper.hand_bodies}
    camera = next((index for index in range(model.ncam) if int(model.cam_bodyid[index]) in hand), None)
    if camera is None:
        return None
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    pose_world_tcp = build_pose(data.site_xpos[binding.tool_site], data.site_xmat[binding.tool_site])
    pose_world_camera = build_pose(data.cam_xpos[camera], data.cam_xmat[camera])
    return HandCamera(invert(pose_world_tcp) @ pose_world_camera, float(np.deg2rad(model.cam_fovy[camera])))
