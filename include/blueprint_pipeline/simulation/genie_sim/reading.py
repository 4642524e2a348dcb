"""What the server says of joints and objects, as states of the protocol; the twin supplies what follows from them by geometry.

The server tells positions alone. Velocities are differences of positions; tool poses are the twin's kinematics; two bodies touch where
their shapes in the twin come nearer than :data:`TOUCH_M`. Torques and forces follow from nothing, and are not a number.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.simulation.genie_sim.errors import RobotDiffers
from blueprint_pipeline.simulation.genie_sim.robots import GenieRobot
from blueprint_pipeline.simulation.protocol import BodyContact, SimulationState
from blueprint_pipeline.twin.model import SceneModel, planning_copy

TOUCH_M = 0.0005
"""A body at rest is read back some micrometres above or below what it rests on."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One instant, as measured."""

    joints_rad: FloatArray
    """All arms' joints, (n_joints,)."""
    widths_m: FloatArray
    """Opening of every gripper, (n_arms,)."""
    object_poses: FloatArray
    """(n_objects, 7): xyz and quat wxyz."""


@dataclass(frozen=True, kw_only=True)
class JointMotion:
    """How fast, and with what effort, where that is measured."""

    joints_rad_s: FloatArray
    joint_efforts: FloatArray
    """(n_joints,) [N m]; not a number where nobody measures it."""
    gripper_efforts: FloatArray
    """(n_arms,): of the finger joint that is driven [N m]; likewise."""


class TwinView:
    """The scene's twin, put where the server says that things are.

    Args:
        twin: The compiled twin.
        robot: The server's robot.
    """

    def __init__(self, twin: SceneModel, robot: GenieRobot) -> None:
        self.twin = twin
        self._robot = robot
        self._model = planning_copy(twin.model)
        self._model.geom_margin[:] = np.maximum(self._model.geom_margin, TOUCH_M)
        self._data = mujoco.MjData(self._model)
        self.joint_names = tuple(
            self._model.joint(int(self._model.actuator(int(actuator)).trnid[0])).name.removeprefix(ROBOT_PREFIX)
            for arm in twin.robot.arms
            for actuator in arm.actuators
        )

    def reading(self, joints: Mapping[str, float], object_poses: FloatArray) -> Reading:
        """What the server said, in our order.

        Raises:
            RobotDiffers: A joint is missing.
        """
        missing = [name for name in (*self.joint_names, *self.finger_joints()) if name not in joints]
        if missing:
            raise RobotDiffers(self._robot.prim_path, f"it has {len(joints)} joints, and none called {', '.join(missing)}")
        return Reading(
            joints_rad=np.array([joints[name] for name in self.joint_names]),
            widths_m=np.array([self._width_m(arm.arm.name, joints) for arm in self.twin.robot.arms]),
            object_poses=object_poses,
        )

    def finger_joints(self) -> tuple[str, ...]:
        """The joints that tell how wide grippers are open, one an arm."""
        return tuple(self._robot.fingers[arm.arm.name].outer for arm in self.twin.robot.arms)

    def _width_m(self, arm: str, joints: Mapping[str, float]) -> float:
        fingers = self._robot.fingers[arm]
        stroke_m = next(item.arm.gripper.stroke_m for item in self.twin.robot.arms if item.arm.name == arm)
        return stroke_m * float(np.clip(joints[fingers.outer] / fingers.open_rad, 0.0, 1.0))

    def finger_positions(self, widths_m: FloatArray) -> dict[str, float]:
        """Positions of the finger joints that move by themselves, for openings (n_arms,)."""
        found: dict[str, float] = {}
        for arm, width_m in zip(self.twin.robot.arms, widths_m, strict=True):
            fingers = self._robot.fingers[arm.arm.name]
            angle = fingers.open_rad * float(width_m) / arm.arm.gripper.stroke_m
            found |= {fingers.outer: angle, fingers.inner: -angle}
        return found

    def state(
        self, reading: Reading, ctrl: FloatArray, time_s: float, motion: JointMotion, object_velocities: FloatArray
    ) -> SimulationState:
        """A state of the protocol; ``qpos``, ``qvel``, ``ctrl`` and ``actuator_force`` are laid out as the twin's."""
        twin, robot = self.twin, self.twin.robot
        qpos = self._stand(reading)
        qvel, force = np.zeros(twin.model.nv), np.zeros(twin.model.nu)
        qvel[robot.dofs] = motion.joints_rad_s
        for address, velocity in zip(twin.object_dofs, object_velocities, strict=True):
            qvel[address : address + 6] = velocity
        for arm in robot.arms:
            force[arm.actuators] = motion.joint_efforts[arm.layout.joints]
            force[arm.gripper_actuator] = motion.gripper_efforts[arm.layout.index]
        return SimulationState(
            time_s=time_s,
            qpos=qpos,
            qvel=qvel,
            ctrl=ctrl.copy(),
            actuator_force=force,
            robot_qpos=reading.joints_rad,
            robot_qvel=motion.joints_rad_s,
            robot_torque=motion.joint_efforts,
            gripper_width_m=reading.widths_m,
            gripper_command_m=robot.gripper_commands_m(ctrl),
            ee_pose=robot.tool_poses(self._data),
            object_poses=reading.object_poses,
        )

    def touching(self, reading: Reading) -> tuple[BodyContact, ...]:
        """Which bodies touch, by geometry; with what force is not known."""
        self._stand(reading)
        mujoco.mj_collision(self._model, self._data)
        depth: dict[str, float] = {}
        for contact in self._data.contact[: self._data.ncon]:
            bodies = sorted(self._model.body(int(self._model.geom_bodyid[geom])).name for geom in contact.geom)
            name = "|".join(bodies)
            depth[name] = max(depth.get(name, 0.0), -float(contact.dist))
        return tuple(BodyContact(bodies=name, depth_m=depth[name], force_n=math.nan) for name in sorted(depth))

    def _stand(self, reading: Reading) -> FloatArray:
        qpos = self.twin.qpos_of(reading.joints_rad, reading.widths_m, reading.object_poses)
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        return qpos


def unmeasured(reading: Reading) -> JointMotion:
    """Nothing is known of efforts, and nothing moves yet."""
    return JointMotion(
        joints_rad_s=np.zeros_like(reading.joints_rad),
        joint_efforts=np.full_like(reading.joints_rad, np.nan),
        gripper_efforts=np.full_like(reading.widths_m, np.nan),
    )


def motion_between(before: Reading, after: Reading, elapsed_s: float) -> JointMotion:
    """Speeds of the joints from one reading to the next."""
    return replace(unmeasured(after), joints_rad_s=(after.joints_rad - before.joints_rad) / elapsed_s)


def object_velocities(before: FloatArray, after: FloatArray, elapsed_s: float) -> FloatArray:
    """Linear velocity in the world and angular velocity in the body [m/s, rad/s], (n, 6), from poses (n, 7) to poses (n, 7)."""
    if not len(after):
        return np.zeros((0, 6))
    turn = Rotation.from_quat(before[:, 3:], scalar_first=True).inv() * Rotation.from_quat(after[:, 3:], scalar_first=True)
    return np.concatenate([after[:, :3] - before[:, :3], turn.as_rotvec()], axis=1) / elapsed_s
