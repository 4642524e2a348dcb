"""A source scene, its files read and checked one by one.

What is wrong in one file does not hide what is wrong in another: readers give findings, and a scene only if all of it could be read.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from pydantic import BaseModel

from blueprint_pipeline.geometry.rotations import RigidPose
from blueprint_pipeline.scene.articulation import part_file, validate_articulation, validate_uses
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.scene.findings import SceneFinding, finding_of
from blueprint_pipeline.scene.frames import SceneFrame
from blueprint_pipeline.scene.pose_checks import as_array, object_placement, validate_camera, validate_pose, validate_pose_finite
from blueprint_pipeline.scene.regen3d import (
    SUPPORTED_MAJOR,
    ArticulationFile,
    BoundsFile,
    ExtrinsicsFile,
    IntrinsicsFile,
    LabelFile,
    MaterialFile,
    PoseFile,
    SceneInfo,
)
from blueprint_pipeline.scene.source_errors import FileUnusable
from blueprint_pipeline.scene.source_folder import SourceFiles
from blueprint_pipeline.scene.source_mesh import SourceMesh, read_background_mesh, read_object_mesh
from blueprint_pipeline.scene.strict_json import not_finite, parse_json, parse_model
from blueprint_pipeline.scene.surfaces import WHITE, Look, Surface, stated_look

File = TypeVar("File", bound=BaseModel)
Value = TypeVar("Value")

_OBJECT_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_RESERVED = frozenset({"world", "floor", "background", "scene", "robot"})
_MAX_LOSSES = 12
_MAX_TEXT_BYTES = 16 * 1024 * 1024
_OPTIONAL_FILES = {
    "ATTRIBUTION.md": "every licence of the scene is unknown",
    "source_image.png": "the scene does not need it",
}
"""Files that a scene may lack, and what follows."""


class DuplicateObjectId(SceneError):
    """Two ids would be the same on a file system that ignores case."""

    code = "scene.duplicate_object_id"
    template = (
        "Object ids {object_ids: and } differ only in case: they collide on file systems and in tools that ignore case. Rename "
        "one of the folders below objects/."
    )

    object_ids: Sequence[str]

    @property
    def where(self) -> str:
        """The first of the objects."""
        return self.object_ids[0]


class InvalidObjectId(SceneError):
    """An object's id cannot name a folder, a prim or a body."""

    code = "scene.invalid_object_id"
    template = (
        "Object id '{object_id:.80}' cannot be used: expected a letter, then up to 63 letters, digits or '_', and none of the "
        "reserved names world, floor, background, scene, robot. Rename the folder below objects/."
    )

    object_id: str

    @property
    def where(self) -> str:
        """The id, cut to a readable length."""
        return self.object_id[:80]


class NoObjects(SceneError):
    """A scene without objects is of no use."""

    code = "scene.no_objects"
    template = (
        "The scene has no object: objects/ is empty or missing. Expected at least one folder objects/<id>/ with mesh.glb, pose.json, "
        "bounds.json and material.json."
    )

    @property
    def where(self) -> str:
        """The folder of the objects."""
        return "objects"


class UnsupportedVersion(SceneError):
    """The layout has a version that this importer does not know."""

    code = "scene.unsupported_version"
    template = "{file}: version is '{found}'; this importer reads {supported}. Convert the scene, or use a newer Blueprint."

    file: str
    found: str
    supported: str


class MeshMissing(SceneError):
    """An object has no mesh."""

    code = "scene.mesh_missing"
    template = "Object {object_id} has no mesh: {file} is missing. Add the file, or remove the object's folder."

    object_id: str
    file: str


class SourceFileMissing(SceneError):
    """A file of the layout is missing."""

    code = "scene.file_missing"
    template = "{file} is missing. Every scene needs it: export the reconstruction again, or add the file."

    file: str


@dataclass(frozen=True)
class SourceObject:
    """One object, in its own frame (z up, metres) and in the world."""

    object_id: str
    pose_file: PoseFile
    bounds: BoundsFile
    material: MaterialFile
    label: LabelFile | None
    articulation: ArticulationFile | None
    pose: RigidPose
    object_from_mesh: tuple[tuple[float, float, float], ...]
    surfaces: list[Surface]
    parts: dict[str, list[Surface]]
    """Of an articulated object: its surfaces by part, all closed."""


