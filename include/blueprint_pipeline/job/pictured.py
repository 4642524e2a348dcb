"""Surfaces that stand still and have room for another picture, and what is on them now.

A picture is repeated over a surface; so that wood looks like wood there, and a tile has the size of a tile, it must be laid out by length:
all in one scale, not sheared, and on each flat side without a break. A scan that is one unfolded picture has no such room: there every
piece of a surface has a place of its own, and another picture would be cut into pieces.
"""

from collections.abc import Collection
from dataclasses import dataclass

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.pictures import picture_of
from blueprint_pipeline.scene.colors import to_display, to_linear

_BYTE = 255
_SIDES = 24
"""Directions in which what is made of flat sides faces, at most."""
_EVEN = 0.02
"""How far the scale of a side may be from that of all, and how far directions of the picture from square, as a share."""
_BREAK = 0.02
"""How far pictures of one side may be out of step, in pictures."""
_FINEST_M, _COARSEST_M = 0.2, 5.0
"""Sides of a picture: smaller ones would show the same again and again, larger ones be blurred."""


@dataclass(frozen=True, kw_only=True)
class PicturedSurface:
    """A surface that another picture may be laid on."""

    material: str
    body: str
    side_m: float
    """Of one repetition of the picture."""
    rgb: FloatArray
    """The mean of what it shows now, display values (3,), without light and shade."""


def find_pictured(model: mujoco.MjModel, bodies: Collection[str]) -> list[PicturedSurface]:
    """Those of some bodies that stand still, in the model's order.

    A surface is the one geom of a material that has a picture of its own: others would change with it.
    """
    found = []
    for material in range(model.nmat):
        geoms, texture = np.flatnonzero(model.geom_matid == material), picture_of(model, material)
        if texture is None or len(geoms) != 1 or (model.mat_texid == texture).sum() != 1 or not model.material(material).name:
            continue
        geom = int(geoms[0])
        body, side_m = model.body(int(model.geom_bodyid[geom])).name, _side_m(model, geom)
        if body in bodies and side_m is not None and model.mat_rgba[material, 3] >= 1.0:
            rgb = _mean_rgb(model, material, texture)
            found.append(PicturedSurface(material=model.material(material).name, body=body, side_m=side_m, rgb=rgb))
    return found


def _mean_rgb(model: mujoco.MjModel, material: int, texture: int) -> FloatArray:
    """Display values (3,) of a material with a picture: the mean over the picture, taken in linear light."""
    start, size = int(model.tex_adr[texture]), int(model.tex_height[texture] * model.tex_width[texture] * model.tex_nchannel[texture])
    texels = model.tex_data[start : start + size].reshape(-1, model.tex_nchannel[texture]) / _BYTE
    plain = to_linear(model.mat_rgba[material, :3].astype(np.float64))
    return to_display(plain * to_linear(texels).mean(axis=0))


def _side_m(model: mujoco.MjModel, geom: int) -> float | None:
    """How long a side of the picture is where it lies; ``None``: it is not laid out by length."""
    if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_MESH or model.mesh_texcoordadr[model.geom_dataid[geom]] < 0:
        return None
    corners_m, corners_uv = _corners(model, int(model.geom_dataid[geom]))
    normals = np.cross(corners_m[:, 1] - corners_m[:, 0], corners_m[:, 2] - corners_m[:, 0])
    twice_m2 = np.linalg.norm(normals, axis=1)
    real = twice_m2 > 1e-4 * twice_m2.max()
    corners_m, corners_uv, normals = corners_m[real], corners_uv[real], normals[real] / twice_m2[real, None]
    facing = np.unique(np.round(normals, 2) + 0.0, axis=0, return_inverse=True)[1].ravel()
    if facing.max() >= _SIDES:
        return None
    scales = []
    for side in range(facing.max() + 1):
        scale = _scale_of_side(
            corners_m[facing == side].reshape(-1, 3), corners_uv[facing == side].reshape(-1, 2), normals[facing == side][0]
        )
        if scale is None:
            return None
        scales.append(scale)
    if max(scales) - min(scales) > _EVEN * min(scales):
        return None
    side_m = 1.0 / float(np.mean(scales))
    return side_m if _FINEST_M <= side_m <= _COARSEST_M else None


def _scale_of_side(points_m: FloatArray, uv: FloatArray, normal: FloatArray) -> float | None:
    """How many pictures lie on a metre of what faces one way, where that is one number; ``None``: it is not.

    Args:
        points_m: (n, 3), three for each triangle.
        uv: Places in the picture of the same, (n, 2).
        normal: Where it faces, (3,).
    """
    first = np.linalg.lstsq(points_m[1:3] - points_m[0], uv[1:3] - uv[0], rcond=None)[0]  # within the first triangle
    scale_u, scale_v = np.linalg.norm(first, axis=0)
    square = abs(scale_u - scale_v) <= _EVEN * scale_u and abs(first[:, 0] @ first[:, 1]) <= _EVEN * scale_u * scale_v
    along = points_m - points_m[0]
    along -= np.outer(along @ normal, normal)
    off = uv - uv[0] - along @ first
    off -= np.round(off)  # whole pictures further it shows the same
    return float((scale_u + scale_v) / 2) if square and np.abs(off).max() <= _BREAK else None


def _corners(model: mujoco.MjModel, mesh: int) -> tuple[FloatArray, FloatArray]:
    """Of each triangle of a mesh its corners [m], (n, 3, 3), and their places in the picture, (n, 3, 2)."""
    faces = slice(model.mesh_faceadr[mesh], model.mesh_faceadr[mesh] + model.mesh_facenum[mesh])
    corners_m = model.mesh_vert[model.mesh_vertadr[mesh] + model.mesh_face[faces]].astype(np.float64)
    return corners_m, model.mesh_texcoord[model.mesh_texcoordadr[mesh] + model.mesh_facetexcoord[faces]].astype(np.float64)
