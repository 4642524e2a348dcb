"""Triangle surfaces with their looks, read from binary glTF.

Vertices (V, 3), faces (F, 3) of vertex indices, texture coordinates (V, 2) with v up. The frame and unit are those of the caller.
"""

import io
import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.errors import SceneError

_GLB_MAGIC, _GLB_VERSION, _JSON_CHUNK = 0x46546C67, 2, 0x4E4F534A
_HEADER_BYTES, _CHUNK_HEADER_BYTES = 12, 8
_MIN_AREA_SHARE = 1e-10
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What trimesh and Pillow raise on damaged files, found by changing bytes at random."""


class MeshEmpty(SceneError):
    """A mesh has no surface."""

    code = "scene.mesh_empty"
    template = "The mesh of object {object_id} is empty: {file} {problem}. Expected triangles with an area."

    object_id: str
    file: str
    problem: str


class MeshUnreadable(SceneError):
    """A mesh file is damaged or uses what we do not read."""

    code = "scene.mesh_unreadable"
    template = (
        "The mesh of object {object_id} is unreadable: {file} {problem}. Expected a whole, self-contained binary "
        "glTF 2.0 file: export it again."
    )

    object_id: str
    file: str
    problem: str


@dataclass(frozen=True)
class Look:
    """How a surface looks: linear factors in 0..1, and an sRGB texture that they multiply."""

    base_color: tuple[float, float, float, float]
    metallic: float
    roughness: float
    texture: Image.Image | None = None

    def key(self) -> tuple[object, ...]:
        """Equal for looks that can be drawn together."""
        pixels = None if self.texture is None else (self.texture.mode, self.texture.size, self.texture.tobytes())
        return (self.base_color, round(self.metallic, 4), round(self.roughness, 4), pixels)


@dataclass(frozen=True)
class Surface:
    """One piece of an object, with one look."""

    vertices: FloatArray
    faces: NDArray[np.int64]
    uv: FloatArray | None
    look: Look

    def moved(self, linear: FloatArray, offset: FloatArray | None = None) -> "Surface":
        """The surface under a linear map (3, 3) and an offset (3,); faces keep their outside under a mirroring map."""
        vertices = self.vertices @ linear.T + (0.0 if offset is None else offset)
        faces = self.faces if np.linalg.det(linear) > 0 else self.faces[:, ::-1]
        return replace(self, vertices=vertices, faces=faces)


def parse_glb(data: bytes, object_id: str, file: str) -> list[Surface]:
    """Surfaces of a binary glTF file, node transforms applied, in the order in which the file names them.

    Args:
        data: The file's bytes.
        object_id: For messages.
        file: For messages.

    Raises:
        MeshUnreadable: The file is truncated or damaged, refers to other files, or holds vertices that are not finite.
        MeshEmpty: It holds no triangle with an area.
    """
    _validate_container(data, object_id, file)
    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type="glb", process=False)
        surfaces = [_surface(scene, node) for node in sorted(scene.graph.nodes_geometry, key=_natural)]
    except SceneError:
        raise
    except _DAMAGED as error:
        raise MeshUnreadable(object_id, file, f"is damaged ({type(error).__name__}: {str(error)[:160]})") from error
    surfaces = [surface for surface in surfaces if len(surface.faces)]
    if not surfaces:
        raise MeshEmpty(object_id, file, "holds no triangle")
    for surface in surfaces:
        if not np.isfinite(surface.vertices).all():
            raise MeshUnreadable(object_id, file, "is damaged: vertices are not finite")
        if surface.faces.min() < 0 or surface.faces.max() >= len(surface.vertices):
            raise MeshUnreadable(object_id, file, f"is damaged: a triangle uses vertex {surface.faces.max()} of {len(surface.vertices)}")
        if surface.uv is not None and (len(surface.uv) != len(surface.vertices) or not np.isfinite(surface.uv).all()):
            raise MeshUnreadable(object_id, file, "is damaged: texture coordinates are not finite, or not one a vertex")
    solid = merge_positions(surfaces)
    if solid.area <= _MIN_AREA_SHARE * max(float(solid.scale) ** 2, 1e-30):
        raise MeshEmpty(object_id, file, "holds triangles without an area")
    return surfaces


def merge_positions(surfaces: list[Surface]) -> trimesh.Trimesh:
    """One mesh of all surfaces, vertices at the same place made one, triangles without an area dropped; looks are lost."""
    offsets = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    mesh = trimesh.Trimesh(
        np.vstack([surface.vertices for surface in surfaces]),
        np.vstack([surface.faces + offset for surface, offset in zip(surfaces, offsets, strict=False)]),
        process=False,
    )
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    faces = mesh.faces
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    mesh.update_faces(distinct)
    mesh.remove_unreferenced_vertices()
    return mesh


def merge_looks(surfaces: list[Surface]) -> list[Surface]:
    """Surfaces of equal look made one, in order of first appearance."""
    groups: dict[tuple[object, ...], list[Surface]] = {}
    for surface in surfaces:
        groups.setdefault((*surface.look.key(), surface.uv is None), []).append(surface)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[Surface]) -> Surface:
    offsets = np.cumsum([0, *(len(surface.vertices) for surface in group)])
    faces = np.vstack([surface.faces + offset for surface, offset in zip(group, offsets, strict=False)])
    uv = None if group[0].uv is None else np.vstack([surface.uv for surface in group if surface.uv is not None])
    return Surface(np.vstack([surface.vertices for surface in group]), faces, uv, group[0].look)


def _validate_container(data: bytes, object_id: str, file: str) -> None:
    if len(data) < _HEADER_BYTES + _CHUNK_HEADER_BYTES:
        raise MeshUnreadable(object_id, file, f"is truncated: it has {len(data)} bytes, less than a header")
    magic, version, length, json_bytes, kind = struct.unpack_from("<5I", data)
    if magic != _GLB_MAGIC or version != _GLB_VERSION or kind != _JSON_CHUNK:
        raise MeshUnreadable(object_id, file, "is damaged: it does not begin as binary glTF 2.0 does")
    if length > len(data):
        raise MeshUnreadable(object_id, file, f"is truncated: its header claims a length of {length} bytes, the file has {len(data)}")
    start = _HEADER_BYTES + _CHUNK_HEADER_BYTES
    try:
        tree = json.loads(data[start : start + json_bytes])
    except (ValueError, RecursionError) as error:
        raise MeshUnreadable(object_id, file, f"is damaged: its JSON cannot be read ({error})") from error
    for uri in _references(tree):
        if not uri.startswith("data:"):
            raise MeshUnreadable(object_id, file, f"refers to another file ('{uri[:80]}')")


def _references(tree: object) -> Iterator[str]:
    """Addresses of what a glTF file keeps outside of its own buffer."""
    for group in ("buffers", "images"):
        listed = tree.get(group) if isinstance(tree, dict) else None
        for item in listed if isinstance(listed, list) else []:
            if isinstance(item, dict) and item.get("uri"):
                yield str(item["uri"])


def _natural(name: str) -> list[tuple[int, int, str]]:
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", name)]


def _surface(scene: trimesh.Scene, node: str) -> Surface:
    transform, name = scene.graph[node]
    mesh = scene.geometry[name]
    if not isinstance(mesh, trimesh.Trimesh):
        return Surface(np.empty((0, 3)), np.empty((0, 3), dtype=np.int64), None, Look((1.0, 1.0, 1.0, 1.0), 0.0, 1.0))
    uv = getattr(mesh.visual, "uv", None)
    surface = Surface(
        np.asarray(mesh.vertices, dtype=np.float64),
        np.asarray(mesh.faces, dtype=np.int64),
        None if uv is None else np.asarray(uv, dtype=np.float64),
        _look(mesh),
    )
    return surface.moved(np.asarray(transform[:3, :3]), np.asarray(transform[:3, 3]))


def _look(mesh: trimesh.Trimesh) -> Look:
    visual = mesh.visual
    if not isinstance(visual, TextureVisuals):
        color = np.ones(4) if visual is None else np.asarray(visual.main_color, dtype=np.float64) / 255.0
        return Look((color[0], color[1], color[2], color[3]), 0.0, 0.6)
    material = visual.material if isinstance(visual.material, PBRMaterial) else visual.material.to_pbr()
    factor = np.ones(4) if material.baseColorFactor is None else np.asarray(material.baseColorFactor, dtype=np.float64) / 255.0
    metallic = 0.0 if material.metallicFactor is None else float(material.metallicFactor)
    roughness = 0.6 if material.roughnessFactor is None else float(material.roughnessFactor)
    texture = material.baseColorTexture if visual.uv is not None else None
    return Look(
        (float(factor[0]), float(factor[1]), float(factor[2]), float(factor[3])),
        metallic,
        roughness,
        None if texture is None else texture.convert("RGB"),
    )
