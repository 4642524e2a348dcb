"""A solid of any mesh: the mesh itself where it bounds one, else everything within half a cell of its surface, and what that encloses.

The surface of such a layer lies off the mesh by at most ``off_m``; whoever makes hulls of it moves their corners back.

Source: CoACD (see :mod:`~blueprint_pipeline.scene.cutting`) makes a solid of an open mesh in the same way; manifold3d makes the surface.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from manifold3d import Error, Manifold, Mesh64, OpType
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.mass import with_small_holes_closed

_MAX_FACES = 6000
"""Of a mesh that is no solid once it is simplified, and is tried as it was."""
_SMOOTHED = 0.25
"""Of a cell: how far simplification may move the surface of a layer."""
_REACH = 0.9
"""Of a cell: half of it is the layer, the rest what its surface is off by."""
_MARGIN = 2
_DILATION = 3


@dataclass(frozen=True)
class MadeSolid:
    """A solid, and how far off the mesh's surface it may lie [m]; 0 for the mesh itself."""

    solid: Manifold
    off_m: float


def solidify(mesh: trimesh.Trimesh, thin: trimesh.Trimesh, cells: int) -> MadeSolid:
    """The solid of a mesh, of which ``thin`` has fewer faces; a layer has ``cells`` cells along the longest side."""
    for tried in [thin, mesh] if len(mesh.faces) <= _MAX_FACES else [thin]:
        closed = with_small_holes_closed(tried)
        solid = Manifold(Mesh64(np.asarray(closed.vertices), np.asarray(closed.faces, dtype=np.uint64)))
        if solid.status() == Error.NoError and solid.volume() > 0:
            return MadeSolid(_united(solid), 0.0)
    return _layer(thin, cells)


def _united(solid: Manifold) -> Manifold:
    """The same without overlaps: bodies that cut through each other count twice in a volume. Closed hollows within it are filled."""
    bodies = [body for body in solid.decompose() if body.volume() > 0]
    return Manifold.batch_boolean(bodies, OpType.Add) if len(bodies) > 1 else solid


def _layer(mesh: trimesh.Trimesh, cells: int) -> MadeSolid:
    cell = float(mesh.extents.max()) / cells
    low = mesh.bounds[0] - _MARGIN * cell
    counts = np.ceil((mesh.extents + 2 * _MARGIN * cell) / cell).astype(int)
    depth = _depth(mesh, low, cell, 2 * counts + 1)
    values = depth.ravel().tolist()  # lists are read faster than arrays, one value at a time
    (x, y, z), scale = low.tolist(), 2 / cell
    _, rows, columns = depth.shape
    last_x, last_y, last_z = (count - 1 for count in depth.shape)

    def at(px: float, py: float, pz: float) -> float:
        i, j, k = round((px - x) * scale), round((py - y) * scale), round((pz - z) * scale)
        i, j, k = min(max(i, 0), last_x), min(max(j, 0), last_y), min(max(k, 0), last_z)
        found: float = values[(i * rows + j) * columns + k]
        return found

    solid = Manifold.level_set(at, [*low, *(low + counts * cell)], cell, 0.0)
    return MadeSolid(solid.simplify(_SMOOTHED * cell), _REACH * cell)


def _depth(mesh: trimesh.Trimesh, low: FloatArray, cell: float, counts: NDArray[np.int64]) -> FloatArray:
    """How deep each place of a grid of half cells lies within the layer, or within what it encloses [m]; negative outside."""
    points = _covering_points(mesh, cell / 2)
    near = np.zeros(counts, dtype=bool)
    near[tuple(np.round((points - low) * 2 / cell).astype(int).T)] = True
    near = ndimage.binary_dilation(near, np.ones((3, 3, 3)), iterations=_DILATION)
    distance = np.full(counts, _DILATION * cell / 2)
    distance[near] = cKDTree(points).query(np.argwhere(near) * cell / 2 + low)[0]
    depth: FloatArray = cell / 2 - distance
    free, _ = ndimage.label(depth < 0)
    depth[(free != 0) & (free != free[0, 0, 0])] = cell
    return depth


def _covering_points(mesh: trimesh.Trimesh, step: float) -> FloatArray:
    """Points of every triangle, no farther than ``step`` from one another along its sides, shape (N, 3)."""
    corners = np.asarray(mesh.triangles)
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    number = np.maximum(np.ceil(sides.max(axis=1) / step).astype(int), 1)
    found = []
    for count in np.unique(number):
        first, second = (share.ravel() / count for share in np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij"))
        within = first + second <= 1 + 1e-9
        weights = np.column_stack([1 - first - second, first, second])[within]
        found.append(np.einsum("wk,tkc->twc", weights, corners[number == count]).reshape(-1, 3))
    return np.vstack(found)
