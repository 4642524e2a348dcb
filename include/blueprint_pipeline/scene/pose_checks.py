"""Whether the statements of a pose, and of a camera, are numbers, rigid, and agree with each other."""

from collections.abc import Sequence

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import RigidPose, angle_between, rotation_from_quat
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.scene.frames import SceneFrame, rotation_error, split_affine
from blueprint_pipeline.scene.regen3d import ExtrinsicsFile, IntrinsicsFile, PoseFile

ORTHONORMAL_TOLERANCE = 1e-3
"""Largest entry of R^T R - 1 that rounding to six digits explains, with room."""
ANGLE_TOLERANCE_RAD = 2e-3
SCALE_TOLERANCE = 1e-3
"""Relative."""
TRANSLATION_TOLERANCE = 1e-4
"""Relative to the scale of the translation, in scene units."""


class CameraInvalid(SceneError):
    """The camera's matrices are not those of a pinhole camera."""

    code = "scene.camera_invalid"
    template = "{file}: {problem}. Expected a pinhole camera: focal lengths above 0, and a rigid scene-to-camera matrix."

    file: str
    problem: str


class PoseScaleInvalid(SceneError):
    """A scale is zero or negative, or the pose mirrors."""

    code = "scene.pose_scale_invalid"
    template = "The scale of object {object_id} cannot be: in {file} {problem}. Expected three numbers above 0 and no mirroring."

    object_id: str
    file: str
    problem: str


class PoseInconsistent(SceneError):
    """Two statements of the same pose contradict each other."""

    code = "scene.pose_inconsistent"
    template = (
        "The pose of object {object_id} contradicts itself: in {file} {field} is {found}, and transform_matrix says "
        "{from_matrix}. Write both from one pose (quaternion order w, x, y, z)."
    )

    object_id: str
    file: str
    field: str
    found: str
    from_matrix: str


class PoseNotRigid(SceneError):
    """The 3x3 block of a pose is no rotation times scale, or the quaternion is not of unit length."""

    code = "scene.pose_not_rigid"
    template = (
        "The pose of object {object_id} is not rigid: in {file} {problem}. Expected translation . rotation . scale "
        "with an orthonormal rotation (no shear)."
    )

    object_id: str
    file: str
    problem: str


class PoseNotFinite(SceneError):
    """A pose holds NaN or infinity."""

    code = "scene.pose_not_finite"
    template = (
        "The pose of object {object_id} is not finite: {file} holds NaN or an infinite number at {fields}. Expected "
        "finite numbers: reconstruct the object's pose again."
    )

    object_id: str
    file: str
    fields: Sequence[str]


def as_array(values: Sequence[object]) -> FloatArray:
    """Nested tuples of a model as an array of float64."""
    return np.asarray(values, dtype=np.float64)


def validate_pose_finite(object_id: str, file: str, fields: Sequence[str]) -> None:
    """Refuse a pose that holds NaN or infinity at ``fields``.

    Raises:
        PoseNotFinite: ``fields`` is not empty.
    """
    if fields:
        raise PoseNotFinite(object_id, file, fields)


def validate_pose(object_id: str, file: str, pose: PoseFile) -> None:
    """Check that a pose is translation . rotation . scale, and that matrix, quaternion, scale and translation agree.

    Raises:
        PoseScaleInvalid: A scale is not above 0, or the matrix mirrors.
        PoseNotRigid: The matrix shears, its last row is not 0 0 0 1, or the quaternion is not of unit length.
        PoseInconsistent: Two statements contradict each other.
    """
    matrix, scale, quat = as_array(pose.transform_matrix), as_array(pose.scale), as_array(pose.rotation_quaternion)
    if (scale <= 0).any():
        raise PoseScaleInvalid(object_id, file, f"scale is {_show(scale)}")
    if (np.linalg.norm(matrix[:3, :3], axis=0) == 0).any():
        raise PoseScaleInvalid(object_id, file, "transform_matrix has a column of zeros")
    rotation, translation, matrix_scale = split_affine(matrix)
    if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-9):
        raise PoseNotRigid(object_id, file, f"the last row of transform_matrix is {_show(matrix[3])}, not 0 0 0 1")
    error = rotation_error(rotation)
    if error > ORTHONORMAL_TOLERANCE:
        raise PoseNotRigid(
            object_id,
            file,
            f"the rotation of transform_matrix is not orthonormal: R^T R differs from 1 by {error:.3g} (limit "
            f"{ORTHONORMAL_TOLERANCE:g}), a shear",
        )
    if np.linalg.det(rotation) < 0:
        raise PoseScaleInvalid(object_id, file, "transform_matrix mirrors (its determinant is negative)")
    length = float(np.linalg.norm(quat))
    if abs(length - 1) > ORTHONORMAL_TOLERANCE:
        raise PoseNotRigid(object_id, file, f"rotation_quaternion has length {length:.6g}, not 1")
    if (np.abs(matrix_scale - scale) > SCALE_TOLERANCE * scale).any():
        raise PoseInconsistent(object_id, file, "scale", _show(scale), _show(matrix_scale))
    angle = angle_between(rotation, rotation_from_quat(quat))
    if angle > ANGLE_TOLERANCE_RAD:
        raise PoseInconsistent(object_id, file, "rotation_quaternion", _show(quat), f"a rotation {angle:.4g} rad away")
    if np.abs(translation - as_array(pose.translation)).max() > TRANSLATION_TOLERANCE * max(1.0, float(np.abs(translation).max())):
        raise PoseInconsistent(object_id, file, "translation", _show(as_array(pose.translation)), _show(translation))


def object_placement(frame: SceneFrame, pose: PoseFile) -> RigidPose:
    """World pose of an object with a valid pose file."""
    rotation, translation, _ = split_affine(as_array(pose.transform_matrix))
    return frame.object_pose(rotation, translation)


def validate_camera(intrinsics: IntrinsicsFile, extrinsics: ExtrinsicsFile) -> None:
    """Check that a camera is a pinhole camera with a rigid pose.

    Raises:
        CameraInvalid: It is not.
    """
    pinhole = as_array(intrinsics.matrix)
    if pinhole[0, 0] <= 0 or pinhole[1, 1] <= 0 or not np.allclose(pinhole[2], (0, 0, 1)):
        raise CameraInvalid(
            "camera/intrinsics.json", f"focal lengths are {pinhole[0, 0]:g} and {pinhole[1, 1]:g}, the last row {_show(pinhole[2])}"
        )
    matrix = as_array(extrinsics.matrix)
    error = rotation_error(matrix[:3, :3])
    if error > ORTHONORMAL_TOLERANCE or np.linalg.det(matrix[:3, :3]) < 0 or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise CameraInvalid("camera/extrinsics.json", f"the matrix is not rigid (R^T R differs from 1 by {error:.3g})")


def _show(values: FloatArray) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
