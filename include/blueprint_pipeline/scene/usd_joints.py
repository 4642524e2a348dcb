"""The joints of an articulated object in USD, and whether a physics engine reads from a stage what the manifest says.

A joint's frame has its x along the axis, in both bodies alike, for the parts share their object's frame when they are closed.

Source: OpenUSD, UsdPhysics schema; revolute limits and angular damping are in degrees there.
"""

import math
from collections.abc import Mapping

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import quat_from_rotation
from blueprint_pipeline.scene.joint_physics import JointPhysics
from blueprint_pipeline.scene.manifest import ArticulationJoint, ManifestObject
from blueprint_pipeline.scene.physics import Physics
from blueprint_pipeline.scene.prim_paths import body_path, joint_path, object_path

_BASE_JOINT = "base_joint"
_TOLERANCE = 1e-5
_FRICTION, _ARMATURE = "blueprint_pipeline:friction", "blueprint_pipeline:armature"
"""UsdPhysics has no friction of joints, [N] or [N m], and no inertia of theirs, [kg] or [kg m^2]."""


def write_joints(stage: Usd.Stage, item: ManifestObject, physics: Mapping[str, Physics]) -> None:
    """Fix the base to the world, and hang each part on it by its joint."""
    root, base = f"/{item.id}", body_path(item.id, within=f"/{item.id}")
    fixed = UsdPhysics.FixedJoint.Define(stage, f"{root}/{_BASE_JOINT}")
    fixed.CreateBody1Rel().SetTargets([Sdf.Path(base)])
    UsdGeom.Scope.Define(stage, f"{root}/joints")
    for name, stated in item.moving_parts.items():
        joint = _define(stage, joint_path(stated.name, within=root), stated)
        joint.CreateBody0Rel().SetTargets([Sdf.Path(base)])
        joint.CreateBody1Rel().SetTargets([Sdf.Path(body_path(name, within=root))])
        position, (w, x, y, z) = Gf.Vec3f(*stated.origin), quat_from_rotation(_axis_frame(np.asarray(stated.axis))).tolist()
        for set_position, set_rotation in (
            (joint.CreateLocalPos0Attr, joint.CreateLocalRot0Attr),
            (joint.CreateLocalPos1Attr, joint.CreateLocalRot1Attr),
        ):
            set_position(position)
            set_rotation(Gf.Quatf(w, x, y, z))
        _resist(joint, stated, physics[name])


def _define(stage: Usd.Stage, path: str, stated: ArticulationJoint) -> UsdPhysics.PrismaticJoint | UsdPhysics.RevoluteJoint:
    kind = UsdPhysics.PrismaticJoint if stated.type == "prismatic" else UsdPhysics.RevoluteJoint
    joint = kind.Define(stage, path)
    low, high = _in_usd(stated)
    joint.CreateAxisAttr(UsdPhysics.Tokens.x)
    joint.CreateLowerLimitAttr(low)
    joint.CreateUpperLimitAttr(high)
    joint.CreateCollisionEnabledAttr(False)
    return joint


def _in_usd(stated: ArticulationJoint) -> tuple[float, float]:
    low, high = stated.limits
    return (low, high) if stated.type == "prismatic" else (math.degrees(low), math.degrees(high))


def _resist(joint: UsdPhysics.Joint, stated: ArticulationJoint, physics: Physics) -> None:
    """Damping and a spring as a drive towards where the spring is relaxed; without one its stiffness is 0."""
    if physics.joint is None:
        return
    is_slide = stated.type == "prismatic"
    drive = UsdPhysics.DriveAPI.Apply(joint.GetPrim(), UsdPhysics.Tokens.linear if is_slide else UsdPhysics.Tokens.angular)
    drive.CreateStiffnessAttr(physics.joint.stiffness)
    drive.CreateTargetPositionAttr(physics.joint.relaxed_at)
    drive.CreateDampingAttr(physics.joint.damping if is_slide else math.radians(physics.joint.damping))
    for name, value in ((_FRICTION, physics.joint.friction), (_ARMATURE, physics.joint.armature)):
        joint.GetPrim().CreateAttribute(name, Sdf.ValueTypeNames.Float, custom=True).Set(value)


def _axis_frame(axis: FloatArray) -> FloatArray:
    """A rotation (3, 3) whose x is the axis."""
    helper = np.eye(3)[int(np.abs(axis).argmin())]
    second = np.cross(axis, helper)
    second /= np.linalg.norm(second)
    return np.column_stack([axis, second, np.cross(axis, second)])


def find_joint_problem(
    parsed: Mapping[object, tuple[list[Sdf.Path], list[object]]], item: ManifestObject, physics: Mapping[str, Physics]
) -> str | None:
    """What of an articulated object's joints a physics engine would read otherwise than the manifest has it; ``None``: nothing.

    Args:
        parsed: What ``UsdPhysicsLoadStageFromPrimRange`` gives.
        item: The object.
        physics: Of each of its parts, by name.
    """
    root = object_path(item.id)
    roots = [str(path) for path in parsed.get(UsdPhysics.ObjectType.Articulation, ([], []))[0]]
    if root not in roots:
        return f"{root} is no articulation; found {roots}"
    for name, stated in item.moving_parts.items():
        kind = UsdPhysics.ObjectType.PrismaticJoint if stated.type == "prismatic" else UsdPhysics.ObjectType.RevoluteJoint
        paths, found = parsed.get(kind, ([], []))
        read = {str(path): joint for path, joint in zip(paths, found, strict=True)}.get(joint_path(stated.name, within=root))
        if read is None:
            return f"there is no {stated.type} joint {stated.name}"
        if problem := _find_difference(read, stated, bodies=(body_path(item.id, within=root), body_path(name, within=root))):
            return f"joint {stated.name} of {item.id} {problem}"
        if problem := _find_other_spring(read, physics[name].joint):
            return f"joint {stated.name} of {item.id} {problem}"
    return None


def _find_other_spring(read: UsdPhysics.JointDesc, stated: JointPhysics | None) -> str | None:
    if stated is None:
        return None
    spring, expected = (read.drive.stiffness, read.drive.targetPosition), (stated.stiffness, stated.relaxed_at)
    if read.drive.enabled and np.allclose(spring, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
        return None
    return f"has a spring of stiffness and relaxed position {spring}, expected {expected}"


def _find_difference(read: UsdPhysics.JointDesc, stated: ArticulationJoint, *, bodies: tuple[str, str]) -> str | None:
    if (str(read.body0), str(read.body1)) != bodies:
        return f"is between {read.body0} and {read.body1}, expected {bodies}"
    limits = (read.limit.lower, read.limit.upper)
    if not read.limit.enabled or not np.allclose(limits, _in_usd(stated), rtol=_TOLERANCE, atol=_TOLERANCE):
        return f"has the limits {limits}, expected {_in_usd(stated)}"
    axis = np.asarray(Gf.Rotation(Gf.Quatd(read.localPose0Orientation)).TransformDir(Gf.Vec3d(1, 0, 0)))
    if read.axis != UsdPhysics.Axis.X or not np.allclose(axis, stated.axis, atol=_TOLERANCE):
        return f"has the axis {axis.tolist()}, expected {stated.axis}"
    if not np.allclose(np.asarray(read.localPose0Position), stated.origin, atol=_TOLERANCE):
        return f"has the origin {read.localPose0Position}, expected {stated.origin}"
    return None
