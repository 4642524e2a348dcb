"""What can be wrong with the poses, meshes, bounds and camera of a reconstructed scene."""

from collections.abc import Sequence

from blueprint_pipeline.scene.errors import SceneError


class PoseNotFinite(SceneError):
    """A pose holds NaN or infinity."""

    code = "scene.pose_not_finite"

    def __init__(self, object_id: str, file: str, fields: Sequence[str]) -> None:
        super().__init__(
            f"The pose of object {object_id} is not finite: {file} holds NaN or an infinite number at {', '.join(fields)}. "
            f"Expected finite numbers: reconstruct the object's pose again.",
            object_id,
            object_id=object_id,
            file=file,
            fields=list(fields),
        )


class PoseNotRigid(SceneError):
    """The 3x3 block of a pose is no rotation times scale, or the quaternion is not of unit length."""

    code = "scene.pose_not_rigid"

    def __init__(self, object_id: str, file: str, problem: str) -> None:
        super().__init__(
            f"The pose of object {object_id} is not rigid: in {file} {problem}. Expected translation . rotation . scale with an "
            f"orthonormal rotation (no shear).",
            object_id,
            object_id=object_id,
            file=file,
            problem=problem,
        )


class PoseInconsistent(SceneError):
    """Two statements of the same pose contradict each other."""

    code = "scene.pose_inconsistent"

    def __init__(self, object_id: str, file: str, field: str, found: str, from_matrix: str) -> None:
        super().__init__(
            f"The pose of object {object_id} contradicts itself: in {file} {field} is {found}, and transform_matrix says "
            f"{from_matrix}. Write both from one pose (quaternion order w, x, y, z).",
            object_id,
            object_id=object_id,
            file=file,
            field=field,
            found=found,
            from_matrix=from_matrix,
        )


class PoseScaleInvalid(SceneError):
    """A scale is zero or negative, or the pose mirrors."""

    code = "scene.pose_scale_invalid"

    def __init__(self, object_id: str, file: str, problem: str) -> None:
        super().__init__(
            f"The scale of object {object_id} cannot be: in {file} {problem}. Expected three numbers above 0 and no mirroring.",
            object_id,
            object_id=object_id,
            file=file,
            problem=problem,
        )


class MeshUnreadable(SceneError):
    """A mesh file is damaged or uses what we do not read."""

    code = "scene.mesh_unreadable"

    def __init__(self, object_id: str, file: str, problem: str) -> None:
        super().__init__(
            f"The mesh of object {object_id} is unreadable: {file} {problem}. Expected a whole, self-contained binary glTF 2.0 "
            f"file: export it again.",
            object_id,
            object_id=object_id,
            file=file,
            problem=problem,
        )


class MeshEmpty(SceneError):
    """A mesh has no surface."""

    code = "scene.mesh_empty"

    def __init__(self, object_id: str, file: str, problem: str) -> None:
        super().__init__(
            f"The mesh of object {object_id} is empty: {file} {problem}. Expected triangles with an area.",
            object_id,
            object_id=object_id,
            file=file,
        )


class BoundsMismatch(SceneError):
    """bounds.json is not that of the mesh in its pose."""

    code = "scene.bounds_mismatch"

    def __init__(self, object_id: str, file: str, field: str, found: str, expected: str) -> None:
        super().__init__(
            f"The bounds of object {object_id} do not fit its mesh: {file} says {field} {found}, the posed mesh has {expected} "
            f"(scene units). One of mesh, pose and bounds is of another version: export them together.",
            object_id,
            object_id=object_id,
            file=file,
            field=field,
            found=found,
            expected=expected,
        )


class CameraInvalid(SceneError):
    """The camera's matrices are not those of a pinhole camera."""

    code = "scene.camera_invalid"

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(
            f"{file}: {problem}. Expected a pinhole camera: focal lengths above 0, and a rigid scene-to-camera matrix.",
            file,
            file=file,
            problem=problem,
        )
