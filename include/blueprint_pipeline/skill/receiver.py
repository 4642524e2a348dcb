"""What a movable object offers to another one: an opening to put it in, or a level top to set it on.

Seen by rays from above, as the object stands; kept in the object's own frame, so that it holds wherever the object is put. Metres.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import mujoco
import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply, invert, pose_from_quat
from blueprint_pipeline.skill.holes import Hole, find_holes
from blueprint_pipeline.skill.object_rays import ObjectRays, rays_of, stand_alone
from blueprint_pipeline.skill.support_surface import COLLIDING_GROUPS, BoolArray
from blueprint_pipeline.twin.footprint import Footprint, measure_footprint
from blueprint_pipeline.twin.model import SceneModel

CELL_M = 0.005
LEAST_DEPTH_M = 0.02
LEAST_DEPTH_SHARE = 0.15
"""Of the object's width (the root of its area): one puts things *in* what is so deep; what is flatter is a plate or a tray."""
_LEVEL_M = 0.004
"""Between the lowest and the highest point of what counts as level."""
_LEVEL_SHARE = 0.3
"""Of what is seen of an object that is level, where it has a top: the cap of a ball is less."""
_ABOVE_M = 0.01
_FEWEST_CELLS = 16
_RIM_STEP_M, _UNDER_RIM_M = 0.0025, 0.001
"""Between the heights at which a rim is sought, and how far below each it is looked for: a handle or a spout that rises above is no rim."""
_RIM_SHARE = 0.9
"""Of what a lower rim closes that a rim closes at least: the edge of a scan has notches."""
_DOWN = np.array([0.0, 0.0, -1.0])
_AROUND = np.array([[math.cos(angle), math.sin(angle), 0.0] for angle in np.arange(16) * math.pi / 8])
"""Ways in which a hollow has walls: rays between them would miss a gap of less than a fifth of its width."""


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """The part of an object that another one may be set on or in."""

    spots_m: FloatArray
    """(n, 3): points of its surface, one a cell of :data:`CELL_M`, in the object's frame."""
    inside_m: FloatArray
    """(n,): how far each lies from the part's edge, seen from above, and from what stands up in it."""
    corners_m: FloatArray
    """(k, 3): convex outline in the object's frame, counter-clockwise from above, at the height of the rim of an opening, or of the top."""
    depth_m: float
    """How far below that height the lowest spot lies."""


@dataclass(frozen=True, kw_only=True)
class _Heights:
    """An object's surface from above: heights (nx, ny) in the world, not a number beside it."""

    corner_m: FloatArray
    top_m: FloatArray
    highest_m: float
    rays: ObjectRays
    pose_world_object: FloatArray

    @property
    def least_depth_m(self) -> float:
        """How deep a hollow is at least, of an object so large: as large as a square is of what is seen of it."""
        return max(LEAST_DEPTH_M, LEAST_DEPTH_SHARE * CELL_M * math.sqrt(np.count_nonzero(~np.isnan(self.top_m))))

    @cached_property
    def opening(self) -> Receiver | None:
        """Below the highest rim that closes about as much of it as any lower one, all round and deep enough."""
        lowest_m = np.nanmin(self.top_m, initial=self.highest_m)
        found: list[tuple[float, BoolArray]] = []
        for rim_m in np.arange(self.highest_m, lowest_m + self.least_depth_m, -_RIM_STEP_M).tolist():
            deep = self.top_m < rim_m - self.least_depth_m
            if any(closed.sum() >= deep.sum() for _, closed in found):
                break
            walls_m = self._around_m(deep, rim_m - _UNDER_RIM_M).max(axis=-1)
            found.append((rim_m, np.isfinite(walls_m)))
        most = max((closed.sum() for _, closed in found), default=0)
        return next((self.part(closed, rim_m) for rim_m, closed in found if closed.sum() >= _RIM_SHARE * most), None)

    def _around_m(self, cells: BoolArray, height_m: float) -> FloatArray:
        """How far from some cells the object is at a height of the world, in each way round (nx, ny, 16); infinite elsewhere."""
        found = np.full((*cells.shape, len(_AROUND)), np.inf)
        for cell in np.argwhere(cells):
            found[tuple(cell)] = self.rays.around(np.array([*(self.corner_m + cell * CELL_M), height_m]), _AROUND)
        return found

    def part(self, cells: BoolArray, height_m: float) -> Receiver | None:
        """The largest connected part of some cells, outlined at a height of the world; ``None`` where it is too small."""
        labels, count = ndimage.label(cells)
        if count == 0:
            return None
        sizes = np.bincount(labels.ravel())[1:]
        chosen = labels == int(sizes.argmax()) + 1
        if chosen.sum() < _FEWEST_CELLS:
            return None
        inside = ndimage.distance_transform_edt(np.pad(chosen, 1))[1:-1, 1:-1] * CELL_M
        inside = np.minimum(inside, self._around_m(chosen, float(self.top_m[chosen].max()) + _UNDER_RIM_M).min(axis=-1))
        spots = np.column_stack([self.corner_m + np.argwhere(chosen) * CELL_M, self.top_m[chosen]])
        cells_m = np.concatenate([spots[:, :2] + CELL_M * np.array(corner) for corner in product((-0.5, 0.5), repeat=2)])
        outline = cells_m[ConvexHull(cells_m).vertices]
        corners = np.column_stack([outline, np.full(len(outline), height_m)])
        to_object = invert(self.pose_world_object)
        return Receiver(
            spots_m=apply(to_object, spots),
            inside_m=inside[chosen],
            corners_m=apply(to_object, corners),
            depth_m=height_m - float(spots[:, 2].min()),
        )


