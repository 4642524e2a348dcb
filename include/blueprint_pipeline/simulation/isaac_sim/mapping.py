"""Between Isaac Sim's orders, frames and names and ours.

Ours: ``qpos`` is the robot's joints (every arm's, each followed by its gripper's), then 7 numbers an object (xyz, quat wxyz);
``qvel`` the same joints, then 6 numbers an object (linear, angular, in the world); ``ctrl`` one number an actuator: every arm's
joints, each arm followed by its gripper.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import ArmLayout, layout_of
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.scene.prim_paths import OBJECTS_PATH, WORLD_PATH
from blueprint_pipeline.simulation.isaac_sim.calls import ContactPoint, Float32Array, Readout
from blueprint_pipeline.simulation.protocol import BodyContact, SimulationState
from blueprint_pipeline.twin.errors import WrongShape

_WXYZ = np.array([3, 0, 1, 2])
_XYZW = np.array([1, 2, 3, 0])
WORLD = "world"


class RobotNotMapped(InternalError):
    """Isaac Sim's joints are not the robot's joints."""

    code = "simulation.robot_not_mapped"
    template = (
        "Isaac Sim loaded an articulation with the joints {found}; expected {expected}. The stage that was written "
        "for it is wrong: report it with the evidence file."
    )

    found: list[str]
    expected: list[str]


def poses_from_transforms(transforms: Float32Array | FloatArray) -> FloatArray:
    """Rows of xyz and quat xyzw as rows of xyz and quat wxyz, (n, 7), of unit length in float64."""
    rows = np.asarray(transforms, dtype=np.float64).reshape(-1, 7)
    quats = rows[:, 3:][:, _WXYZ]
    return np.concatenate([rows[:, :3], quats / np.linalg.norm(quats, axis=1, keepdims=True)], axis=1)


def transforms_from_poses(poses: FloatArray) -> Float32Array:
    """Rows of xyz and quat wxyz as rows of xyz and quat xyzw, (n, 7)."""
    rows = np.asarray(poses, dtype=np.float64).reshape(-1, 7)
    return np.concatenate([rows[:, :3], rows[:, 3:][:, _XYZW]], axis=1).astype(np.float32)


def compose(pose: FloatArray, offset: FloatArray) -> FloatArray:
    """A pose (7,) followed by another in its frame."""
    turn = Rotation.from_quat(pose[3:], scalar_first=True)
    whole = turn * Rotation.from_quat(offset[3:], scalar_first=True)
    return np.concatenate([pose[:3] + turn.apply(offset[:3]), whole.as_quat(scalar_first=True)])


@dataclass(frozen=True, kw_only=True)
class RobotMap:
    """Where the robot's joints and actuators lie in both orders."""

    arms: tuple[ArmLayout, ...]
    order: NDArray[np.int64]
    """(D,): Isaac Sim's index of each of our joints."""
    actuators: tuple[str, ...]
    """With the robot's prefix, in the order of ``ctrl``."""
    tools_in_hands: FloatArray
    """(n_arms, 7): each tool centre point in the frame of the link that is read for it."""

    def to_isaac(self, values: FloatArray) -> Float32Array:
        """Values of our joints (..., D) in Isaac Sim's order."""
        found = np.empty(values.shape, dtype=np.float32)
        found[..., self.order] = values
        return found

    def from_isaac(self, values: Float32Array) -> FloatArray:
        """Values in Isaac Sim's order (D,) as those of our joints."""
        return np.asarray(values, dtype=np.float64)[self.order]

    def targets(self, ctrl: FloatArray) -> FloatArray:
        """What our joints' drives hold for controls (..., nu): (..., D)."""
        parts: list[FloatArray] = []
        for part in self.arms:
            first, gripper = part.joints.start + part.index, part.joints.stop + part.index
            width_m = part.arm.gripper.width_from_ctrl(ctrl[..., gripper])
            parts += [ctrl[..., first:gripper], part.arm.gripper.joints_at(width_m)]
        return np.concatenate(parts, axis=-1)

    def ctrl_holding(self, joints: FloatArray) -> FloatArray:
        """Controls (nu,) that hold joint positions (D,)."""
        parts: list[FloatArray] = []
        for part in self.arms:
            width_m = part.arm.gripper.width_from_joints(joints[part.start_fingers])
            parts += [joints[part.start_joints], np.atleast_1d(part.arm.gripper.ctrl_at(width_m))]
        return np.concatenate(parts)

    def state(self, readout: Readout, ctrl: FloatArray, time_s: float) -> SimulationState:
        """A readout as a state of the protocol."""
        positions, velocities = self.from_isaac(readout.dof_positions), self.from_isaac(readout.dof_velocities)
        efforts = self.from_isaac(readout.dof_efforts)
        objects = poses_from_transforms(readout.object_transforms)
        hands = poses_from_transforms(readout.link_transforms)
        widths_m = [part.arm.gripper.width_from_joints(positions[part.start_fingers]) for part in self.arms]
        commands_m = [part.arm.gripper.width_from_ctrl(ctrl[part.joints.stop + part.index]) for part in self.arms]
        return SimulationState(
            time_s=time_s,
            qpos=np.concatenate([positions, objects.ravel()]),
            qvel=np.concatenate([velocities, np.asarray(readout.object_velocities, dtype=np.float64).ravel()]),
            ctrl=ctrl.copy(),
            actuator_force=self._actuator_forces(efforts),
            robot_qpos=self._arm_joints(positions),
            robot_qvel=self._arm_joints(velocities),
            robot_torque=self._arm_joints(efforts),
            gripper_width_m=np.array(widths_m, dtype=np.float64),
            gripper_command_m=np.array(commands_m, dtype=np.float64),
            ee_pose=np.stack([compose(hand, tool) for hand, tool in zip(hands, self.tools_in_hands, strict=True)]),
            object_poses=objects,
        )

    def _arm_joints(self, values: FloatArray) -> FloatArray:
        """Of our joints (D,) those of the arms, without fingers (n_joints,)."""
        return np.concatenate([values[part.start_joints] for part in self.arms])

    def _actuator_forces(self, efforts: FloatArray) -> FloatArray:
        """Force of each actuator (nu,): a gripper's is the mean over its measuring fingers, each of which is driven by itself."""
        parts: list[FloatArray] = []
        for part in self.arms:
            measuring = [joint.measures for joint in part.arm.gripper.fingers]
            parts += [efforts[part.start_joints], np.atleast_1d(efforts[part.start_fingers][measuring].mean())]
        return np.concatenate(parts)


