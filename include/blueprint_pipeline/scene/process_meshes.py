"""From a mesh as it was reconstructed to the meshes that are simulated and drawn; cached by content, for it is slow.

Per object below ``assets/{object_id}/``: ``visual.glb`` (few triangles, small textures), ``collision/hull_000.obj`` ... (convex
pieces), ``meshes.json`` (what was done, measured).
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.scene.canonical_files import json_bytes, rounded
from blueprint_pipeline.scene.decimate import MAX_TEXTURE_PX, draw_with
from blueprint_pipeline.scene.decompose import PARAMETERS, decompose
from blueprint_pipeline.scene.manifest import asset_folder
from blueprint_pipeline.scene.mesh_files import build_glb, build_obj
from blueprint_pipeline.scene.room import PARAMETERS as ROOM_PARAMETERS
from blueprint_pipeline.scene.room import decompose_room
from blueprint_pipeline.scene.surfaces import Surface, merge_looks, merge_positions
from blueprint_pipeline.twin.body_names import BodyName
from blueprint_pipeline.workspace.canonical import key_of
from blueprint_pipeline.workspace.storage import SceneFolder

MAX_SCENE_TRIANGLES = 12_000
"""Visual triangles of a whole scene: what a software renderer draws in a few milliseconds."""
MAX_OBJECT_TRIANGLES = 2_500
_MIN_TRIANGLES = 12
_FULL_TEXTURES = 4
"""Textures of one object that may have the full size; of more, each is smaller, so that all take no more memory."""
_VISUAL_VERSION = "11"
_REPORT = "report.json"
_INDEX = TypeAdapter(Annotated[dict[str, str], Field(min_length=1)])
"""sha256 of each file of a cache entry."""


class VisualReport(FrozenModel):
    """What was made for drawing."""

    triangles_before: int
    triangles_after: int
    surfaces: int
    textures_px: tuple[tuple[int, int], ...]


class CollisionReport(FrozenModel):
    """What was made for collision."""

    method: str
    hulls: int
    overfill: float
    """Share of points in free space, ``clearance_m`` off the surface, that the convex pieces cover."""
    clearance_m: float
    gap_m: float
    """Farthest that a point of the surface lies outside all convex pieces."""
    solid_share: float
    """Share of the surface (of a background, without the floor) that lies outside all convex pieces by no more than the clearance."""


class MeshReport(FrozenModel):
    """``meshes.json`` of one object: what was made of its mesh."""

    schema_version: Literal["1.0"] = "1.0"
    object_id: BodyName
    """Of an articulated object it is its base; its parts have files of their own."""
    visual: VisualReport
    collision: CollisionReport
    origin: Origin = Origin.MEASURED


def collision_folder(name: str) -> str:
    """Where the convex pieces of an object, or of a part of one, lie in the scene's folder."""
    return f"{asset_folder(name)}/collision"


def share_triangles(counts: Mapping[str, int]) -> int:
    """Most triangles an object may keep, so that none has more than :data:`MAX_OBJECT_TRIANGLES` and all together fit the scene."""
    low, high = 1, MAX_OBJECT_TRIANGLES
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(count, middle) for count in counts.values()) <= MAX_SCENE_TRIANGLES:
            low = middle
        else:
            high = middle - 1
    return low


def build_visual(name: str, surfaces: list[Surface], max_triangles: int) -> dict[str, bytes]:
    """``visual.glb`` of an object and its report, from surfaces in the frame that they must have [m]."""
    visual = _visual(surfaces, max_triangles)
    report = VisualReport(
        triangles_before=_drawn_triangles(surfaces),
        triangles_after=_drawn_triangles(visual),
        surfaces=len(visual),
        textures_px=tuple(surface.look.texture.size for surface in visual if surface.look.texture is not None),
    )
    return {"visual.glb": build_glb(name, visual), _REPORT: json_bytes(report)}


def build_collision(job: "MeshJob") -> dict[str, bytes]:
    """``collision/hull_000.obj`` ... of an object or of the background, and its report."""
    mesh = merge_positions(job.surfaces)
    pieces = decompose(mesh) if job.eye_m is None else decompose_room(mesh, np.asarray(job.eye_m))
    report = CollisionReport(
        method=pieces.method,
        hulls=len(pieces.hulls),
        overfill=rounded(pieces.overfill, 6),
        clearance_m=rounded(pieces.clearance_m, 6),
        gap_m=rounded(pieces.gap_m, 6),
        solid_share=rounded(pieces.solid_share, 6),
    )
    files = {f"collision/hull_{index:03d}.obj": build_obj(vertices, faces) for index, (vertices, faces) in enumerate(pieces.hulls)}
    return {**files, _REPORT: json_bytes(report)}


@dataclass(frozen=True)
class MeshJob:
    """One mesh to process: of an object, of a part of one, or of the background.

    Attributes:
        name: Object id, part, or ``background``.
        source_sha256: Of the mesh that was ingested.
        surfaces: In the frame that they must have [m].
        eye_m: Of the background: a point from which its front is seen, in the world.
    """

    name: str
    source_sha256: str
    surfaces: list[Surface]
    eye_m: tuple[float, float, float] | None = None

    @property
    def triangles(self) -> int:
        """Triangles that are drawn, before any are saved."""
        return _drawn_triangles(self.surfaces)


