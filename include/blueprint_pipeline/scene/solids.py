"""Meshes in the world, and what can be measured between two of them: how far they overlap, how far one hangs above the other.

World frame: z up, metres. Meshes may be concave (a spoon in a bowl overlaps with its hull, and not with the bowl), so everything is
measured on triangles; boxes come first only to be quick.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import trimesh

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.mass import is_closed
from blueprint_pipeline.scene.slabs import encloses

_START_M = 0.003
"""Rays begin this far within the other side, so that touching surfaces are seen in spite of small overlaps."""
_GRID = 14
_SEARCH_M = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_INSIDE_SAMPLES = 16
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Solid:
    """One thing in the world.

    Attributes:
        name: For messages.
        mesh: In the world.
        eye_m: (3,): a point that nothing is solid around; what is closed about it is the shell of a room.
    """

    name: str
    mesh: trimesh.Trimesh
    eye_m: FloatArray

    @cached_property
    def low(self) -> FloatArray:
        """Lowest corner of its box [m], shape (3,)."""
        return np.asarray(self.mesh.bounds[0])

    @cached_property
    def high(self) -> FloatArray:
        """Highest corner of its box [m], shape (3,)."""
        return np.asarray(self.mesh.bounds[1])

    @cached_property
    def edges(self) -> FloatArray:
        """Both ends of every edge, shape (E, 2, 3)."""
        return np.asarray(self.mesh.vertices[self.mesh.edges_unique])

    @cached_property
    def closed(self) -> bool:
        """Whether it has an inside that it fills."""
        return is_closed(self.mesh) and not encloses(self.mesh, self.eye_m)

    def first_hits(self, origins: FloatArray, directions: FloatArray) -> FloatArray:
        """Distance to the first triangle that each ray meets, in lengths of its direction, shape (N,); ``inf`` without any."""
        distance = np.full(len(origins), np.inf)
        if len(origins):
            length = np.linalg.norm(directions, axis=1)
            points, rays, _ = self.mesh.ray.intersects_location(origins, directions / length[:, None], multiple_hits=False)
            distance[rays] = np.linalg.norm(points - origins[rays], axis=1) / length[rays]
        return distance


def overlap_depth(first: Solid, second: Solid, limit_m: float) -> float | None:
    """How far one must be shifted, straight, until the surfaces no longer cross; ``None`` if ``limit_m`` is enough.

    Returns:
        The smallest tried shift above the limit that parts them [m]; ``inf`` if none does.
    """
    if (np.minimum(first.high, second.high) - np.maximum(first.low, second.low)).min() <= limit_m:
        return None
    directions = _directions(first, second)
    if any(not _cross(first, second, limit_m * direction) for direction in directions):
        return _SEARCH_M[0] if _is_within(first, second) or _is_within(second, first) else None
    for depth in _SEARCH_M:
        if any(not _cross(first, second, depth * direction) for direction in directions):
            return depth
    return float("inf")


def vertical_gap(upper: Solid, lower: Solid) -> float:
    """Smallest vertical distance from an underside of ``upper`` down to ``lower`` [m]; ``inf`` if nothing of it is below."""
    low, high = np.maximum(upper.low, lower.low)[:2], np.minimum(upper.high, lower.high)[:2]
    if (low > high).any() or lower.low[2] > upper.high[2]:
        return float("inf")
    return min(
        _gap_from(_within(np.asarray(upper.mesh.vertices), low, high), lower, -1.0),
        _gap_from(_within(np.asarray(lower.mesh.vertices), low, high), upper, 1.0),
        _gap_on_grid(upper, lower, low, high),
    )


def _within(points: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    return points[((points[:, :2] >= low - 1e-6) & (points[:, :2] <= high + 1e-6)).all(axis=1)]


def _gap_from(points: FloatArray, target: Solid, sign: float) -> float:
    """Distance from points to a solid along ``sign`` times z."""
    starts = points - sign * _START_M * _UP
    hits = target.first_hits(starts, np.tile(sign * _UP, (len(points), 1)))
    return float(hits.min(initial=np.inf)) - _START_M


def _gap_on_grid(upper: Solid, lower: Solid, low: FloatArray, high: FloatArray) -> float:
    """As :func:`_gap_from`, from points of the underside on a grid: for flat things whose corners are not above each other."""
    share = (np.arange(_GRID) + 0.5) / _GRID
    grid = np.array(list(product(low[0] + share * (high[0] - low[0]), low[1] + share * (high[1] - low[1]))))
    starts = np.column_stack([grid, np.full(len(grid), upper.low[2] - _START_M)])
    hits = upper.first_hits(starts, np.tile(_UP, (len(starts), 1)))
    under = starts[np.isfinite(hits)] + np.outer(hits[np.isfinite(hits)], _UP)
    return _gap_from(under, lower, -1.0)


def _directions(first: Solid, second: Solid) -> list[FloatArray]:
    """Unit directions to try: up, apart, then the 26 of a cube."""
    apart = (first.low + first.high - second.low - second.high) / 2
    cube = [np.array(step, dtype=np.float64) for step in product((0, 1, -1), repeat=3) if any(step)]
    tried = [_UP, -_UP, apart if np.linalg.norm(apart) > 0 else _UP, *cube]
    return [direction / np.linalg.norm(direction) for direction in tried]


def _cross(first: Solid, second: Solid, shift: FloatArray) -> bool:
    """Whether the surfaces cross when ``first`` is shifted: an edge of one goes through a triangle of the other."""
    return _edges_hit(first.edges + shift, second) or _edges_hit(second.edges - shift, first)


def _edges_hit(edges: FloatArray, target: Solid) -> bool:
    near = ((edges.max(axis=1) >= target.low) & (edges.min(axis=1) <= target.high)).all(axis=1)
    start, end = edges[near, 0], edges[near, 1]
    lasting = np.linalg.norm(end - start, axis=1) > 0
    return bool((target.first_hits(start[lasting], (end - start)[lasting]) <= 1.0).any())


def _is_within(inner: Solid, outer: Solid) -> bool:
    """Whether ``inner`` lies within the body of ``outer``, whose surface it does not cross."""
    if not outer.closed or (inner.low < outer.low).any() or (inner.high > outer.high).any():
        return False
    step = max(1, len(inner.mesh.vertices) // _INSIDE_SAMPLES)
    inside = outer.mesh.ray.contains_points(np.asarray(inner.mesh.vertices)[::step])
    return bool(np.mean(inside) > 0.5)  # noqa: PLR2004 -- most of the samples
