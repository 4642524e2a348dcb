"""Turns and zooms a camera, where it stands, so that given points fill its picture.

World frame: z up, metres. Cameras are OpenGL's: x right, y up, looking along -z.
"""

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import vector3
from blueprint_pipeline.geometry.rotations import quat_from_rotation
from blueprint_pipeline.robot.placement import View

MARGIN = 1.06
"""How much more than the points the picture shows, each way."""
NARROWEST_DEG, WIDEST_DEG = 15.0, 90.0
"""Bounds of the vertical field of view: beyond the widest a pinhole picture is mostly stretched edge."""
_TURNS = 20
_STEEP = 0.999


def aim_at(position_m: FloatArray, points_m: FloatArray, aspect: float) -> View:
    """The view that shows all points as large as can be, upright, with the middle of what they cover in the middle of the picture.

    Args:
        position_m: Where the camera stands, (3,).
        points_m: What it should show, (n, 3); none of them where it stands.
        aspect: Width over height of its picture.

    Returns:
        Points that lie further apart than :data:`WIDEST_DEG` shows are not all in the picture.
    """
    position_m = np.round(position_m, 4)
    towards = points_m - position_m
    forward = _unit(np.mean(towards / np.linalg.norm(towards, axis=1, keepdims=True), axis=0))
    for _ in range(_TURNS):
        across, up = _on_picture(towards, _axes(forward))
        middle = np.array([across.max() + across.min(), up.max() + up.min(), -2.0]) / 2.0
        forward = _unit(_axes(forward) @ middle)
    axes = _axes(forward)
    across, up = _on_picture(towards, axes)
    half = MARGIN * max(float(np.abs(up).max()), float(np.abs(across).max()) / aspect)
    fovy_deg = float(np.clip(2.0 * np.degrees(np.arctan(half)), NARROWEST_DEG, WIDEST_DEG))
    return View(position_m=vector3(position_m), quat_wxyz=quat_from_rotation(axes), fovy_deg=round(fovy_deg, 4))


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / np.linalg.norm(vector)
    return unit


def _axes(forward: FloatArray) -> FloatArray:
    """Columns: the camera's x, y and z in the world. A camera that looks straight down has the world's y on top."""
    above = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < _STEEP else np.array([0.0, 1.0, 0.0])
    right = _unit(np.cross(forward, above))
    return np.column_stack([right, np.cross(right, forward), -forward])


def _on_picture(towards: FloatArray, axes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tangents of the angles across and up at which points are seen, (n,) each; a point behind the camera counts as at its side."""
    local = towards @ axes
    depth = np.maximum(-local[:, 2], 1e-3)
    return local[:, 0] / depth, local[:, 1] / depth
