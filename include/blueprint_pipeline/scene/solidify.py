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
from blueprint_pipeline.scene.cutting import bodies_of
from blueprint_pipeline.scene.mass import with_small_holes_closed

_MAX_FACES = 6000
"""Of a mesh that is no solid once it is simplified, and is tried as it was."""
_SMOOTHED = 0.25
"""Of a cell: how far simplification may move the surface of a layer."""
_REACH = 0.9
"""Of a cell: half of it is the layer, the rest what its surface is off by."""
_MARGIN = 2
_DILATION = 3
_SPACING = 0.65
"""Of the step, between rows of points and within them; 0.89 would do, and make a rough layer of more triangles."""
_MAX_POINTS = 2_000_000
"""Of a surface that a layer is made of: where that many are too few, its cells are larger."""
_MIN_CELLS = 4


@dataclass(frozen=True)
class MadeSolid:
    """A solid, and how far off the mesh's surface it may lie [m]; 0 for the mesh itself."""

    solid: Manifold
    off_m: float


def solidify(mesh: trimesh.Trimesh, thin: trimesh.Trimesh, cells: int) -> MadeSolid | None:
    """The solid of a mesh, of which ``thin`` has fewer faces; a layer has ``cells`` cells along the longest side.

    ``None`` where neither is one.
    """
    for tried in [thin, mesh] if len(mesh.faces) <= _MAX_FACES else [thin]:
        closed = with_small_holes_closed(tried)
        solid = Manifold(Mesh64(np.asarray(closed.vertices), np.asarray(closed.faces, dtype=np.uint64)))
        if solid.status() == Error.NoError and solid.volume() != 0 and _is_sound(whole := _united(solid)):
            return MadeSolid(whole, 0.0)
    return _layer(thin, cells)


def _is_sound(solid: Manifold) -> bool:
    """Whether the library made what was asked for: it reports what went wrong, and raises nothing."""
    return bool(solid.status() == Error.NoError and not solid.is_empty() and solid.volume() > 0)


def _united(solid: Manifold) -> Manifold:
    """The same without overlaps: bodies that cut through each other count twice in a volume.

    Bodies that are inside out are turned: one that stands apart is there, and one within another, a closed hollow, is filled.
    """
    bodies = [body if body.volume() > 0 else _turned(body) for body in bodies_of(solid)]
    return Manifold.batch_boolean(bodies, OpType.Add) if len(bodies) > 1 else bodies[0]


def _turned(body: Manifold) -> Manifold:
    mesh = body.to_mesh64()
    return Manifold(Mesh64(np.array(mesh.vert_properties), mesh.tri_verts[:, ::-1].copy()))


def _layer(mesh: trimesh.Trimesh, cells: int) -> MadeSolid | None:
    points = _covering_points(mesh, float(mesh.extents.max()) / cells / 2)
    if points is None:
        return _layer(mesh, cells * 2 // 3) if cells > _MIN_CELLS else None
    cell = float(mesh.extents.max()) / cells
    low = mesh.bounds[0] - _MARGIN * cell
    counts = np.ceil((mesh.extents + 2 * _MARGIN * cell) / cell).astype(int)
    depth = _depth(points, low, cell, 2 * counts + 1)
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
    smooth = solid.simplify(_SMOOTHED * cell)
    found = next((tried for tried in (smooth, solid) if _is_sound(tried)), None)
    return None if found is None else MadeSolid(found, _REACH * cell)


def _depth(points: FloatArray, low: FloatArray, cell: float, counts: NDArray[np.int64]) -> FloatArray:
    """How deep each place of a grid of half cells lies within the layer, or within what it encloses [m]; negative outside."""
    near = np.zeros(counts, dtype=bool)
    near[tuple(np.round((points - low) * 2 / cell).astype(int).T)] = True
    near = ndimage.binary_dilation(near, np.ones((3, 3, 3)), iterations=_DILATION)
    distance = np.full(counts, _DILATION * cell / 2)
    distance[near] = cKDTree(points).query(np.argwhere(near) * cell / 2 + low)[0]
    depth: FloatArray = cell / 2 - distance
    free, _ = ndimage.label(depth < 0)
    depth[(free != 0) & (free != free[0, 0, 0])] = cell
    return depth


def _covering_points(mesh: trimesh.Trimesh, step: float) -> FloatArray | None:
    """Points (N, 3) no farther than ``step`` from any place of the surface; ``None`` where they are more than may be.

    They lie in rows along the longest side of each triangle, both ends included: a sliver gives as many as it is long. What lies a spacing
    off a row, and half a spacing along it, is within the step.
    """
    corners = np.asarray(mesh.triangles)
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
    order = (sides.argmax(axis=1)[:, None] + np.arange(3)) % 3
    first, second, third = np.moveaxis(np.take_along_axis(corners, order[:, :, None], axis=1), 1, 0)
    longest, spacing = sides.max(axis=1), _SPACING * step
    doubled = np.linalg.norm(np.cross(second - first, third - first), axis=1)
    height = np.divide(doubled, longest, out=np.zeros_like(longest), where=longest > 0)
    if np.sum(height / spacing + 1) > _MAX_POINTS:
        return None
    triangle, up = _spread(height / spacing)
    length = (1 - up) * longest[triangle]
    if np.sum(length / spacing + 1) > _MAX_POINTS:
        return None
    row, along = _spread(length / spacing)
    left = first[triangle] + up[:, None] * (third - first)[triangle]
    right = second[triangle] + up[:, None] * (third - second)[triangle]
    found: FloatArray = left[row] + along[:, None] * (right - left)[row]
    return found


def _spread(lengths: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Places no farther than 1 apart along each length, both ends included: which length (N,), and the share of it (N,)."""
    counts = np.ceil(lengths).astype(int) + 1
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner, place / np.maximum(counts - 1, 1)[owner]
