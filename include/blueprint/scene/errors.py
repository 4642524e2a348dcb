"""What can be wrong with a scene.

::

    InputError      SceneError: SourceNotFound, FileMissing, MeshMissing, JsonInvalid, FieldInvalid, UnsupportedVersion,
                    NoObjects, InvalidObjectId, DuplicateObjectId, UnsafePath, PoseNotFinite, PoseNotRigid, PoseInconsistent,
                    PoseScaleInvalid, MeshUnreadable, MeshEmpty, BoundsMismatch, CameraInvalid, ImplausibleScale,
                    ObjectsInterpenetrate, ObjectUnsupported, PhysicsImplausible
    IntegrityError  SourceChanged
    GateError       SceneNotStable
    InternalError   UsdInvalid, TwinInvalid
    ConfigurationError  MaterialTableInvalid
"""

from collections.abc import Sequence

from blueprint.errors import ConfigurationError, GateError, InputError, IntegrityError, InternalError


class SceneError(InputError):
    """A reconstructed scene cannot be taken in as it is.

    Attributes:
        where: The object or file that is meant.
    """

    code = "scene.invalid"

    def __init__(self, message: str, where: str, **facts: object) -> None:
        super().__init__(message, where=where, **facts)
        self.where = where

    def mention_others(self, others: Sequence[str]) -> None:
        """Add the other findings of the same scene, briefly, to the message."""
        if others:
            self.message += f" Also found: {'; '.join(others)}."
            self.facts["others"] = list(others)


class SourceNotFound(SceneError):
    """There is no folder at the source's address."""

    code = "scene.source_not_found"

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source} is not a folder, or is empty: expected a scene in the regen3d/ layout (scene_info.json, objects/, camera/).",
            source,
            source=source,
        )


class FileMissing(SceneError):
    """A file of the layout is not there."""

    code = "scene.file_missing"

    def __init__(self, file: str) -> None:
        super().__init__(f"{file} is not there. Every scene needs it: export the reconstruction again, or add the file.", file, file=file)


class MeshMissing(SceneError):
    """An object has no mesh."""

    code = "scene.mesh_missing"

    def __init__(self, object_id: str, file: str) -> None:
        super().__init__(
            f"Object {object_id} has no mesh: {file} is not there. Add the file, or remove the object's folder.",
            object_id,
            object_id=object_id,
            file=file,
        )


class JsonInvalid(SceneError):
    """A file is not strict JSON."""

    code = "scene.json_invalid"

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file} is not strict JSON (RFC 8259): {problem}. Write the file anew.", file, file=file, problem=problem)


class FieldInvalid(SceneError):
    """A field is missing or has a value of the wrong kind."""

    code = "scene.field_invalid"

    def __init__(self, file: str, field: str, found: str, expected: str) -> None:
        super().__init__(
            f"{file}: field {field} is {found}; expected: {expected}.", file, file=file, field=field, found=found, expected=expected
        )


class UnsupportedVersion(SceneError):
    """The layout has a version that this importer does not know."""

    code = "scene.unsupported_version"

    def __init__(self, file: str, found: str, supported: str) -> None:
        super().__init__(
            f"{file}: version is '{found}'; this importer reads {supported}. Convert the scene, or use a newer Blueprint.",
            file,
            found=found,
            supported=supported,
        )


class NoObjects(SceneError):
    """A scene without objects is of no use."""

    code = "scene.no_objects"

    def __init__(self) -> None:
        super().__init__(
            "objects/ holds no folder: a scene needs at least one object (objects/<id>/mesh.glb, pose.json, bounds.json, material.json).",
            "objects",
        )


class InvalidObjectId(SceneError):
    """An object's id cannot name a folder, a prim or a body."""

    code = "scene.invalid_object_id"

    def __init__(self, object_id: str) -> None:
        super().__init__(
            f"Object id '{object_id[:80]}' cannot be used: expected a letter, then up to 63 letters, digits or '_', and none of "
            f"the reserved names "
            "world, floor, background, scene, robot. Rename the folder below objects/.",
            object_id[:80],
            object_id=object_id,
        )


class DuplicateObjectId(SceneError):
    """Two ids would be the same on a file system that ignores case."""

    code = "scene.duplicate_object_id"

    def __init__(self, object_ids: Sequence[str]) -> None:
        super().__init__(
            f"Object ids {' and '.join(object_ids)} differ only in case: they collide (are duplicates) on file systems and in "
            f"tools that ignore case. Rename one of the folders below objects/.",
            object_ids[0],
            object_ids=list(object_ids),
        )