class Receivers:
    """What the movable objects of a scene offer, each looked at when first asked.

    Args:
        scene: Compiled.
        qpos: A configuration (nq,) in which every object stands as it shall stand when it receives.
    """

    def __init__(self, scene: SceneModel, qpos: FloatArray) -> None:
        self._model, self._qpos = scene.model, qpos
        self._seen: dict[str, _Heights] = {}
        self._holes: dict[str, tuple[Hole, ...]] = {}

    def opening(self, name: str) -> Receiver | None:
        """The hollow of an object that is open above, closed all round, and deep (:data:`LEAST_DEPTH_M`, :data:`LEAST_DEPTH_SHARE`)."""
        return self._look_down(name).opening

    def top(self, name: str) -> Receiver | None:
        """The level part of an object, at its top or little below its rim: the floor of a hollow is none, wherever that is open."""
        seen = self._look_down(name)
        found = np.sort(seen.top_m[~np.isnan(seen.top_m)])
        if len(found) == 0:  # thinner than the rays stand apart
            return None
        counts = np.searchsorted(found, found + _LEVEL_M, side="right") - np.arange(len(found))
        lower_m = float(found[counts.argmax()])
        level = (seen.top_m >= lower_m) & (seen.top_m <= lower_m + _LEVEL_M)
        if level.sum() < _LEVEL_SHARE * len(found) or lower_m < seen.highest_m - seen.least_depth_m:
            return None
        return seen.part(level, float(np.median(seen.top_m[level])))

    def stands(self, name: str) -> tuple[FloatArray, Footprint]:
        """How an object stands here: its pose in the world (4, 4), and its footprint."""
        data = stand_alone(self._model, self._qpos, name)
        pose = pose_from_quat(data.body(name).xpos.copy(), data.body(name).xquat.copy())
        return pose, measure_footprint(self._model, data, name)

    def holes(self, name: str) -> tuple[Hole, ...]:
        """The holes of an object that open upwards, in an order of their places in its frame."""
        if name not in self._holes:
            self._holes[name] = find_holes(self._model, self._qpos, name)
        return self._holes[name]

    def _look_down(self, name: str) -> _Heights:
        if name not in self._seen:
            self._seen[name] = _scan(self._model, self._qpos, name)
        return self._seen[name]


def _scan(model: mujoco.MjModel, qpos: FloatArray, name: str) -> _Heights:
    """Look at one object from above, with all others taken away; its outside has a row of cells."""
    data = stand_alone(model, qpos, name)
    footprint = measure_footprint(model, data, name)
    outline = footprint.polygon_m + footprint.origin_m[:2]
    corner = outline.min(axis=0) - CELL_M
    shape = np.ceil((outline.max(axis=0) - corner) / CELL_M).astype(int) + 2
    rays = rays_of(model, data, name, COLLIDING_GROUPS)
    heights, start = np.full(tuple(shape), np.nan), footprint.top_m + _ABOVE_M
    for cell in np.ndindex(*heights.shape):
        distance = rays.first(np.array([*(corner + np.array(cell) * CELL_M), start]), _DOWN)
        if distance is not None:
            heights[cell] = start - distance
    pose = pose_from_quat(data.body(name).xpos.copy(), data.body(name).xquat.copy())
    return _Heights(corner_m=corner, top_m=heights, highest_m=footprint.top_m, rays=rays, pose_world_object=pose)