def map_robot(embodiment: Embodiment, isaac_joints: Sequence[str], tools_in_hands: FloatArray) -> RobotMap:
    """Find our joints among Isaac Sim's.

    Raises:
        RobotNotMapped: They are not the same.
    """
    joints = [name for arm in embodiment.arms for name in (*(joint.name for joint in arm.joints), *arm.gripper.joints)]
    if sorted(joints) != sorted(isaac_joints):
        raise RobotNotMapped(list(isaac_joints), joints)
    actuators = [name for arm in embodiment.arms for name in (*(joint.actuator for joint in arm.joints), arm.gripper.actuator)]
    return RobotMap(
        arms=layout_of(embodiment),
        order=np.array([list(isaac_joints).index(name) for name in joints], dtype=np.int64),
        actuators=tuple(ROBOT_PREFIX + name for name in actuators),
        tools_in_hands=tools_in_hands,
    )


def ramp(start: FloatArray, end: FloatArray, steps: int) -> FloatArray:
    """Control of each physics step of a frame, (steps, nu), as the embedded backend applies it; the last is exactly ``end``."""
    share = np.arange(1, steps + 1) / steps
    found: FloatArray = start + share[:, None] * (end - start)
    found[-1] = end
    return found


def check_setpoints(setpoints: FloatArray, actuators: int) -> None:
    """Refuse setpoints of another shape than (T, nu).

    Raises:
        WrongShape: They are.
    """
    if setpoints.shape[1:] != (actuators,):
        raise WrongShape("setpoints", setpoints.shape, f"(T, {actuators})")


def body_name(path: str, world_paths: frozenset[str]) -> str:
    """Our name of an actor: ``{id}`` of an object, ``robot/{link}``, or ``world`` for what never moves and has no name."""
    if path in world_paths:
        return WORLD
    folder, *below = path.removeprefix(f"{WORLD_PATH}/").split("/")
    if path.startswith(f"{OBJECTS_PATH}/"):
        return below[0]
    return f"{folder}/{below[0]}" if folder == "robot" else folder


def reduce_contacts(steps: Sequence[Sequence[ContactPoint]], world_paths: frozenset[str], timestep_s: float) -> tuple[BodyContact, ...]:
    """The contacts of a frame by pair of bodies: the largest depth of any point, the largest summed normal force of any step."""
    depth: defaultdict[str, float] = defaultdict(float)
    force: defaultdict[str, float] = defaultdict(float)
    for points in steps:
        total: defaultdict[str, float] = defaultdict(float)
        for point in points:
            if point.separation_m > 0.0 and point.normal_impulse_ns == 0.0:
                continue
            bodies = "|".join(sorted(body_name(actor, world_paths) for actor in point.actors))
            total[bodies] += point.normal_impulse_ns / timestep_s
            depth[bodies] = max(depth[bodies], -point.separation_m)
        for bodies, value in total.items():
            force[bodies] = max(force[bodies], value)
    return tuple(BodyContact(bodies=bodies, depth_m=depth[bodies], force_n=force[bodies]) for bodies in sorted(force))


def horizontal_aperture_mm(vertical_aperture_mm: float, width: int, height: int) -> float:
    """What keeps the vertical field of view for a picture of these sides."""
    return vertical_aperture_mm * width / height
