"""Triangle surfaces with their looks.

Vertices (V, 3), faces (F, 3) of vertex indices, texture coordinates (V, 2) with v up. The frame and unit are those of the caller.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from blueprint_pipeline.geometry.arrays import FloatArray

Faces = NDArray[np.int64]

_FEW = 1e-3
"""Share of faces that rounding makes alike in any fine mesh."""


@dataclass(frozen=True)
class Look:
    """How a surface looks: linear factors in 0..1, and an sRGB texture that they multiply.

    Attributes:
        base_color: Red, green, blue, alpha; 1 where there is a texture, which then holds them.
        metallic: Share of metal.
        roughness: 0 is a mirror.
        texture: RGB, or RGBA where a part of it lets light through.
        double_sided: Whether its back is drawn.
    """

    base_color: tuple[float, float, float, float]
    metallic: float
    roughness: float
    texture: Image.Image | None = None
    double_sided: bool = False

    @property
    def is_opaque(self) -> bool:
        """Whether no light passes."""
        return self.base_color[3] >= 1.0 and (self.texture is None or self.texture.mode != "RGBA")

    def key(self) -> tuple[object, ...]:
        """Equal for looks that can be drawn together."""
        texture = self.texture
        pixels = None if texture is None else (texture.mode, texture.size, hashlib.sha256(texture.tobytes()).hexdigest())
        return (self.base_color, round(self.metallic, 4), round(self.roughness, 4), self.double_sided, pixels)


WHITE = Look((1.0, 1.0, 1.0, 1.0), 0.0, 1.0)
"""Of a surface of which nothing is known."""


def stated_look(base_color: Sequence[float], metallic: float, roughness: float) -> Look:
    """The look that ``material.json`` states, linear, for what has no material in its mesh; opaque where it states no alpha."""
    red, green, blue, alpha = (*base_color, 1.0)[:4]
    return Look((red, green, blue, alpha), metallic, roughness)


@dataclass(frozen=True)
class Surface:
    """One piece of an object, with one look.

    Attributes:
        vertices: Shape (V, 3).
        faces: Shape (F, 3).
        uv: Texture coordinates, shape (V, 2), v up.
        look: Its look.
        colors: Linear colours and alpha that multiply the look, shape (V, 4).
    """

    vertices: FloatArray
    faces: NDArray[np.int64]
    uv: FloatArray | None
    look: Look
    colors: FloatArray | None = None

    def moved(self, linear: FloatArray, offset: FloatArray | None = None) -> "Surface":
        """The surface under a linear map (3, 3) and an offset (3,); faces keep their outside under a mirroring map."""
        vertices = self.vertices @ linear.T + (0.0 if offset is None else offset)
        faces = self.faces if np.linalg.det(linear) > 0 else self.faces[:, ::-1]
        return replace(self, vertices=vertices, faces=faces)


def both_sides(surface: Surface) -> Surface:
    """The surface with each face twice, outwards and inwards, for renderers that do not draw backs."""
    count = len(surface.vertices)
    uv = None if surface.uv is None else np.vstack([surface.uv, surface.uv])
    colors = None if surface.colors is None else np.vstack([surface.colors, surface.colors])
    vertices = np.vstack([surface.vertices, surface.vertices])
    return Surface(vertices, np.vstack([surface.faces, surface.faces[:, ::-1] + count]), uv, surface.look, colors)


def merge_positions(surfaces: list[Surface]) -> trimesh.Trimesh:
    """One mesh of all surfaces, vertices at the same place made one; looks are lost.

    Triangles without an area are dropped, and of those that stand twice, as the two sides of a wall with two looks do, all but the first.
    """
    offsets = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    mesh = trimesh.Trimesh(
        np.vstack([surface.vertices for surface in surfaces]),
        np.vstack([surface.faces + offset for surface, offset in zip(surfaces, offsets, strict=False)]),
        process=False,
    )
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    mesh.update_faces(~is_degenerate(np.asarray(mesh.faces)))
    mesh.update_faces(first_faces(np.asarray(mesh.faces)) == np.arange(len(mesh.faces)))
    mesh.remove_unreferenced_vertices()
    return mesh


def first_faces(faces: Faces, kinds: Faces | None = None) -> Faces:
    """Of each face (F, 3), the first one with its three vertices, whatever its winding, and with its kind (F,); shape (F,).

    A face without an area is its own first one. So is every face where hardly any stand twice: rounding does that to any fine mesh.
    """
    own = np.arange(len(faces))
    keys = np.column_stack([np.sort(faces, axis=1), np.zeros(len(faces), dtype=np.int64) if kinds is None else kinds])
    flat = is_degenerate(faces)
    keys[flat, :3] = -1 - own[flat, None]
    _, first, same = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    found: Faces = first[same.reshape(-1)]
    return found if (found != own).sum() >= _FEW * len(faces) else own


def is_degenerate(faces: Faces) -> NDArray[np.bool_]:
    """Which faces (F, 3) name a vertex twice, shape (F,)."""
    flags: NDArray[np.bool_] = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 0] == faces[:, 2])
    return flags


def merge_looks(surfaces: list[Surface]) -> list[Surface]:
    """Surfaces of equal look made one, in order of first appearance."""
    groups: dict[tuple[object, ...], list[Surface]] = {}
    for surface in surfaces:
        groups.setdefault((*surface.look.key(), surface.uv is None, surface.colors is None), []).append(surface)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[Surface]) -> Surface:
    offsets = np.cumsum([0, *(len(surface.vertices) for surface in group)])
    faces = np.vstack([surface.faces + offset for surface, offset in zip(group, offsets, strict=False)])
    vertices = np.vstack([surface.vertices for surface in group])
    uv = None if group[0].uv is None else np.vstack([surface.uv for surface in group if surface.uv is not None])
    colors = None if group[0].colors is None else np.vstack([surface.colors for surface in group if surface.colors is not None])
    return Surface(vertices, faces, uv, group[0].look, colors)
