"""Between Isaac Sim's orders, frames and names and ours.

Ours: ``qpos`` is the robot's joints (every arm's, each followed by its gripper's), then 7 numbers an object (xyz, quat wxyz); ``qvel``
the same joints, then 6 numbers an object (linear, angular, in the world); ``ctrl`` one number an actuator, in the MJCF's order.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.embodiment import ROBOT_PREFIX, Embodiment
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
    w, x, y, z = pose[3:]
    axis = np.array([x, y, z])
    across = 2.0 * np.cross(axis, offset[:3])
    position = pose[:3] + offset[:3] + w * across + np.cross(axis, across)
    a, b = offset[3], offset[4:]
    quat = np.concatenate([[w * a - axis @ b], w * b + a * axis + np.cross(axis, b)])
    return np.concatenate([position, quat])


@dataclass(frozen=True, kw_only=True)
class RobotMap:
    """Where the robot's joints and actuators lie in both orders."""

    embodiment: Embodiment
    order: NDArray[np.int64]
    """(D,): Isaac Sim's index of each of our joints."""
    actuators: tuple[str, ...]
    """With the robot's prefix, in the order of ``ctrl``."""
    tool_in_hand: FloatArray
    """(7,): the tool centre point in the frame of the link that is read."""

    @property
    def arm_joints(self) -> int:
        """Joints of the acting arm, which come first."""
        return len(self.embodiment.arm.joints)

    @property
    def fingers(self) -> slice:
        """The acting gripper's joints among ours."""
        return slice(self.arm_joints, self.arm_joints + len(self.embodiment.arm.gripper.joints))

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
        column = 0
        for arm in self.embodiment.arms:
            parts.append(ctrl[..., column : column + len(arm.joints)])
            column += len(arm.joints)
            width = (ctrl[..., column] - arm.gripper.ctrl_closed) / arm.gripper.ctrl_per_m
            parts.append(width[..., None] * np.array(arm.gripper.joint_per_width))
            column += 1
        return np.concatenate(parts, axis=-1)

    def ctrl_holding(self, joints: FloatArray) -> FloatArray:
        """Controls (nu,) that hold joint positions (D,)."""
        parts: list[FloatArray] = []
        start = 0
        for arm in self.embodiment.arms:
            parts.append(joints[start : start + len(arm.joints)])
            start += len(arm.joints)
            share = np.array(arm.gripper.joint_per_width)
            fingers = joints[start : start + len(share)]
            parts.append(np.array([arm.gripper.ctrl_of(float(fingers @ share / (share @ share)))]))
            start += len(share)
        return np.concatenate(parts)

    def state(self, readout: Readout, ctrl: FloatArray, time_s: float) -> SimulationState:
        """A readout as a state of the protocol."""
        gripper = self.embodiment.arm.gripper
        positions, velocities = self.from_isaac(readout.dof_positions), self.from_isaac(readout.dof_velocities)
        efforts = self.from_isaac(readout.dof_efforts)
        objects = poses_from_transforms(readout.object_transforms)
        share = np.array(gripper.joint_per_width)
        return SimulationState(
            time_s=time_s,
            qpos=np.concatenate([positions, objects.ravel()]),
            qvel=np.concatenate([velocities, np.asarray(readout.object_velocities, dtype=np.float64).ravel()]),
            ctrl=ctrl.copy(),
            actuator_force=self._actuator_forces(efforts),
            robot_qpos=positions[: self.arm_joints],
            robot_qvel=velocities[: self.arm_joints],
            robot_torque=efforts[: self.arm_joints],
            gripper_width_m=float(positions[self.fingers] @ share / (share @ share)),
            gripper_command_m=gripper.width_of(float(ctrl[self.arm_joints])),
            ee_pose=compose(poses_from_transforms(readout.link_transforms)[0], self.tool_in_hand),
            object_poses=objects,
        )

    def _actuator_forces(self, efforts: FloatArray) -> FloatArray:
        """Force of each actuator (nu,): a gripper's is the mean over its fingers, each of which is driven by itself."""
        parts: list[FloatArray] = []
        start = 0
        for arm in self.embodiment.arms:
            parts.append(efforts[start : start + len(arm.joints)])
            start += len(arm.joints)
            count = len(arm.gripper.joints)
            parts.append(np.array([efforts[start : start + count].mean()]))
            start += count
        return np.concatenate(parts)


def map_robot(embodiment: Embodiment, isaac_joints: Sequence[str], tool_in_hand: FloatArray) -> RobotMap:
    """Find our joints among Isaac Sim's.

    Raises:
        RobotNotMapped: They are not the same.
    """
    joints = [name for arm in embodiment.arms for name in (*(joint.name for joint in arm.joints), *arm.gripper.joints)]
    if sorted(joints) != sorted(isaac_joints):
        raise RobotNotMapped(list(isaac_joints), joints)
    actuators = [name for arm in embodiment.arms for name in (*(joint.actuator for joint in arm.joints), arm.gripper.actuator)]
    return RobotMap(
        embodiment=embodiment,
        order=np.array([list(isaac_joints).index(name) for name in joints], dtype=np.int64),
        actuators=tuple(ROBOT_PREFIX + name for name in actuators),
        tool_in_hand=tool_in_hand,
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
    if setpoints.ndim != 2 or setpoints.shape[1] != actuators:  # noqa: PLR2004 -- a matrix
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
