"""From a mesh as it was reconstructed to the meshes that are simulated and drawn; cached by content, for it is slow.

Per object below ``assets/{object_id}/``: ``visual.glb`` (few triangles, small textures), ``collision/hull_000.obj`` ... (convex
pieces), ``meshes.json`` (what was done, measured).
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from blueprint.origin import Origin
from blueprint.scene.canonical_files import json_bytes, rounded
from blueprint.scene.decimate import decimate, shrink_texture
from blueprint.scene.decompose import PARAMETERS, decompose
from blueprint.scene.mesh_files import build_glb, build_obj
from blueprint.scene.surfaces import Surface, merge_looks, merge_positions
from blueprint.workspace.canonical import key_of
from blueprint.workspace.storage import Id, SceneFolder

MAX_SCENE_TRIANGLES = 12_000
"""Visual triangles of a whole scene: what a software renderer draws in a few milliseconds."""
MAX_OBJECT_TRIANGLES = 2_500
_VERSION = "5"


class MeshReport(BaseModel):
    """``meshes.json`` of one object: what was made of its mesh."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.0"] = "1.0"
    object_id: Id
    triangles_before: int
    triangles_after: int
    surfaces: int
    textures_px: tuple[tuple[int, int], ...]
    collision_method: str
    collision_hulls: int
    collision_overfill: float
    """Share of points in free space, ``clearance_m`` off the surface, that the convex pieces cover."""
    clearance_m: float
    origin: Origin = Origin.MEASURED


def collision_folder(object_id: str) -> str:
    """Where an object's convex pieces lie in the scene's folder."""
    return f"assets/{object_id}/collision"


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


def process_object(object_id: str, surfaces: list[Surface], max_triangles: int) -> dict[str, bytes]:
    """Files of an object by name below ``assets/{object_id}/``, from its surfaces in its own frame [m]."""
    visual = _visual(surfaces, max_triangles)
    pieces = decompose(merge_positions(surfaces))
    files = {"visual.glb": build_glb(object_id, visual)}
    files |= {f"collision/hull_{index:03d}.obj": build_obj(vertices, faces) for index, (vertices, faces) in enumerate(pieces.hulls)}
    report = MeshReport(
        object_id=object_id,
        triangles_before=sum(len(surface.faces) for surface in surfaces),
        triangles_after=sum(len(surface.faces) for surface in visual),
        surfaces=len(visual),
        textures_px=tuple(surface.look.texture.size for surface in visual if surface.look.texture is not None),
        collision_method=pieces.method,
        collision_hulls=len(pieces.hulls),
        collision_overfill=rounded(pieces.overfill, 6),
        clearance_m=rounded(pieces.clearance_m, 6),
    )
    return {**files, "meshes.json": json_bytes(report)}


def process_background(surfaces: list[Surface], max_triangles: int, bearing: list[int]) -> dict[str, bytes]:
    """Files of the background, in the world: it is drawn; parts that bear objects (``bearing``, by index) collide as their hulls."""
    files = {"visual.glb": build_glb("background", _visual(surfaces, max_triangles))}
    pieces = [piece for index in bearing for piece in decompose(merge_positions([surfaces[index]])).hulls]
    return files | {f"collision/hull_{index:03d}.obj": build_obj(vertices, faces) for index, (vertices, faces) in enumerate(pieces)}


def _visual(surfaces: list[Surface], max_triangles: int) -> list[Surface]:
    merged = [shrink_texture(surface) for surface in merge_looks(surfaces)]
    total = sum(len(surface.faces) for surface in merged)
    if total <= max_triangles:
        return merged
    return [decimate(surface, max(12, len(surface.faces) * max_triangles // total)) for surface in merged]


class MeshCache:
    """Processed meshes by content: the source mesh's hash, what is done to it, and with which parameters.

    A damaged entry is made again; entries appear whole or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def key(self, source: bytes, parameters: Mapping[str, object]) -> str:
        """Name of the entry of a source file processed with these parameters."""
        return key_of({"mesh": hashlib.sha256(source).hexdigest(), "method": PARAMETERS, "version": _VERSION, **parameters})

    def find(self, key: str) -> dict[str, bytes] | None:
        """Files of an entry; ``None`` if it is not there or not whole."""
        entry = self._folder / key
        index = entry / "index.json"
        if not index.is_file():
            return None
        files = {}
        for name, sha256 in json.loads(index.read_bytes()).items():
            path = entry / name
            data = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(data).hexdigest() != sha256:
                return None
            files[name] = data
        return files

    def put(self, key: str, files: Mapping[str, bytes]) -> None:
        """Keep files under a key."""
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


def load_mesh_report(scene: SceneFolder, object_id: str) -> MeshReport:
    """Read what was made of an object's mesh."""
    return MeshReport.model_validate_json(scene.read_bytes(f"assets/{object_id}/meshes.json"))
