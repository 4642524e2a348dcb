"""What resists a part on its joint: friction that holds it where it is left, damping, and the spring that brings a button back.

Friction and damping are as their author states them, or else estimated; there is a spring only where it is stated.
"""

from collections.abc import Mapping

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
from blueprint_pipeline.scene.part_use import PartUse

SLIDE_FRICTION_N, SLIDE_DAMPING = 3.0, 10.0
"""Of a drawer on slides: two fingers move it, and a push that ends lets it stop within some centimetres."""
HINGE_FRICTION_NM, HINGE_DAMPING = 0.3, 0.3
"""Of a door on hinges: one newton at its handle, 30 cm away, moves it."""
KNOB_FRICTION_NM, KNOB_DAMPING = 0.05, 0.01
"""Of a knob: two fingers that press with some newtons turn it, and it stays where they leave it."""
SPRING_FRICTION_N, LATCH_FRICTION_N = 0.2, 1.0
"""Of a button that springs back, and of one that stays where it is pushed."""
ARMATURE: Mapping[PartUse, float] = {"handle": 0.0, "button": 0.1, "knob": 2e-4}
"""What moves along behind a part, as inertia [kg] or [kg m^2]. The stop and the friction of a joint are as stiff as its inertia is large:
the cap of a button alone would give way by millimetres under a finger."""
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
    stiffness: float = Field(0.0, ge=0)
    """Of its spring [N/m], as its author states it; 0: it has none."""
    relaxed_at: float = Field(0.0, le=0)
    """Position [m] at which the spring would be relaxed: before the end of the range, so that it brings the part there against friction."""
    armature: float = Field(0.0, ge=0)
    """Inertia that its mechanism adds [kg] or [kg m^2]."""
    method: str


def estimate_joint(joint: ArticulationJoint, use: PartUse, pose_world_object: Pose, mass_kg: float, com_m: FloatArray) -> JointPhysics:
    """What resists a joint.

    Args:
        joint: In the object's frame.
        use: What a hand does with its part.
        pose_world_object: Where the object stands.
        mass_kg: Of the part.
        com_m: Centre of its mass in the object's frame when it is closed (3,).
    """
    base, damping = _usual(joint, use, mass_kg)
    load = mass_kg * _GRAVITY_M_S2 * _lever(joint, rotation_from_quat(np.asarray(pose_world_object.quat_wxyz)), com_m)
    friction = rounded(max(base, HOLDS * load), 6) if joint.friction is None else joint.friction
    return JointPhysics(
        friction=friction,
        friction_origin=Origin.HEURISTIC if joint.friction is None else Origin.AUTHORED,
        damping=damping if joint.damping is None else joint.damping,
        damping_origin=Origin.HEURISTIC if joint.damping is None else Origin.AUTHORED,
        armature=ARMATURE[use],
        stiffness=joint.stiffness or 0.0,
        relaxed_at=0.0 if joint.stiffness is None else rounded(-HOLDS * (friction + load) / joint.stiffness, 9),
        method=f"{base:g} to move it, and at least {HOLDS:g} times what its weight pulls anywhere in its range ({load:.3g})",
    )


def _usual(joint: ArticulationJoint, use: PartUse, mass_kg: float) -> tuple[float, float]:
    """Friction and damping of joints of a kind; a spring is damped so that it comes back as fast as it can without swinging."""
    if joint.stiffness is not None:
        return SPRING_FRICTION_N, rounded(2 * float(np.sqrt(joint.stiffness * (mass_kg + ARMATURE[use]))), 6)
    if joint.type == "prismatic":
        return (LATCH_FRICTION_N if use == "button" else SLIDE_FRICTION_N), SLIDE_DAMPING
    return (KNOB_FRICTION_NM, KNOB_DAMPING) if use == "knob" else (HINGE_FRICTION_NM, HINGE_DAMPING)


def _lever(joint: ArticulationJoint, rotation_world_object: FloatArray, com_m: FloatArray) -> float:
    """What a newton of weight pulls along or about the joint, at most [1] or [m], anywhere in its range."""
    down = -rotation_world_object[2]
    axis, origin = np.asarray(joint.axis), np.asarray(joint.origin)
    if joint.type == "prismatic":
        return abs(float(axis @ down))
    places = (apply(part_motion(joint, position), com_m[None])[0] for position in np.linspace(*joint.limits, _POSITIONS))
    return max(abs(float(axis @ np.cross(place - origin, down))) for place in places)
