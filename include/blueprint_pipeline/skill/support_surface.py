"""Where on a support something can stand: a raster of its top, seen by rays from above.

World frame: z up, metres.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.twin.footprint import Footprint, bodies_of, collision_pieces, footprint_of, movable_objects

BoolArray = NDArray[np.bool_]

CELL_M = 0.01
HAND_M = 0.25
"""Height of a hand, with what is above it of the arm."""
_FLAT_M = 0.004
_UNEVEN_M = 0.1
"""How far above its level part a piece of a support may end, as a scan of a table that is not quite level, or a rim."""
_AROUND_CELLS = 20
"""Beside the support, where things may stand that a hand touches."""
_ABOVE_M = 0.5
FAR_BELOW_M = -50.0
COLLIDING_GROUPS = np.array([1, 1, 0, 1, 1, 1], dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class SupportSurface:
    """The level top of a support, free of all that cannot be moved."""

    support: str
    height_m: float
    corner_m: FloatArray
    """(2,): centre of cell [0, 0] in the world."""
    level: BoolArray
    """(nx, ny): cells of :data:`CELL_M` in which the support's top is level at ``height_m``, with nothing fixed above it."""
    fixed: tuple[Footprint, ...] = ()
    """Convex pieces of what cannot be moved and reaches above the surface, on it or beside it."""

    def cells_m(self) -> FloatArray:
        """Centres of all cells in the world, (nx, ny, 2)."""
        nx, ny = self.level.shape
        grid = np.stack(np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij"), axis=-1)
        cells: FloatArray = self.corner_m + grid * CELL_M
        return cells

    def at(self, raster: BoolArray, points_m: FloatArray) -> BoolArray:
        """What a raster (nx, ny) of this surface says at points (n, 2) of the world; false beside it."""
        cells = np.round((points_m - self.corner_m) / CELL_M).astype(int)
        beside = ((cells < 0) | (cells >= raster.shape)).any(axis=1)
        found: BoolArray = raster[tuple(np.clip(cells, 0, np.array(raster.shape) - 1).T)] & ~beside
        return found

    def clearance_m(self, obstacles: Iterable[Footprint]) -> FloatArray:
        """Distance of each cell from the nearest edge, fixed thing or obstacle, (nx, ny); 0 where not free."""
        free = self._without(self.level, obstacles)
        padded = np.pad(free, 1, constant_values=False)
        distance: FloatArray = ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * CELL_M
        return distance

    def from_taller_m(self, obstacles: Iterable[Footprint], height_m: float) -> FloatArray:
        """How far each cell is, at least, from all that a hand at ``height_m`` meets, fixed or not, (nx, ny); infinite without any."""
        met = [item for item in (*self.fixed, *obstacles) if item.top_m > height_m and item.bottom_m < height_m + HAND_M]
        lower = self._without(np.ones_like(self.level), met)
        if lower.all():
            return np.full(lower.shape, np.inf)
        distance: FloatArray = (ndimage.distance_transform_edt(lower) - 1) * CELL_M  # middles of cells may be nearer than their edges
        return distance

    def _without(self, cells: BoolArray, obstacles: Iterable[Footprint]) -> BoolArray:
        free = cells.copy()
        for obstacle in obstacles:
            self._take_away(free, obstacle)
        return free

    def _take_away(self, free: BoolArray, obstacle: Footprint) -> None:
        """Clear the cells that an outline covers, looking only at those of its bounding box."""
        outline = obstacle.polygon_m + obstacle.origin_m[:2]
        first = np.maximum(np.floor((outline.min(axis=0) - self.corner_m) / CELL_M).astype(int), 0)
        end = np.minimum(np.ceil((outline.max(axis=0) - self.corner_m) / CELL_M).astype(int) + 1, self.level.shape)
        if (first >= end).any():
            return
        part = tuple(slice(low, high) for low, high in zip(first, end, strict=True))
        grid = np.stack(np.meshgrid(np.arange(first[0], end[0]), np.arange(first[1], end[1]), indexing="ij"), axis=-1)
        free[part] &= ~inside(self.corner_m + grid * CELL_M, obstacle)


def inside(points_m: FloatArray, footprint: Footprint) -> BoolArray:
    """Which points (..., 2) lie within an outline."""
    polygon = footprint.polygon_m + footprint.origin_m[:2]
    edges = np.roll(polygon, -1, axis=0) - polygon
    offset = points_m[..., None, :] - polygon
    within: BoolArray = np.all(edges[:, 0] * offset[..., 1] - edges[:, 1] * offset[..., 0] >= 0, axis=-1)
    return within


def scan_surface(model: mujoco.MjModel, qpos: FloatArray, support: str, height_m: float) -> SupportSurface:
    """Look down on a support from above, with all movable objects taken away.

    Args:
        model: Compiled model of the scene.
        qpos: A configuration of it, (nq,).
        support: Id of the object.
        height_m: Where objects stand on it; only what is level with this is part of the surface.
    """
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    for name in movable_objects(model):
        data.joint(model.body(name).jntadr[0]).qpos[2] = FAR_BELOW_M
    mujoco.mj_kinematics(model, data)
    corner, far = _outline(model, data, support, height_m)
    shape = np.ceil((far - corner) / CELL_M).astype(int) + 1
    bodies = set(bodies_of(model, support).tolist())
    level = np.zeros(tuple(shape), dtype=bool)
    geom = np.zeros(1, dtype=np.int32)
    down = np.array([0.0, 0.0, -1.0])
    start_height = height_m + _ABOVE_M
    for i, j in np.ndindex(*level.shape):
        start = np.array([corner[0] + i * CELL_M, corner[1] + j * CELL_M, start_height])
        distance = mujoco.mj_ray(model, data, start, down, COLLIDING_GROUPS, 1, -1, geom, None)
        hit = geom[0] >= 0 and int(model.geom_bodyid[geom[0]]) in bodies
        level[i, j] = hit and abs(start_height - distance - height_m) <= _FLAT_M
    around_m = _AROUND_CELLS * CELL_M
    return SupportSurface(
        support=support,
        height_m=height_m,
        corner_m=corner - around_m,
        level=np.pad(level, _AROUND_CELLS),
        fixed=_fixed_near(model, data, corner - around_m, far + around_m, height_m),
    )


def _fixed_near(model: mujoco.MjModel, data: mujoco.MjData, corner: FloatArray, far: FloatArray, height_m: float) -> tuple[Footprint, ...]:
    """Convex pieces of fixed things that reach above a height, in or over the rectangle between two corners (2,)."""
    movable = set(movable_objects(model))
    fixed = {model.body(int(body)).name for body in np.unique(model.body_rootid)} - movable
    pieces = [points for name in sorted(fixed) for points in collision_pieces(model, data, name)]
    return tuple(
        footprint_of(points, points.mean(axis=0))
        for points in pieces
        if points[:, 2].max() > height_m + _FLAT_M
        and (points[:, :2].max(axis=0) >= corner).all()
        and (points[:, :2].min(axis=0) <= far).all()
    )


def _outline(model: mujoco.MjModel, data: mujoco.MjData, support: str, height_m: float) -> tuple[FloatArray, FloatArray]:
    """Corners (2,) of the box around the pieces of a support that reach a height and do not tower above it: a room has walls as well."""
    pieces = collision_pieces(model, data, support)
    level = [part for part in pieces if part[:, 2].min() <= height_m + _FLAT_M and -_FLAT_M <= part[:, 2].max() - height_m <= _UNEVEN_M]
    points = np.concatenate(level or pieces)[:, :2]  # a tray that is one piece towers above its floor
    return points.min(axis=0), points.max(axis=0)
