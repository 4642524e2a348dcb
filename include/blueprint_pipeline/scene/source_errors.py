"""What can be wrong with the files of a reconstructed scene: absent, unreadable, misnamed, changed."""

from collections.abc import Sequence

from blueprint_pipeline.errors import IntegrityError, TransientError
from blueprint_pipeline.public_url import public_url
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.workspace.checksums import FileDigest


class SourceNotFound(SceneError):
    """There is no folder at the source's address."""

    code = "scene.source_not_found"

    def __init__(self, source: str) -> None:
        source = public_url(source)
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


class SourceStillChanging(TransientError):
    """A file of the source changed while it was taken in."""

    code = "scene.source_still_changing"

    def __init__(self, file: str, hashed: FileDigest | None, copied: FileDigest | None) -> None:
        before, now = (
            "was not there" if found is None else f"had {found.size_bytes} bytes, sha256 {found.sha256}" for found in (hashed, copied)
        )
        super().__init__(
            f"The source changed while it was taken in: {file} {before} when it was hashed, and {now} when it was copied. "
            "Expected a finished upload: wait for it to end, then run the stage again.",
            file=file,
            hashed_sha256=hashed and hashed.sha256,
            copied_sha256=copied and copied.sha256,
        )
