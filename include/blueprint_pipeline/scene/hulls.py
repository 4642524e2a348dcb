"""Convex hulls of points, with few vertices, and never flat."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from blueprint_pipeline.geometry.arrays import FloatArray

Hull = tuple[FloatArray, NDArray[np.int64]]
"""Vertices, shape (N, 3) [m], and outward faces, shape (F, 3)."""

HULL_VERTICES = 320
_HALF_SHEET_M = 5e-4


def convex_hull(vertices: FloatArray, most: int = HULL_VERTICES) -> Hull:
    """Convex hull with at most about ``most`` vertices, outward faces; a flat piece gets a little thickness.

    Source: Qhull manual, option TAn (stop after n vertices have been added, farthest first).
    """
    try:
        hull = ConvexHull(vertices, qhull_options="Qt")
        if len(hull.vertices) > most:
            hull = ConvexHull(vertices[hull.vertices], qhull_options=f"Qt TA{most - 4}")
    except QhullError:
        return convex_hull(thickened(vertices), most)
    used = np.unique(hull.simplices)
    number = np.full(len(hull.points), -1)
    number[used] = np.arange(len(used))
    points = np.asarray(hull.points[used])
    faces = number[hull.simplices].astype(np.int64)
    corners = points[faces]
    outward = np.einsum("ti,ti->t", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), hull.equations[:, :3])
    faces[outward < 0] = faces[outward < 0][:, ::-1]
    return points, faces


def gaps_outside(hulls: list[Hull], points: FloatArray) -> FloatArray:
    """How far each of ``points`` (N, 3) lies outside all hulls, by their planes, shape (N,) [m]; 0 within one, infinite without any."""
    gaps = np.full(len(points), np.inf)
    for vertices, _ in hulls:
        equations = ConvexHull(vertices).equations
        np.minimum(gaps, (points @ equations[:, :3].T + equations[:, 3]).max(axis=1), out=gaps)
    outside: FloatArray = np.maximum(gaps, 0.0)
    return outside


def thickened(vertices: FloatArray) -> FloatArray:
    """Points of a flat piece, moved to both sides of its plane by :data:`_HALF_SHEET_M`: what rests on it is raised by no more."""
    center = vertices.mean(axis=0)
    normal = np.linalg.svd(vertices - center)[2][2]
    both: FloatArray = np.vstack([vertices + _HALF_SHEET_M * normal, vertices - _HALF_SHEET_M * normal])
    return both