@dataclass(frozen=True)
class SourceScene:
    """A scene whose files could all be read."""

    info: SceneInfo
    frame: SceneFrame
    objects: dict[str, SourceObject]
    background: list[Surface]
    intrinsics: IntrinsicsFile
    camera_pose: RigidPose
    attribution: str | None


def read_source(files: SourceFiles) -> tuple[list[SceneFinding], SourceScene | None]:
    """Read every file of a scene.

    Returns:
        What is wrong, first things first; and the scene, if nothing blocks.

    Raises:
        SourceNotFound: There is no file.
        UnsafePath: It holds what no scene may hold.
    """
    reader = _Reader(files)
    scene = reader.read()
    return reader.findings, scene


class _Reader:
    """Reads a scene and gathers findings."""

    def __init__(self, files: SourceFiles) -> None:
        self.files = files
        self.names = files.names
        self.findings: list[SceneFinding] = []

    def read(self) -> SourceScene | None:
        info = self._attempt(self._info)
        object_ids = self._object_ids()
        frame = None if info is None else SceneFrame(info.coordinate_frame, info.meters_per_unit)
        objects = {name: self._object(name, frame) for name in object_ids}
        intrinsics = self._attempt(lambda: self._model(IntrinsicsFile, "camera/intrinsics.json"))
        extrinsics = self._attempt(lambda: self._model(ExtrinsicsFile, "camera/extrinsics.json"))
        camera_pose = self._attempt(lambda: self._camera_pose(frame, intrinsics, extrinsics))
        background = self._attempt(lambda: self._background(frame, camera_pose)) if frame is not None else []
        attribution = self._attempt(self._attribution)
        for name, consequence in _OPTIONAL_FILES.items():
            if name not in self.names:
                self._remark("scene.file_absent", name, f"{name} is missing; {consequence}.")
        if info is None or frame is None or intrinsics is None or camera_pose is None or any(item.blocking for item in self.findings):
            return None
        return SourceScene(
            info=info,
            frame=frame,
            objects={name: item for name, item in objects.items() if item is not None},
            background=background or [],
            intrinsics=intrinsics,
            camera_pose=camera_pose,
            attribution=attribution,
        )

    def _attempt(self, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except SceneError as error:
            self.findings.append(finding_of(error))
            return None

    def _remark(self, code: str, where: str, message: str) -> None:
        self.findings.append(SceneFinding(code, where, message))

    def _bytes(self, file: str) -> bytes:
        if file not in self.names:
            raise SourceFileMissing(file)
        return self.files.read(file)

    def _text(self, file: str) -> bytes:
        """The bytes of a text file, which is no larger than any description of a scene."""
        data = self._bytes(file)
        if len(data) > _MAX_TEXT_BYTES:
            raise FileUnusable(file, f"it has {len(data)} bytes; expected at most {_MAX_TEXT_BYTES}")
        return data

    def _attribution(self) -> str | None:
        file = "ATTRIBUTION.md"
        if file not in self.names:
            return None
        try:
            return self._text(file).decode("utf-8")
        except UnicodeDecodeError as error:
            raise FileUnusable(file, f"byte {error.start} is not UTF-8; write it as UTF-8 text") from error

    def _model(self, model: type[File], file: str) -> File:
        return parse_model(model, parse_json(self._text(file), file), file)

    def _optional(self, model: type[File], file: str) -> File | None:
        return self._attempt(lambda: self._model(model, file)) if file in self.names else None

    def _info(self) -> SceneInfo:
        info = self._model(SceneInfo, "scene_info.json")
        if not re.fullmatch(rf"{SUPPORTED_MAJOR}\.\d+\.\d+", info.version):
            raise UnsupportedVersion("scene_info.json", info.version[:40], f"{SUPPORTED_MAJOR}.x.y")
        return info

    def _camera_pose(
        self, frame: SceneFrame | None, intrinsics: IntrinsicsFile | None, extrinsics: ExtrinsicsFile | None
    ) -> RigidPose | None:
        """Where the picture was taken from, in the world; ``None`` where a file that says so could not be read."""
        if intrinsics is None or extrinsics is None:
            return None
        validate_camera(intrinsics, extrinsics)
        return None if frame is None else frame.camera_pose(as_array(extrinsics.matrix))

    def _object_ids(self) -> list[str]:
        folders = {PurePosixPath(*folder.parts[:2]) for name in self.names for folder in PurePosixPath(name).parents}
        found = sorted(folder.name for folder in folders if folder.parent.name == "objects")
        if not found:
            self.findings.append(finding_of(NoObjects()))
        invalid = [name for name in found if not _OBJECT_ID.fullmatch(name) or name.lower() in _RESERVED]
        self.findings += [finding_of(InvalidObjectId(name)) for name in invalid]
        groups: dict[str, list[str]] = {}
        for name in found:
            groups.setdefault(name.casefold(), []).append(name)
        self.findings += [finding_of(DuplicateObjectId(names)) for names in groups.values() if len(names) > 1]
        return [name for name in found if name not in invalid]

    def _object(self, name: str, frame: SceneFrame | None) -> SourceObject | None:
        folder = f"objects/{name}"
        pose = self._attempt(lambda: self._pose(name))
        bounds = self._attempt(lambda: self._model(BoundsFile, f"{folder}/bounds.json"))
        material = self._attempt(lambda: self._model(MaterialFile, f"{folder}/material.json"))
        label = self._optional(LabelFile, f"{folder}/label.json")
        articulation = self._optional(ArticulationFile, f"{folder}/articulation.json")
        default = WHITE if material is None else stated_look(material.base_color, material.metallic, material.roughness)
        mesh = self._attempt(lambda: self._mesh(name, f"{folder}/mesh.glb", default))
        parts = {} if articulation is None else self._attempt(lambda: self._parts(name, articulation, default))
        if pose is None or bounds is None or material is None or mesh is None or parts is None or frame is None:
            return None
        linear = frame.object_from_mesh(as_array(pose.scale))
        placed = {part: [surface.moved(linear) for surface in surfaces] for part, surfaces in parts.items()}
        if articulation is not None:
            self._attempt(lambda: validate_uses(name, articulation, linear, placed))
        return SourceObject(
            object_id=name,
            pose_file=pose,
            bounds=bounds,
            material=material,
            label=label,
            articulation=articulation,
            pose=object_placement(frame, pose),
            object_from_mesh=tuple((float(row[0]), float(row[1]), float(row[2])) for row in linear),
            surfaces=[surface.moved(linear) for surface in mesh],
            parts=placed,
        )

    def _pose(self, name: str) -> PoseFile:
        file = f"objects/{name}/pose.json"
        value = parse_json(self._text(file), file, allow_constants=True)
        validate_pose_finite(name, file, not_finite(value))
        pose = parse_model(PoseFile, value, file)
        validate_pose(name, file, pose)
        return pose

    def _mesh(self, name: str, file: str, default: Look) -> list[Surface]:
        if file not in self.names:
            raise MeshMissing(name, file)
        mesh = read_object_mesh(self._bytes(file), name, file, default)
        self._note_changes(name, file, mesh)
        return mesh.surfaces

    def _note_changes(self, name: str, file: str, mesh: SourceMesh) -> None:
        if mesh.changes:
            self._remark("scene.mesh_mended", name, f"{file} was mended: {'; '.join(mesh.changes)}.")
        if losses := mesh.losses:
            more = f", and {len(losses) - _MAX_LOSSES} more" if len(losses) > _MAX_LOSSES else ""
            self._remark("scene.mesh_reduced", name, f"{file} holds what is not imported: {', '.join(losses[:_MAX_LOSSES])}{more}.")

    def _background(self, frame: SceneFrame, camera_pose: RigidPose | None) -> list[Surface]:
        file = "background/mesh.glb"
        if file not in self.names:
            self._remark("scene.file_absent", file, f"{file} is missing; the scene has no background.")
            return []
        linear = frame.rotation_world_scene * frame.meters_per_unit
        eye_m = None if camera_pose is None else camera_pose.position_m
        mesh = read_background_mesh(self._bytes(file), file, linear, eye_m)
        self._note_changes("background", file, mesh)
        return mesh.surfaces

    def _parts(self, name: str, articulation: ArticulationFile, default: Look) -> dict[str, list[Surface]]:
        """Surfaces of every part, in the frame and unit of the mesh."""
        validate_articulation(name, articulation)
        files = {part: part_file(name, path) for part, path in articulation.parts.items()}
        for file in files.values():
            if file not in self.names:
                raise SourceFileMissing(file)
        return {part: self._mesh(name, file, default) for part, file in files.items()}