class UnsafePath(SceneError):
    """A path of the source leads elsewhere."""

    code = "scene.unsafe_path"

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file} is refused: {problem}. A scene may hold plain files and folders only.", file, file=file, problem=problem)


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


class ImplausibleScale(SceneError):
    """Objects are far larger or smaller than things of their kind are."""

    code = "scene.implausible_scale"

    def __init__(self, found: Sequence[tuple[str, str, float, float, float]], meters_per_unit: float, hint: str) -> None:
        listed = "; ".join(
            f"object {name} ({category}) measures {size:.4g} m, expected {low:g} to {high:g} m" for name, category, size, low, high in found
        )
        super().__init__(
            f"The scale is implausible: {listed}. scene_info.json says meters_per_unit {meters_per_unit:g}{hint}. Correct the "
            f"unit, or the object's scale.",
            found[0][0],
            object_ids=[name for name, *_ in found],
            meters_per_unit=meters_per_unit,
        )


class ObjectsInterpenetrate(SceneError):
    """Two things are in the same place."""

    code = "scene.objects_interpenetrate"

    def __init__(self, first: str, second: str, depth_m: float, limit_m: float, *, is_lower_bound: bool = False) -> None:
        bound = "more than " if is_lower_bound else "up to "
        super().__init__(
            f"{first} and {second} interpenetrate: their meshes overlap, and a shift of {bound}{depth_m * 1000:.3g} mm is needed "
            f"to part them (limit {limit_m * 1000:g} mm). Move one of them, or mend its pose.",
            first,
            first=first,
            second=second,
            depth_m=depth_m,
            limit_m=limit_m,
        )


class ObjectUnsupported(SceneError):
    """An object floats: nothing holds it."""

    code = "scene.object_unsupported"

    def __init__(self, object_id: str, gap_m: float, below: str, limit_m: float) -> None:
        super().__init__(
            f"{object_id} is unsupported: it floats {gap_m * 1000:.4g} mm above {below}, the nearest thing below it (limit "
            f"{limit_m * 1000:g} mm). Mend its pose, or add what it stands on.",
            object_id,
            object_id=object_id,
            gap_m=gap_m,
            below=below,
            limit_m=limit_m,
        )


class PhysicsImplausible(SceneError):
    """An estimated mass lies outside what things of this kind weigh."""

    code = "scene.physics_implausible"

    def __init__(self, object_id: str, category: str, mass_kg: float, bounds_kg: tuple[float, float], method: str) -> None:
        low_kg, high_kg = bounds_kg
        super().__init__(
            f"Object {object_id} ({category}) would weigh {mass_kg:.4g} kg by {method}; expected {low_kg:g} to {high_kg:g} kg. "
            f"Check its scale, its material_type and whether its mesh is closed.",
            object_id,
            object_id=object_id,
            mass_kg=mass_kg,
            low_kg=low_kg,
            high_kg=high_kg,
            method=method,
        )


class SourceChanged(IntegrityError):
    """A file of ``regen3d/`` is not the one that was taken in."""

    code = "scene.source_changed"

    def __init__(self, file: str, expected_sha256: str | None, found_sha256: str | None) -> None:
        expected = "was not there when the scene was taken in" if expected_sha256 is None else f"had sha256 {expected_sha256}"
        found = "is missing now" if found_sha256 is None else f"has sha256 {found_sha256} now"
        super().__init__(
            f"{file} {expected} and {found}. Restore it, or ingest the scene anew.",
            file=file,
            expected_sha256=expected_sha256,
            found_sha256=found_sha256,
        )


class SceneNotStable(GateError):
    """The scene does not come to rest where it was reconstructed."""

    code = "scene.not_stable"

    def __init__(self, object_id: str, failures: Sequence[str]) -> None:
        super().__init__(
            f"The scene is not stable: object {object_id} {'; '.join(failures)}. Mend its pose or its mesh: it does not rest "
            f"where the scene says.",
            object_id=object_id,
            failures=list(failures),
        )


class UsdInvalid(InternalError):
    """The USD stage that we wrote does not say what the manifest says."""

    code = "scene.usd_invalid"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"usd/scene.usda was read back and is wrong: {problem}. This is a defect of the assembly: report it.", problem=problem
        )


class TwinInvalid(InternalError):
    """The MJCF twin that we wrote does not compile, or does not say what the manifest says."""

    code = "scene.twin_invalid"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"mjcf/scene.xml was read back and is wrong: {problem}. This is a defect of the assembly: report it.", problem=problem
        )


class MaterialTableInvalid(ConfigurationError):
    """include/config/materials.yaml or categories.yaml cannot be used."""

    code = "scene.material_table_invalid"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} cannot be used: {problem}.", path=path, problem=problem)
