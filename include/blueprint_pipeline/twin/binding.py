"""Where a mounted robot lies in a compiled model's vectors."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.embodiment import ROBOT_PREFIX, Embodiment, Gripper
from blueprint_pipeline.twin.errors import WrongShape


@dataclass(frozen=True, kw_only=True)
class RobotBinding:
    """Addresses of the acting arm and its gripper."""

    qpos: NDArray[np.int64]
    """(n_arm,): the arm's joints in ``qpos``, in the embodiment's order."""
    dofs: NDArray[np.int64]
    """(n_arm,): the same in ``qvel``."""
    actuators: NDArray[np.int64]
    """(n_arm,): position actuators of the arm's joints, in the same order."""
    gripper: Gripper
    finger_qpos: NDArray[np.int64]
    """(n_fingers,): the gripper's joints in ``qpos``."""
    gripper_actuator: int
    tool_site: int

    def place(self, data: mujoco.MjData, robot_qpos: tuple[float, ...]) -> None:
        """Set the robot's joints, and its controls to hold them.

        Args:
            data: State to change.
            robot_qpos: The arm's joints, then the gripper's, (n_arm + n_fingers,).
        """
        arm, fingers = len(self.qpos), len(self.finger_qpos)
        if len(robot_qpos) != arm + fingers:
            raise WrongShape("robot_qpos", (len(robot_qpos),), f"({arm + fingers},): {arm} arm joints and {fingers} finger joints")
        values = np.array(robot_qpos)
        data.qpos[self.qpos] = values[:arm]
        data.qpos[self.finger_qpos] = values[arm:]
        data.ctrl[self.actuators] = values[:arm]
        data.ctrl[self.gripper_actuator] = self.gripper.ctrl_of(self.gripper_width_m(data))

    def gripper_width_m(self, data: mujoco.MjData) -> float:
        """Measured opening between the fingers: the least-squares opening of its joints' positions."""
        share = np.array(self.gripper.joint_per_width)
        return float(data.qpos[self.finger_qpos] @ share / (share @ share))

    def gripper_command_m(self, ctrl: FloatArray) -> float:
        """Commanded opening of a control vector."""
        return float(self.gripper.width_of(float(ctrl[self.gripper_actuator])))

    def tool_pose(self, data: mujoco.MjData) -> FloatArray:
        """Tool centre point in the world, (7,): xyz and quat wxyz; needs ``data``'s kinematics."""
        pose = np.zeros(7)
        pose[:3] = data.site_xpos[self.tool_site]
        mujoco.mju_mat2Quat(pose[3:], data.site_xmat[self.tool_site])
        return pose


def bind_robot(model: mujoco.MjModel, embodiment: Embodiment) -> RobotBinding:
    """Find the robot's first arm in a model in which it is mounted."""
    arm = embodiment.arm
    joints = [model.joint(ROBOT_PREFIX + joint.name) for joint in arm.joints]
    return RobotBinding(
        qpos=np.array([joint.qposadr[0] for joint in joints]),
        dofs=np.array([joint.dofadr[0] for joint in joints]),
        actuators=np.array([model.actuator(ROBOT_PREFIX + joint.actuator).id for joint in arm.joints]),
        gripper=arm.gripper,
        finger_qpos=np.array([model.joint(ROBOT_PREFIX + name).qposadr[0] for name in arm.gripper.joints]),
        gripper_actuator=int(model.actuator(ROBOT_PREFIX + arm.gripper.actuator).id),
        tool_site=int(model.site(ROBOT_PREFIX + arm.tcp_site).id),
    )


def start_qpos(embodiment: Embodiment, arm_qpos_rad: FloatArray, width_m: float) -> tuple[float, ...]:
    """The robot's start configuration in the order of ``EpisodeSpec.robot_qpos``: the arm's joints, then the gripper's."""
    fingers = [share * width_m for share in embodiment.arm.gripper.joint_per_width]
    return tuple(float(value) for value in (*arm_qpos_rad, *fingers))
