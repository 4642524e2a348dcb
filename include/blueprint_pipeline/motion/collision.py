"""Whether a configuration of the arm is free of contacts: on a copy of the model whose contact bits only know what matters.

The copy's bits: robot 1, everything else 2, the object in hand 4. Robot meets robot and the rest, the object in hand
meets the rest and the arm's links (not the hand), the rest never meets itself. So "free" is nearly always just
``ncon == 0``, and one check costs some ten microseconds.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose, invert, pose_from_quat, quat_of
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.twin.articulation import PartJoint
from blueprint_pipeline.twin.binding import ArmBinding
from blueprint_pipeline.twin.footprint import bodies_of

_ROBOT, _WORLD, _HELD = 1, 2, 4
CLEARANCE_M = 0.003
"""What the robot keeps from everything that is not its target."""


@dataclass(frozen=True)
class Allowance:
    """Contacts of the fingers with the target, or of the object in hand with its support, that are no collision.

    A contact counts only where it is deeper than ``depth_m``.
    """

    first: frozenset[int]
    """Ids of bodies."""
    second: frozenset[int]
    depth_m: float

    def permits(self, body_a: int, body_b: int, distance_m: float) -> bool:
        """Whether a contact between two bodies is no collision."""
        matches = (body_a in self.first and body_b in self.second) or (body_b in self.first and body_a in self.second)
        return matches and distance_m >= -self.depth_m


@dataclass(frozen=True)
class _Pull:
    """A part in hand: where it was, and where the tool was, when it was taken."""

    joint: PartJoint
    start: float
    hold_m: FloatArray

    def position(self, tool_m: FloatArray) -> float:
        return self.start + self.joint.line.travel(self.hold_m, tool_m)


class CollisionChecker:
    """Checks configurations of one arm among the objects of a scene. Holds state: which objects stand where, what is in hand."""

    def __init__(self, model: mujoco.MjModel, binding: ArmBinding) -> None:
        self.model = copy.copy(model)
        self.model.opt.enableflags &= ~mujoco.mjtEnableBit.mjENBL_SLEEP.value  # sleeping bodies report no contacts
        self.data = mujoco.MjData(self.model)
        self._gripper = binding.arm.gripper
        self._arm_qpos = binding.qpos
        self._finger_qpos = binding.finger_qpos
        self._width_m = np.nan
        self._fingers: FloatArray = np.zeros(len(binding.finger_qpos))
        self._tcp = binding.tool_site
        self.finger_bodies = frozenset(self.model.body(ROBOT_PREFIX + name).id for name in self._gripper.finger_bodies)
        self._hand_bodies = frozenset(self.model.body(ROBOT_PREFIX + name).id for name in self._gripper.hand_bodies)
        self.collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
        names = [self.model.body(body).name for body in range(self.model.nbody)]
        self.robot_bodies = frozenset(body for body, name in enumerate(names) if name.startswith(ROBOT_PREFIX))
        self._held_qpos: int | None = None
        self._pose_tcp_held = np.eye(4)
        self._pulled: _Pull | None = None
        self._allowances: tuple[Allowance, ...] = ()
        self._set_bits(None)

    def place_objects(self, qpos: FloatArray) -> None:
        """Take over where everything stands; nothing is in hand. ``qpos`` (nq,) is the whole model's."""
        self.data.qpos[:] = qpos
        self.release()

    def hold(self, object_id: str, pose_tcp_object: FloatArray) -> None:
        """From now on the object moves with the hand, at this pose in the tool centre point's frame."""
        body = self.model.body(object_id).id
        self._held_qpos = int(self.model.jnt_qposadr[self.model.body_jntadr[body]])
        self._pose_tcp_held = pose_tcp_object
        self._set_bits(body)

    def release(self) -> None:
        """Nothing is in hand; the object, or the part, stays where ``data.qpos`` has it."""
        self._held_qpos = self._pulled = None
        self._set_bits(None)

    def pull(self, joint: PartJoint, hold_m: FloatArray) -> None:
        """From now on a part of an object goes on its joint as the hand does, whose tool is at a place of the world (3,) now."""
        self._pulled = _Pull(joint, float(self.data.qpos[joint.qpos]), hold_m)

    def leave_part(self, joint: PartJoint, position: float) -> None:
        """The part in hand stays at a position from now on."""
        self._pulled = None
        self.data.qpos[joint.qpos] = position

    def put(self, object_id: str, pose_world_object: FloatArray) -> None:
        """Move an object to a pose in the world."""
        address = int(self.model.jnt_qposadr[self.model.body_jntadr[self.model.body(object_id).id]])
        self.data.qpos[address : address + 3] = pose_world_object[:3, 3]
        self.data.qpos[address + 3 : address + 7] = quat_of(pose_world_object)

    def allow(self, *allowances: Allowance) -> None:
        """Replace the contacts that are no collision; without arguments: none."""
        self._allowances = allowances

    def bodies_of(self, object_id: str) -> frozenset[int]:
        """Ids of the bodies of an object, or of a part of one."""
        return frozenset(bodies_of(self.model, object_id).tolist())

    def pose_of(self, object_id: str) -> FloatArray:
        """Pose of an object in the world, as ``place_objects`` or ``put`` left it."""
        address = int(self.model.jnt_qposadr[self.model.body_jntadr[self.model.body(object_id).id]])
        return pose_from_quat(self.data.qpos[address : address + 3], self.data.qpos[address + 3 : address + 7])

    def tcp_pose(self, qpos_arm: FloatArray) -> FloatArray:
        """Pose of the tool centre point in the world (4, 4)."""
        self.data.qpos[self._arm_qpos] = qpos_arm
        mujoco.mj_kinematics(self.model, self.data)
        return build_pose(self.data.site_xpos[self._tcp].copy(), self.data.site_xmat[self._tcp])

    def is_free(self, qpos_arm: FloatArray, width_m: float) -> bool:
        """Whether nothing touches that must not.

        Args:
            qpos_arm: Joint positions (n,).
            width_m: Opening of the gripper.
        """
        model, data = self.model, self.data
        data.qpos[self._arm_qpos] = qpos_arm
        if width_m != self._width_m:  # asked far more often than it changes
            self._width_m, self._fingers = width_m, self._gripper.joints_at(width_m)
        data.qpos[self._finger_qpos] = self._fingers
        mujoco.mj_kinematics(model, data)
        self._carry()
        mujoco.mj_collision(model, data)
        return data.ncon == 0 or (bool(self._allowances) and self._only_allowed())

    def touching(self, bodies: frozenset[int]) -> frozenset[int]:
        """Other bodies that touched one of ``bodies`` in the last check."""
        pairs = self.model.geom_bodyid[self.data.contact.geom]
        found = {int(b if a in bodies else a) for a, b in pairs if (int(a) in bodies) != (int(b) in bodies)}
        return frozenset(found)

    def collisions(self) -> list[tuple[str, str, float]]:
        """Pairs of bodies that made the last check fail, with their distance [m]: for messages."""
        names = self.model.body
        return [
            (names(first).name, names(second).name, distance)
            for first, second, distance in self._contacts()
            if not self._permits(first, second, distance)
        ]

    def _carry(self) -> None:
        data, address = self.data, self._held_qpos
        if self._pulled is not None:
            data.qpos[self._pulled.joint.qpos] = self._pulled.position(data.site_xpos[self._tcp])
            mujoco.mj_kinematics(self.model, data)
        if address is None:
            return
        pose = build_pose(data.site_xpos[self._tcp], data.site_xmat[self._tcp]) @ self._pose_tcp_held
        data.qpos[address : address + 3] = pose[:3, 3]
        data.qpos[address + 3 : address + 7] = quat_of(pose)
        mujoco.mj_kinematics(self.model, data)

    def _only_allowed(self) -> bool:
        return all(self._permits(*contact) for contact in self._contacts())

    def _contacts(self) -> Iterator[tuple[int, int, float]]:
        """Ids of two bodies that touch, and their distance."""
        bodies = self.model.geom_bodyid[self.data.contact.geom]
        for (first, second), distance in zip(bodies, self.data.contact.dist, strict=True):
            yield int(first), int(second), float(distance)

    def _permits(self, first: int, second: int, distance_m: float) -> bool:
        return any(allowance.permits(first, second, distance_m) for allowance in self._allowances)

    def _set_bits(self, held_body: int | None) -> None:
        held = self.bodies_of(self.model.body(held_body).name) if held_body is not None else frozenset()
        contype = np.zeros(self.model.ngeom, dtype=np.int32)
        conaffinity = np.zeros(self.model.ngeom, dtype=np.int32)
        margin = np.zeros(self.model.ngeom)
        for geom in np.flatnonzero(self.collides):
            body = int(self.model.geom_bodyid[geom])
            if body in self.robot_bodies:
                contype[geom] = _ROBOT
                conaffinity[geom] = _ROBOT | _WORLD | (0 if body in self._hand_bodies else _HELD)
            elif body in held:
                contype[geom], conaffinity[geom] = _HELD, _WORLD
            else:
                contype[geom], margin[geom] = _WORLD, CLEARANCE_M
        self._write(contype, conaffinity, margin)

    def set_clearance(self, object_id: str, clearance_m: float) -> None:
        """What the robot keeps from one object; lasts until objects are placed, held or released."""
        bodies = self.bodies_of(object_id)
        margin = self.model.geom_margin.copy()
        for geom in np.flatnonzero(np.isin(self.model.geom_bodyid, list(bodies)) & self.collides):
            margin[geom] = clearance_m
        self._write(self.model.geom_contype.copy(), self.model.geom_conaffinity.copy(), margin)

    def _write(self, contype: NDArray[np.int32], conaffinity: NDArray[np.int32], margin: FloatArray) -> None:
        """Geoms, and the sums over each body that the broad phase asks first."""
        model = self.model
        model.geom_contype[:], model.geom_conaffinity[:], model.geom_margin[:] = contype, conaffinity, margin
        model.body_contype[:], model.body_conaffinity[:], model.body_margin[:] = 0, 0, 0
        np.bitwise_or.at(model.body_contype, model.geom_bodyid, contype)
        np.bitwise_or.at(model.body_conaffinity, model.geom_bodyid, conaffinity)
        np.maximum.at(model.body_margin, model.geom_bodyid, margin)


def relative_pose(pose_world_tcp: FloatArray, pose_world_object: FloatArray) -> FloatArray:
    """The object in the tool centre point's frame."""
    pose_tcp_object: FloatArray = invert(pose_world_tcp) @ pose_world_object
    return pose_tcp_object
