"""The colour that an object is drawn in, and whether a word for it is true: who reads a sentence looks at the picture."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.colors import to_display, to_linear
from blueprint_pipeline.twin.footprint import bodies_of
from blueprint_pipeline.twin.sight import COLLISION_GROUP

_BYTE = 255
_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_LEAST_CHROMA = 15.0
"""Of what has a hue at all."""
_PLAIN = {"black": (0.0, 35.0, 25.0), "white": (65.0, 100.0, 20.0)} | dict.fromkeys(("grey", "gray", "silver"), (30.0, 85.0, 15.0))
"""Colours without a hue: lowest and highest lightness, largest chroma."""
_HUED = {
    "red": (-20.0, 55.0, 0.0, 100.0),
    "pink": (-40.0, 40.0, 55.0, 100.0),
    "orange": (40.0, 80.0, 45.0, 100.0),
    "brown": (30.0, 95.0, 0.0, 65.0),
    "yellow": (70.0, 120.0, 50.0, 100.0),
    "green": (105.0, 205.0, 0.0, 100.0),
    "blue": (200.0, 315.0, 0.0, 100.0),
    "purple": (295.0, 350.0, 0.0, 100.0),
}
"""The others: first and last hue [deg], lowest and highest lightness."""
COLOURS = frozenset({*_PLAIN, *_HUED})


def is_colour_of(word: str, display: FloatArray) -> bool:
    """Whether one says a word of :data:`COLOURS` of display values (3,); neighbours overlap, as people's words do.

    Source: CIE 1976 L*a*b*, for the white point D65; bounds are ours.
    """
    lightness, chroma, hue = _lightness_chroma_hue(display)
    if word in _PLAIN:
        low, high, largest = _PLAIN[word]
        return low <= lightness <= high and chroma <= largest
    first, last, low, high = _HUED[word]
    return chroma >= _LEAST_CHROMA and (hue - first) % 360.0 <= last - first and low <= lightness <= high


def mean_color(model: mujoco.MjModel, object_id: str) -> FloatArray | None:
    """Display values (3,) of what is drawn of an object, without light and shade: the mean over its surface, taken in linear light.

    ``None``: nothing of it is drawn.
    """
    drawn = np.isin(model.geom_bodyid, bodies_of(model, object_id)) & (model.geom_group != COLLISION_GROUP)
    if not drawn.any():
        return None
    areas, colors = zip(*(_surface(model, geom) for geom in np.flatnonzero(drawn).tolist()), strict=True)
    return to_display(np.average(np.concatenate(colors), axis=0, weights=np.concatenate(areas)))


def difference(display: FloatArray, other: FloatArray) -> float:
    """How far apart two colours (3,) are to the eye; about 2 is just seen, black and white are 100 apart.

    Source: CIE 1976, the distance in L*a*b*.
    """
    return float(np.linalg.norm(_lab(display) - _lab(other)))


def _lightness_chroma_hue(display: FloatArray) -> tuple[float, float, float]:
    """L*, C* and the hue [deg] of display values (3,)."""
    lightness, a, b = _lab(display).tolist()
    return lightness, float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a)))


def _lab(display: FloatArray) -> FloatArray:
    """L*, a*, b* of display values (3,)."""
    share = _TO_XYZ @ to_linear(display) / _TO_XYZ.sum(axis=1)
    curved = np.where(share > (6 / 29) ** 3, np.cbrt(share), share * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116.0 * curved[1] - 16.0, 500.0 * (curved[0] - curved[1]), 200.0 * (curved[1] - curved[2])])


def _surface(model: mujoco.MjModel, geom: int) -> tuple[FloatArray, FloatArray]:
    """Areas (n,) and linear colours (n, 3) of a geom's triangles; of a primitive one of each."""
    material = int(model.geom_matid[geom])
    rgba = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
    plain = to_linear(np.asarray(rgba[:3], dtype=np.float64))
    if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_MESH:
        x, y, z = model.geom_aabb[geom, 3:]
        return np.array([x * y + y * z + z * x]), plain[None]
    mesh = int(model.geom_dataid[geom])
    faces = slice(model.mesh_faceadr[mesh], model.mesh_faceadr[mesh] + model.mesh_facenum[mesh])
    corners = model.mesh_vert[model.mesh_vertadr[mesh] + model.mesh_face[faces]].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    texture = -1 if material < 0 else int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
    if texture < 0 or model.mesh_texcoordadr[mesh] < 0:
        return areas, np.tile(plain, (len(areas), 1))
    uv = model.mesh_texcoord[model.mesh_texcoordadr[mesh] + model.mesh_facetexcoord[faces]].mean(axis=1)
    return areas, plain * to_linear(_texels(model, texture, uv) / _BYTE)


def _texels(model: mujoco.MjModel, texture: int, uv: NDArray[np.float32]) -> FloatArray:
    """Red, green and blue (n, 3), 0 to 255, of a texture at coordinates (n, 2)."""
    height, width, channels = (int(size[texture]) for size in (model.tex_height, model.tex_width, model.tex_nchannel))
    start = int(model.tex_adr[texture])
    picture = model.tex_data[start : start + height * width * channels].reshape(height, width, channels)
    texels: FloatArray = picture[(uv[:, 1] * height).astype(int) % height, (uv[:, 0] * width).astype(int) % width, :3].astype(np.float64)
    return texels