@dataclass(frozen=True)
class _Keys:
    """Where the parts of a job's result are kept."""

    visual: str
    collision: str


def _keys(job: MeshJob, max_triangles: int) -> _Keys:
    placed = hashlib.sha256(b"".join(surface.vertices.tobytes() + surface.faces.tobytes() for surface in job.surfaces)).hexdigest()
    identity = {"mesh": job.source_sha256, "placed": placed}
    looks = [(look.base_color, look.metallic, look.roughness, look.double_sided) for look in (surface.look for surface in job.surfaces)]
    visual = {**identity, "looks": looks, "name": job.name, "triangles": min(max_triangles, job.triangles), "method": _VISUAL_VERSION}
    collision = {**identity, "eye": job.eye_m, "method": PARAMETERS if job.eye_m is None else f"{ROOM_PARAMETERS} {PARAMETERS}"}
    return _Keys(key_of(visual), key_of(collision))


def find_mesh(job: MeshJob, cache: "MeshCache", max_triangles: int) -> dict[str, bytes] | None:
    """What :func:`process_mesh` returns, if all of it is in the cache."""
    keys = _keys(job, max_triangles)
    visual, collision = cache.find(keys.visual), cache.find(keys.collision)
    return None if visual is None or collision is None else _join(job, visual, collision)


def process_mesh(job: MeshJob, cache: "MeshCache", max_triangles: int) -> dict[str, bytes]:
    """Files of an object (or the background) by name below ``assets/{name}/``: found in the cache, or made and kept there.

    Args:
        job: What to process.
        cache: Where slow work is kept.
        max_triangles: Most triangles to draw.
    """
    keys = _keys(job, max_triangles)
    visual = cache.find(keys.visual)
    if visual is None:
        visual = cache.put(keys.visual, build_visual(job.name, job.surfaces, max_triangles))
    collision = cache.find(keys.collision)
    if collision is None:
        collision = cache.put(keys.collision, build_collision(job))
    return _join(job, visual, collision)


def _join(job: MeshJob, visual: dict[str, bytes], collision: dict[str, bytes]) -> dict[str, bytes]:
    report = MeshReport(
        object_id=job.name,
        visual=VisualReport.model_validate_json(visual[_REPORT]),
        collision=CollisionReport.model_validate_json(collision[_REPORT]),
    )
    files = {file: data for part in (visual, collision) for file, data in part.items() if file != _REPORT}
    return {**files, "meshes.json": json_bytes(report)}


def _visual(surfaces: list[Surface], max_triangles: int) -> list[Surface]:
    merged = [surface for surface in merge_looks(surfaces) if merge_positions([surface]).area > 0]  # what has no area cannot be seen
    total = _drawn_triangles(merged)
    pictures = sum(surface.look.texture is not None or surface.colors is not None for surface in merged)
    side = int(MAX_TEXTURE_PX * min(1.0, (_FULL_TEXTURES / max(pictures, 1)) ** 0.5))
    share = min(1.0, max_triangles / total)
    return [draw_with(surface, max(_MIN_TRIANGLES, int(len(surface.faces) * share)), side) for surface in merged]


def _drawn_triangles(surfaces: list[Surface]) -> int:
    """Triangles that MuJoCo draws: both sides count where both are seen."""
    return sum(len(surface.faces) * (2 if surface.look.double_sided else 1) for surface in surfaces)


class MeshCache:
    """Processed meshes by content: keys hash the source mesh, where it is placed, what is done to it, and with which parameters.

    A damaged entry is made again; entries appear whole or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> dict[str, bytes] | None:
        """Files of an entry; ``None`` if it is missing or damaged."""
        entry = self._folder / key
        index = entry / "index.json"
        if not index.is_file():
            return None
        try:
            digests = _INDEX.validate_json(index.read_bytes())
        except ValidationError:
            return None
        files = {}
        for name, sha256 in digests.items():
            path = entry / name
            data = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(data).hexdigest() != sha256:
                return None
            files[name] = data
        return files

    def find_or_make(self, key: str, make: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
        """Files of an entry; made and kept if it is missing or damaged."""
        found = self.find(key)
        return self.put(key, make()) if found is None else found

    def put(self, key: str, files: dict[str, bytes]) -> dict[str, bytes]:
        """Keep files under a key, and return them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".part-", dir=self._folder))
        for name, data in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (beside / "index.json").write_bytes(json_bytes({name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}))
        shutil.rmtree(self._folder / key, ignore_errors=True)
        try:
            beside.replace(self._folder / key)
        except OSError:  # another process put the same entry first
            shutil.rmtree(beside)
        return files


def load_overfill(scene: SceneFolder, object_id: str) -> float:
    """Share of the free space close to an object that its convex pieces cover."""
    return load_mesh_report(scene, object_id).collision.overfill


def load_mesh_report(scene: SceneFolder, object_id: str) -> MeshReport:
    """Read what was made of an object's mesh."""
    return MeshReport.model_validate_json(scene.read_bytes(f"{asset_folder(object_id)}/meshes.json"))
