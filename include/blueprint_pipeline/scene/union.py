"""The volume that closed parts fill together, each place counted once, where they overlap.

Measured along vertical rays: a ray is within the union where it has entered more often than it has left. Frame and unit are the mesh's.
"""

import numpy as np
import trimesh
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray

_RAYS = 200
_SHIFT = (0.5 + 1e-4, 0.5 - 7e-5)
"""Rays pass beside the middles of their cells: a ray through an edge would meet two triangles, or none."""


def overlap_share(mesh: trimesh.Trimesh) -> float:
    """Share of the volume of closed parts that lies within more than one of them; 0 for a single part."""
    part = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    if not part.any() or not _boxes_meet(np.asarray(mesh.triangles), part):
        return 0.0
    total = abs(float(mesh.volume))
    return max(0.0, 1.0 - union_properties(mesh)[0] / total) if total else 0.0


def union_properties(mesh: trimesh.Trimesh) -> tuple[float, FloatArray, FloatArray]:
    """Volume, centre of volume (3,), and second moments about it (3, 3) of the union of a mesh's parts, outsides outwards."""
    low, high = mesh.bounds
    step = (high - low)[:2] / _RAYS
    axes = [low[axis] + step[axis] * (np.arange(_RAYS) + _SHIFT[axis]) for axis in (0, 1)]
    x, y = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    ray, height, sign = _crossings(mesh, x, y)
    order = np.lexsort((height, ray))
    ray, height, sign = ray[order], height[order], sign[order]
    depth = np.cumsum(sign)
    inside = (depth[:-1] > 0) & (ray[:-1] == ray[1:])
    bottom, top, owner = height[:-1][inside], height[1:][inside], ray[:-1][inside]
    length = top - bottom
    cell = float(np.prod(step))
    volume = float(length.sum()) * cell
    points = np.column_stack([x[owner], y[owner], (bottom + top) / 2])
    center = (points * length[:, None]).sum(axis=0) / length.sum()
    offset = points - center
    second = np.einsum("n,ni,nj->ij", length, offset, offset)
    second[2, 2] += float((length**3).sum()) / 12
    second[0, 0] += float(length.sum()) * step[0] ** 2 / 12
    second[1, 1] += float(length.sum()) * step[1] ** 2 / 12
    return volume, center, second * cell


def _crossings(mesh: trimesh.Trimesh, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where vertical rays go through triangles: ray (N,), height (N,), and 1 where they enter a body from below, -1 where they leave."""
    corners = np.asarray(mesh.triangles)
    flat = corners[:, :, :2]
    along, across = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    twice = along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0]
    low, high = flat.min(axis=1), flat.max(axis=1)
    columns = [np.searchsorted(np.unique(axis), [low[:, index], high[:, index]]) for index, axis in enumerate((x, y))]
    found: list[tuple[FloatArray, ...]] = []
    for face in np.flatnonzero(twice != 0):
        first, last = columns[0][:, face], columns[1][:, face]
        if first[0] == first[1] or last[0] == last[1]:
            continue
        near = (np.arange(*first)[:, None] * _RAYS + np.arange(*last)[None]).ravel()
        offset = np.column_stack([x[near], y[near]]) - flat[face, 0]
        a, b = along[face], across[face]
        v = (offset[:, 0] * b[1] - offset[:, 1] * b[0]) / twice[face]
        w = (a[0] * offset[:, 1] - a[1] * offset[:, 0]) / twice[face]
        hit = (v >= 0) & (w >= 0) & (v + w <= 1)
        floor = corners[face, 0, 2]
        rise, climb = corners[face, 1, 2] - floor, corners[face, 2, 2] - floor
        height = floor + v[hit] * rise + w[hit] * climb
        found.append((near[hit], height, np.full(int(hit.sum()), -np.sign(twice[face]))))
    if not found:
        return np.empty(0), np.empty(0), np.empty(0)
    ray, height, sign = (np.concatenate(part) for part in zip(*found, strict=True))
    return ray, height, sign


def _boxes_meet(corners: FloatArray, part: NDArray[np.int64]) -> bool:
    """Whether the boxes of two parts have a place in common; corners of triangles (F, 3, 3), and the part of each (F,)."""
    parts = int(part.max()) + 1
    low, high = np.full((parts, 3), np.inf), np.full((parts, 3), -np.inf)
    np.minimum.at(low, part, corners.min(axis=1))
    np.maximum.at(high, part, corners.max(axis=1))
    axis = int(np.argmin([_pairs(low[:, axis], high[:, axis]) for axis in range(3)]))
    order = np.argsort(low[:, axis], kind="stable")
    low, high = low[order], high[order]
    ends = np.searchsorted(low[:, axis], high[:, axis])
    return any(
        ((low[first + 1 : end] < high[first]) & (high[first + 1 : end] > low[first])).all(axis=1).any() for first, end in enumerate(ends)
    )


def _pairs(low: FloatArray, high: FloatArray) -> int:
    """How many pairs of intervals overlap, each interval counted with itself."""
    return int((np.searchsorted(np.sort(low), high) - np.argsort(np.argsort(low, kind="stable"))).sum())
