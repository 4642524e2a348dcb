"""What resists a part on its joint: friction that holds it where it is left, and damping; as its author states them, or else estimated."""

import numpy as np
from pydantic import Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.geometry.transforms import apply
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.articulation import part_motion
from blueprint_pipeline.scene.canonical_files import rounded
from blueprint_pipeline.scene.manifest import ArticulationJoint

SLIDE_FRICTION_N, SLIDE_DAMPING = 3.0, 10.0
"""Of a drawer on slides: two fingers move it, and a push that ends lets it stop within some centimetres."""
HINGE_FRICTION_NM, HINGE_DAMPING = 0.3, 0.3
"""Of a door on hinges: one newton at its handle, 30 cm away, moves it."""
HOLDS = 1.5
"""How much more than its weight pulls the friction of a part holds: a lid stays where it is left."""
_GRAVITY_M_S2 = 9.81
_POSITIONS = 25


class JointPhysics(FrozenModel):
    """What resists a part that moves on its joint: [N] and [N s/m] of a prismatic one, [N m] and [N m s/rad] of a revolute one."""

    friction: float = Field(gt=0)
    friction_origin: Origin
    damping: float = Field(gt=0)
    damping_origin: Origin
    method: str


def estimate_joint(joint: ArticulationJoint, pose_world_object: Pose, mass_kg: float, com_m: FloatArray) -> JointPhysics:
    """What resists a joint.

    Args:
        joint: In the object's frame.
        pose_world_object: Where the object stands.
        mass_kg: Of the part.
        com_m: Centre of its mass in the object's frame when it is closed (3,).
    """
    base, damping = (SLIDE_FRICTION_N, SLIDE_DAMPING) if joint.type == "prismatic" else (HINGE_FRICTION_NM, HINGE_DAMPING)
    load = mass_kg * _GRAVITY_M_S2 * _lever(joint, rotation_from_quat(np.asarray(pose_world_object.quat_wxyz)), com_m)
    return JointPhysics(
        friction=rounded(max(base, HOLDS * load), 6) if joint.friction is None else joint.friction,
        friction_origin=Origin.HEURISTIC if joint.friction is None else Origin.AUTHORED,
        damping=damping if joint.damping is None else joint.damping,
        damping_origin=Origin.HEURISTIC if joint.damping is None else Origin.AUTHORED,
        method=f"{base:g} to move it, and at least {HOLDS:g} times what its weight pulls anywhere in its range ({load:.3g})",
    )


def _lever(joint: ArticulationJoint, rotation_world_object: FloatArray, com_m: FloatArray) -> float:
    """What a newton of weight pulls along or about the joint, at most [1] or [m], anywhere in its range."""
    down = -rotation_world_object[2]
    axis, origin = np.asarray(joint.axis), np.asarray(joint.origin)
    if joint.type == "prismatic":
        return abs(float(axis @ down))
    places = (apply(part_motion(joint, position), com_m[None])[0] for position in np.linspace(*joint.limits, _POSITIONS))
    return max(abs(float(axis @ np.cross(place - origin, down))) for place in places)
