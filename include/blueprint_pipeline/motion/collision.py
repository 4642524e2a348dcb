"""Whether a configuration of the arms is free of contacts: on a copy of the model whose contact bits only know what matters.

The copy's bits: robot 1, everything else 2, then one for each object in hand. Robot meets robot and the rest; an object in hand meets the
rest, other objects in hand and the robot, but for the hands that hold it; the rest never meets itself. So "free" is nearly always just
``ncon == 0``, and one check costs some ten microseconds.
"""

import copy
from collections.abc import Iterator, Sequence
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
"""The first object in hand; those after it have the bits after it."""
CLEARANCE_M = 0.003
"""What the robot keeps from everything that is not its target."""
ARMS_APART_M = 0.01
"""What arms that move together keep from each other: each lags behind its setpoints, by as much as it is fast."""


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
    """A part in hand: where it was, and where the tool was (4, 4), when it was taken."""

    joint: PartJoint
    start: float
    pose_world_tcp: FloatArray

    def position(self, pose_world_tcp: FloatArray) -> float:
        return self.start + self.joint.line.travel(self.pose_world_tcp, pose_world_tcp)


@dataclass(frozen=True, kw_only=True)
class _Held:
    """An object in hand."""

    bodies: frozenset[int]
    qpos: int
    """Its address."""
    tool_site: int
    """Of the hand with which it moves."""
    pose_tcp_object: FloatArray
    holders: frozenset[int]
    """Bodies of all hands that hold it."""


