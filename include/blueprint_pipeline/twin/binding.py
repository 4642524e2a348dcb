"""Where a mounted robot lies in a compiled model's vectors: each arm by itself, and all of them together.

Vectors over the whole robot are in the order of :mod:`blueprint_pipeline.robot.layout`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import ArmLayout, layout_of
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.twin.errors import WrongShape


@dataclass(frozen=True, kw_only=True)
class ArmBinding:
    """Addresses of one arm and its gripper."""

    layout: ArmLayout
    qpos: NDArray[np.int64]
    """(n,): the arm's joints in ``qpos``, in the embodiment's order."""
    dofs: NDArray[np.int64]
    """(n,): the same in ``qvel``."""
    actuators: NDArray[np.int64]
    """(n,): position actuators of the arm's joints, in the same order."""
    finger_qpos: NDArray[np.int64]
    """(n_fingers,): the gripper's joints in ``qpos``."""
    gripper_actuator: int
    tool_site: int

    @property
    def arm(self) -> Arm:
        """Its record."""
        return self.layout.arm

    def width_m(self, qpos: FloatArray) -> float:
        """Measured opening between the fingers in a configuration (nq,)."""
        return float(self.arm.gripper.width_from_joints(qpos[self.finger_qpos]))

    def command_m(self, ctrl: FloatArray) -> float:
        """Commanded opening of a control vector (nu,)."""
        return float(self.arm.gripper.width_from_ctrl(ctrl[self.gripper_actuator]))

    def carries(self, model: mujoco.MjModel, camera: int) -> bool:
        """Whether a camera, by its id, moves with the arm."""
        body, first = int(model.cam_bodyid[camera]), int(model.dof_bodyid[self.dofs[0]])
        while body not in {0, first}:
            body = int(model.body_parentid[body])
        return body == first

    def hold(self, qpos: FloatArray, ctrl: FloatArray) -> None:
        """Write the controls that hold the arm and its gripper where ``qpos`` (nq,) has them, into ``ctrl`` (nu,)."""
        ctrl[self.actuators] = qpos[self.qpos]
        ctrl[self.gripper_actuator] = self.arm.gripper.ctrl_at(self.width_m(qpos))

    def tool_pose(self, data: mujoco.MjData) -> FloatArray:
        """Tool centre point in the world, (7,): xyz and quat wxyz; needs ``data``'s kinematics."""
        pose = np.zeros(7)
        pose[:3] = data.site_xpos[self.tool_site]
        mujoco.mju_mat2Quat(pose[3:], data.site_xmat[self.tool_site])
        return pose


@dataclass(frozen=True, kw_only=True)
class RobotBinding:
    """Addresses of a robot with any number of arms."""

    arms: tuple[ArmBinding, ...]

    @property
    def qpos(self) -> NDArray[np.int64]:
        """(n_joints,): all arms' joints in ``qpos``."""
        return np.concatenate([arm.qpos for arm in self.arms])

    @property
    def dofs(self) -> NDArray[np.int64]:
        """(n_joints,): the same in ``qvel``."""
        return np.concatenate([arm.dofs for arm in self.arms])

    def arms_behind(self, model: mujoco.MjModel, camera: int) -> tuple[ArmBinding, ...]:
        """The arms whose motion a camera's picture cannot but show, by the camera's id: the one that carries it; of a fixed camera, all.

        The picture of a camera on one arm stands still with it, whatever another arm does where it does not look.
        """
        return tuple(arm for arm in self.arms if arm.carries(model, camera)) or self.arms

    def place(self, data: mujoco.MjData, robot_qpos: tuple[float, ...]) -> None:
        """Set the robot's joints, and its controls to hold them.

        Args:
            data: State to change.
            robot_qpos: A start configuration.

        Raises:
            WrongShape: It has another length.
        """
        size = self.arms[-1].layout.start_fingers.stop
        if len(robot_qpos) != size:
            parts = ", ".join(f"{len(arm.qpos)} arm joints and {len(arm.finger_qpos)} finger joints" for arm in self.arms)
            raise WrongShape("robot_qpos", (len(robot_qpos),), f"({size},): {parts}")
        values = np.array(robot_qpos)
        for arm in self.arms:
            data.qpos[arm.qpos] = values[arm.layout.start_joints]
            data.qpos[arm.finger_qpos] = values[arm.layout.start_fingers]
        data.ctrl[:] = self.ctrl_holding(data.qpos, len(data.ctrl))

    def ctrl_holding(self, qpos: FloatArray, size: int) -> FloatArray:
        """Controls (size,) that hold the robot where a configuration (nq,) has it."""
        ctrl = np.zeros(size)
        for arm in self.arms:
            arm.hold(qpos, ctrl)
        return ctrl

    def widths_m(self, qpos: FloatArray) -> FloatArray:
        """Measured opening of every gripper in a configuration (nq,): (n_arms,)."""
        return self._each(lambda arm: arm.width_m(qpos))

    def gripper_commands_m(self, ctrl: FloatArray) -> FloatArray:
        """Commanded opening of every gripper of a control vector (nu,): (n_arms,)."""
        return self._each(lambda arm: arm.command_m(ctrl))

    def joint_commands(self, ctrl: FloatArray) -> FloatArray:
        """Commanded position of all arms' joints of a control vector (nu,): (n_joints,)."""
        commands: FloatArray = np.concatenate([ctrl[arm.actuators] for arm in self.arms])
        return commands

    def tool_poses(self, data: mujoco.MjData) -> FloatArray:
        """Tool centre points in the world, (n_arms, 7); needs ``data``'s kinematics."""
        return np.stack([arm.tool_pose(data) for arm in self.arms])

    def _each(self, ask: Callable[[ArmBinding], float]) -> FloatArray:
        return np.array([ask(arm) for arm in self.arms])


def bind_robot(model: mujoco.MjModel, embodiment: Embodiment) -> RobotBinding:
    """Find a robot in a model in which it is mounted."""
    return RobotBinding(arms=tuple(_bind_arm(model, layout) for layout in layout_of(embodiment)))


def _bind_arm(model: mujoco.MjModel, layout: ArmLayout) -> ArmBinding:
    arm = layout.arm
    joints = [model.joint(ROBOT_PREFIX + joint.name) for joint in arm.joints]
    return ArmBinding(
        layout=layout,
        qpos=np.array([joint.qposadr[0] for joint in joints]),
        dofs=np.array([joint.dofadr[0] for joint in joints]),
        actuators=np.array([model.actuator(ROBOT_PREFIX + joint.actuator).id for joint in arm.joints]),
        finger_qpos=np.array([model.joint(ROBOT_PREFIX + name).qposadr[0] for name in arm.gripper.joints]),
        gripper_actuator=int(model.actuator(ROBOT_PREFIX + arm.gripper.actuator).id),
        tool_site=int(model.site(ROBOT_PREFIX + arm.tcp_site).id),
    )
