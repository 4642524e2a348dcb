"""Where the cameras that a robot carries are, from its joints alone: no scene is loaded for it.

Camera frames are OpenCV's: x to the image's right, y down, z along the line of sight.

Source: OpenCV documentation, "Camera Calibration and 3D Reconstruction".
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import quats_from_rotations, rotation_from_quat
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.robot.placement import MountOffset, RobotPlacement
from blueprint_pipeline.twin.binding import bind_robot
from blueprint_pipeline.twin.mount import mount

OPENCV_FROM_MUJOCO = np.diag([1.0, -1.0, -1.0])
"""MuJoCo's cameras have y up and look along -z; the matrix is its own inverse."""


class RobotCameras:
    """The cameras of a robot that stands somewhere.

    Args:
        robot: Which robot, and where.
    """

    def __init__(self, robot: RobotPlacement) -> None:
        embodiment = load_embodiment(robot.embodiment)
        spec = mujoco.MjSpec()
        mount(spec, embodiment, robot.base_pose)
        self._model = spec.compile()
        self._arms = bind_robot(self._model, embodiment).arms
        self.fovy_deg = {camera.name: camera.fovy_deg for camera in embodiment.wrist_cameras}
        """Vertical field of view of each camera, by name."""
        self._ids = [self._model.camera(ROBOT_PREFIX + name).id for name in self.fovy_deg]

    def fovys_deg(self, mounts: Mapping[str, MountOffset]) -> dict[str, float]:
        """Vertical field of view of each camera as it is mounted, by name."""
        return {name: fovy_deg * (mounts[name].widening if name in mounts else 1.0) for name, fovy_deg in self.fovy_deg.items()}

    def poses(
        self, robot_qpos: FloatArray, gripper_width_m: FloatArray, mounts: Mapping[str, MountOffset] = MappingProxyType({})
    ) -> dict[str, FloatArray]:
        """Where each camera is in the world.

        Args:
            robot_qpos: All arms' joints, (T, n_joints).
            gripper_width_m: Opening of every gripper, (T, n_arms).
            mounts: How cameras are mounted, where that is not as the robot's record has it.

        Returns:
            By name, (T, 7): xyz and quat wxyz.
        """
        data = mujoco.MjData(self._model)
        positions, rotations = np.zeros((len(robot_qpos), len(self._ids), 3)), np.zeros((len(robot_qpos), len(self._ids), 3, 3))
        for row, (joints, widths) in enumerate(zip(robot_qpos, gripper_width_m, strict=True)):
            for arm, width_m in zip(self._arms, widths, strict=True):
                data.qpos[arm.qpos] = joints[arm.layout.joints]
                data.qpos[arm.finger_qpos] = arm.arm.gripper.joints_at(float(width_m))
            mujoco.mj_kinematics(self._model, data)
            mujoco.mj_camlight(self._model, data)
            positions[row], rotations[row] = data.cam_xpos[self._ids], data.cam_xmat[self._ids].reshape(-1, 3, 3)
        for index, name in enumerate(self.fovy_deg):
            if (mount := mounts.get(name)) is not None:
                positions[:, index] += rotations[:, index] @ np.array(mount.shift_m)
                rotations[:, index] = rotations[:, index] @ rotation_from_quat(np.array(mount.turn_quat_wxyz))
        return {
            name: np.hstack([positions[:, index], quats_from_rotations(rotations[:, index] @ OPENCV_FROM_MUJOCO)])
            for index, name in enumerate(self.fovy_deg)
        }


@lru_cache(8)
def load_robot_cameras(robot: RobotPlacement) -> RobotCameras:
    """The cameras of a robot; those of the same placement are made once."""
    return RobotCameras(robot)