class CollisionChecker:
    """Checks configurations of arms among the objects of a scene. Holds state: which objects stand where, what is in hand.

    Args:
        model: Compiled scene; it is copied.
        bindings: The arms whose configurations are asked; the others stand still.
    """

    def __init__(self, model: mujoco.MjModel, *bindings: ArmBinding) -> None:
        self.model = copy.copy(model)
        self.model.opt.enableflags &= ~mujoco.mjtEnableBit.mjENBL_SLEEP.value  # sleeping bodies report no contacts
        self.data = mujoco.MjData(self.model)
        self._grippers = [binding.arm.gripper for binding in bindings]
        self._arm_qpos = np.concatenate([binding.qpos for binding in bindings])
        self._finger_qpos = np.concatenate([binding.finger_qpos for binding in bindings])
        self._widths_m: tuple[float, ...] = ()
        self._fingers: FloatArray = np.zeros(len(self._finger_qpos))
        self._tcps = [binding.tool_site for binding in bindings]
        self.finger_bodies_of = [self._robot_bodies(gripper.finger_bodies) for gripper in self._grippers]
        """Of each hand."""
        self.finger_bodies = frozenset[int]().union(*self.finger_bodies_of)
        self._hands = [self._robot_bodies(gripper.hand_bodies) for gripper in self._grippers]
        self._arm_of_geom = np.full(self.model.ngeom, -1)
        """Index of the arm that a geom moves with, where several move; else -1."""
        for index, binding in enumerate(bindings if len(bindings) > 1 else ()):
            self._arm_of_geom[np.isin(self.model.geom_bodyid, self._bodies_beyond(int(binding.qpos[0])))] = index
        self.collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
        names = [self.model.body(body).name for body in range(self.model.nbody)]
        self.robot_bodies = frozenset(body for body, name in enumerate(names) if name.startswith(ROBOT_PREFIX))
        self._held: dict[str, _Held] = {}
        self._pulled: _Pull | None = None
        self._allowances: tuple[Allowance, ...] = ()
        self._keep = np.zeros(self.model.ngeom)
        """What is kept from each geom that is no part of another arm."""
        self._set_bits()

    def _robot_bodies(self, names: Sequence[str]) -> frozenset[int]:
        return frozenset(self.model.body(ROBOT_PREFIX + name).id for name in names)

    def _bodies_beyond(self, qpos: int) -> NDArray[np.int64]:
        """Ids of the bodies that the joint at an address moves."""
        moved = np.zeros(self.model.nbody, dtype=bool)
        moved[self.model.jnt_bodyid[int(np.flatnonzero(self.model.jnt_qposadr == qpos)[0])]] = True
        for body in range(1, self.model.nbody):  # parents come first
            moved[body] |= moved[self.model.body_parentid[body]]
        return np.flatnonzero(moved)

    def place_objects(self, qpos: FloatArray) -> None:
        """Take over where everything stands; nothing is in hand. ``qpos`` (nq,) is the whole model's."""
        self.data.qpos[:] = qpos
        self.release()

    def hold(self, object_id: str, pose_tcp_object: FloatArray, hands: Sequence[int] = (0,)) -> None:
        """From now on the object moves with a hand, at this pose in the tool centre point's frame.

        Args:
            object_id: Which object.
            pose_tcp_object: (4, 4).
            hands: Indices of the arms whose hands hold it; it moves with the first.
        """
        self._held[object_id] = _Held(
            bodies=self.bodies_of(object_id),
            qpos=int(self.model.jnt_qposadr[self.model.body_jntadr[self.model.body(object_id).id]]),
            tool_site=self._tcps[hands[0]],
            pose_tcp_object=pose_tcp_object,
            holders=frozenset[int]().union(*(self._hands[index] for index in hands)),
        )
        self._set_bits()

    def release(self) -> None:
        """Nothing is in hand; the object, or the part, stays where ``data.qpos`` has it."""
        self._held, self._pulled = {}, None
        self._set_bits()

    def pull(self, joint: PartJoint, pose_world_tcp: FloatArray) -> None:
        """From now on a part of an object goes on its joint as the hand does, whose tool is at a pose of the world (4, 4) now."""
        self._pulled = _Pull(joint, float(self.data.qpos[joint.qpos]), pose_world_tcp)

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
        """Pose of the first arm's tool centre point in the world (4, 4)."""
        self.data.qpos[self._arm_qpos] = qpos_arm
        mujoco.mj_kinematics(self.model, self.data)
        return build_pose(self.data.site_xpos[self._tcps[0]].copy(), self.data.site_xmat[self._tcps[0]])

    def is_free(self, qpos_arm: FloatArray, width_m: float | FloatArray) -> bool:
        """Whether nothing touches that must not.

        Args:
            qpos_arm: Joint positions (n,), of one arm after the other.
            width_m: Opening of the gripper, or of each (k,).
        """
        model, data = self.model, self.data
        data.qpos[self._arm_qpos] = qpos_arm
        self._open(width_m)
        data.qpos[self._finger_qpos] = self._fingers
        mujoco.mj_kinematics(model, data)
        self._carry()
        mujoco.mj_collision(model, data)
        return data.ncon == 0 or (bool(self._allowances or len(self._grippers) > 1) and self._only_allowed())

    def _open(self, width_m: float | FloatArray) -> None:
        """Look up the fingers' joints for openings: asked far more often than they change."""
        widths_m = tuple(width_m) if isinstance(width_m, np.ndarray) else (width_m,) * len(self._grippers)
        if widths_m != self._widths_m:
            self._widths_m = widths_m
            self._fingers = np.concatenate([gripper.joints_at(width) for gripper, width in zip(self._grippers, widths_m, strict=True)])

    def touching(self, bodies: frozenset[int]) -> frozenset[int]:
        """Other bodies that touched one of ``bodies`` in the last check."""
        pairs = [(first, second) for first, second, _ in self._contacts()]
        return frozenset(b if a in bodies else a for a, b in pairs if (a in bodies) != (b in bodies))

    def collisions(self) -> list[tuple[str, str, float]]:
        """Pairs of bodies that made the last check fail, with their distance [m]: for messages."""
        names = self.model.body
        return [
            (names(first).name, names(second).name, distance)
            for first, second, distance in self._contacts()
            if not self._permits(first, second, distance)
        ]

    def _carry(self) -> None:
        data = self.data
        if self._pulled is not None:
            tool = self._tcps[0]
            pose_world_tcp = build_pose(data.site_xpos[tool], data.site_xmat[tool])
            data.qpos[self._pulled.joint.qpos] = self._pulled.position(pose_world_tcp)
            mujoco.mj_kinematics(self.model, data)
        if not self._held:
            return
        for held in self._held.values():
            pose = build_pose(data.site_xpos[held.tool_site], data.site_xmat[held.tool_site]) @ held.pose_tcp_object
            data.qpos[held.qpos : held.qpos + 3] = pose[:3, 3]
            data.qpos[held.qpos + 3 : held.qpos + 7] = quat_of(pose)
        mujoco.mj_kinematics(self.model, data)

    def _only_allowed(self) -> bool:
        return all(self._permits(*contact) for contact in self._contacts())

    def _contacts(self) -> Iterator[tuple[int, int, float]]:
        """Ids of two bodies that touch, or come nearer to each other than they may, and their distance."""
        geoms, distances = self.data.contact.geom, self.data.contact.dist
        near = np.ones(len(distances), dtype=bool)
        if len(self._grippers) > 1:  # arms keep more from each other than from anything else
            arms, keep = self._arm_of_geom[geoms], self._keep[geoms].max(axis=1)
            near = distances < np.where((arms >= 0).all(axis=1) & (arms[:, 0] != arms[:, 1]), ARMS_APART_M, keep)
        for (first, second), distance in zip(self.model.geom_bodyid[geoms[near]], distances[near], strict=True):
            yield int(first), int(second), float(distance)

    def _permits(self, first: int, second: int, distance_m: float) -> bool:
        return any(allowance.permits(first, second, distance_m) for allowance in self._allowances)

    def _set_bits(self) -> None:
        held = [(_HELD << index, item) for index, item in enumerate(self._held.values())]
        bit_of = {body: bit for bit, item in held for body in item.bodies}
        contype = np.zeros(self.model.ngeom, dtype=np.int32)
        conaffinity = np.zeros(self.model.ngeom, dtype=np.int32)
        margin = np.zeros(self.model.ngeom)
        for geom in np.flatnonzero(self.collides):
            body = int(self.model.geom_bodyid[geom])
            if body in self.robot_bodies:
                contype[geom] = _ROBOT
                conaffinity[geom] = _ROBOT | _WORLD | sum(bit for bit, item in held if body not in item.holders)
            elif body in bit_of:
                contype[geom] = bit_of[body]
                conaffinity[geom] = _WORLD | sum(bit for bit, _ in held if bit != bit_of[body])
            else:
                contype[geom], margin[geom] = _WORLD, CLEARANCE_M
        self._write(contype, conaffinity, margin)

    def set_clearance(self, object_id: str, clearance_m: float) -> None:
        """What the robot keeps from one object; lasts until objects are placed, held or released."""
        bodies = self.bodies_of(object_id)
        margin = self._keep.copy()
        for geom in np.flatnonzero(np.isin(self.model.geom_bodyid, list(bodies)) & self.collides):
            margin[geom] = clearance_m
        self._write(self.model.geom_contype.copy(), self.model.geom_conaffinity.copy(), margin)

    def set_least_clearance(self, clearance_m: float) -> None:
        """What the robot keeps from everything, at least; lasts until objects are placed, held or released."""
        margin = np.where(self._keep > 0, np.maximum(self._keep, clearance_m), 0.0)
        self._write(self.model.geom_contype.copy(), self.model.geom_conaffinity.copy(), margin)

    def _write(self, contype: NDArray[np.int32], conaffinity: NDArray[np.int32], margin: FloatArray) -> None:
        """Geoms, and the sums over each body that the broad phase asks first."""
        model, self._keep = self.model, margin
        margin = np.where(self._arm_of_geom >= 0, np.maximum(margin, ARMS_APART_M), margin)
        model.geom_contype[:], model.geom_conaffinity[:], model.geom_margin[:] = contype, conaffinity, margin
        model.body_contype[:], model.body_conaffinity[:], model.body_margin[:] = 0, 0, 0
        np.bitwise_or.at(model.body_contype, model.geom_bodyid, contype)
        np.bitwise_or.at(model.body_conaffinity, model.geom_bodyid, conaffinity)
        np.maximum.at(model.body_margin, model.geom_bodyid, margin)


def relative_pose(pose_world_tcp: FloatArray, pose_world_object: FloatArray) -> FloatArray:
    """The object in the tool centre point's frame."""
    pose_tcp_object: FloatArray = invert(pose_world_tcp) @ pose_world_object
    return pose_tcp_object
