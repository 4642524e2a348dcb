"""``articulation.json`` of an object: what its file must say, and its joints in the object's frame.

A joint's position is 0 where the meshes have the part, and grows as it opens, or as a button goes in: along the axis of a prismatic joint
[m], about that of a revolute one [rad], right-handed.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3
from blueprint_pipeline.geometry.transforms import joint_motion
from blueprint_pipeline.scene.canonical_files import rounded
from blueprint_pipeline.scene.manifest import ArticulationJoint
from blueprint_pipeline.scene.part_use import validate_use
from blueprint_pipeline.scene.regen3d import ArticulationFile, JointFile
from blueprint_pipeline.scene.source_errors import FieldInvalid, UnsafePath
from blueprint_pipeline.scene.surfaces import Surface, merge_positions

_UNIT_TOLERANCE = 1e-3
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def part_file(object_id: str, path: str) -> str:
    """Where a part's mesh lies in a source."""
    return f"objects/{object_id}/{PurePosixPath(path)}"


def articulation_file(object_id: str) -> str:
    """Where an object's joints are stated in a source."""
    return f"objects/{object_id}/articulation.json"


def validate_articulation(object_id: str, stated: ArticulationFile) -> None:
    """Check what a file says of parts and joints, before their meshes are read.

    Raises:
        UnsafePath: A mesh lies outside of the object's folder.
        FieldInvalid: A name cannot be used, a part is unknown, moves twice or not at all, an axis has no length of 1, or a joint has no
            range that begins closed.
    """
    file = articulation_file(object_id)
    for part, path in stated.parts.items():
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in path:
            raise UnsafePath(file, f"part {part} is at '{path[:80]}', outside the object's folder")
    _validate_names(file, "parts", stated.parts)
    _validate_names(file, "joints.name", [joint.name for joint in stated.joints])
    _validate_tree(file, stated)
    for joint in stated.joints:
        _validate_joint(file, joint)


def _validate_names(file: str, field: str, names: Iterable[str]) -> None:
    counts = Counter(name.casefold() for name in names)
    for name in names:
        if not _NAME.fullmatch(name):
            expected = "a letter, then up to 63 letters, digits or '_': it names a folder and a prim"
            raise FieldInvalid(file, field, f"'{name[:80]}'", expected)
        if counts[name.casefold()] > 1:
            raise FieldInvalid(file, field, f"'{name}' and another that differs in case at most", "names that differ")


def _validate_tree(file: str, stated: ArticulationFile) -> None:
    """Every part but the base hangs on one joint; all joints are on the base."""
    parts, children = set(stated.parts), [joint.child_part for joint in stated.joints]
    if stated.base_part not in parts:
        raise FieldInvalid(file, "base_part", f"'{stated.base_part[:80]}'", _one_of(parts))
    movable = parts - {stated.base_part}
    if unknown := sorted(set(children) - movable):
        raise FieldInvalid(file, "joints.child_part", f"'{unknown[0][:80]}'", f"{_one_of(movable)} (a part that is not the base)")
    if twice := sorted(name for name, count in Counter(children).items() if count > 1):
        raise FieldInvalid(file, "joints.child_part", f"'{twice[0]}' in {children.count(twice[0])} joints", "one joint for each part")
    if loose := sorted(movable - set(children)):
        raise FieldInvalid(file, "joints", f"none that moves part '{loose[0]}'", "one for each part; join what is fixed to the base's mesh")


def _one_of(names: Collection[str]) -> str:
    return f"one of {', '.join(sorted(names))}" if names else "a part of 'parts'; there is none"


def _validate_joint(file: str, joint: JointFile) -> None:
    field, length = f"joints[{joint.name}]", float(np.linalg.norm(joint.axis))
    if abs(length - 1.0) > _UNIT_TOLERANCE:
        found = f"{list(joint.axis)}, of length {length:.4g}"
        raise FieldInvalid(file, f"{field}.axis", found, "a unit vector along or about which it opens")
    low, high = joint.limits
    if not low <= 0.0 < high:
        expected = "[low, high] with low <= 0 < high: at 0 it is closed, as the meshes have it, and it opens upwards"
        raise FieldInvalid(file, f"{field}.limits", f"{list(joint.limits)}", expected)


def validate_uses(object_id: str, stated: ArticulationFile, object_from_mesh: FloatArray, parts: Mapping[str, list[Surface]]) -> None:
    """Check what a file says of buttons and knobs against their meshes.

    Args:
        object_id: Whose file it is.
        stated: The file, in the frame and unit of the mesh.
        object_from_mesh: As in :func:`joints_of`.
        parts: Surfaces of every part, in the frame of the object [m].

    Raises:
        FieldInvalid: A button or a knob points the wrong way, has no range of its kind, or a spring that it cannot have.
    """
    meshes = {part: merge_positions(surfaces) for part, surfaces in parts.items()}
    base = meshes[stated.base_part]
    for joint in joints_of(stated, object_from_mesh):
        part = np.asarray(meshes[joint.child_part].vertices)
        validate_use(articulation_file(object_id), joint, part, (np.asarray(base.vertices), np.asarray(base.faces)))


def joints_of(stated: ArticulationFile, object_from_mesh: FloatArray) -> tuple[ArticulationJoint, ...]:
    """The joints of a file in the frame of the object, in metres.

    Args:
        stated: The file, in the frame and unit of the mesh.
        object_from_mesh: Linear map of the mesh's vertices to the object's frame (3, 3) [m].
    """
    return tuple(_joint(joint, object_from_mesh) for joint in stated.joints)


def _joint(joint: JointFile, linear: FloatArray) -> ArticulationJoint:
    axis = linear @ np.asarray(joint.axis)
    stretch = float(np.linalg.norm(axis))
    unit = 1.0 if joint.type == "revolute" else stretch
    return ArticulationJoint(
        name=joint.name,
        type=joint.type,
        axis=_vector(axis / stretch),
        origin=_vector(linear @ np.asarray(joint.origin)),
        limits=(rounded(joint.limits[0] * unit), rounded(joint.limits[1] * unit)),
        child_part=joint.child_part,
        friction=joint.friction,
        damping=joint.damping,
        stiffness=joint.stiffness,
    )


def _vector(values: FloatArray) -> Vector3:
    return (rounded(values[0]), rounded(values[1]), rounded(values[2]))


def part_motion(joint: ArticulationJoint, position: float) -> FloatArray:
    """Where a joint's part is in the frame of its object, (4, 4): the identity where it is closed.

    Args:
        joint: In the object's frame.
        position: [m] or [rad].
    """
    return joint_motion(np.asarray(joint.axis), np.asarray(joint.origin), position, slides=joint.type == "prismatic")


def opening_direction(joint: ArticulationJoint, point_m: FloatArray) -> FloatArray:
    """Unit vector (3,) in which a point (3,) of a part goes when the part begins to open."""
    axis = np.asarray(joint.axis)
    way = axis if joint.type == "prismatic" else np.cross(axis, point_m - np.asarray(joint.origin))
    direction: FloatArray = way / max(float(np.linalg.norm(way)), np.finfo(float).tiny)
    return direction
