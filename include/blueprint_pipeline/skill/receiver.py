"""What a movable object offers to another one: an opening to put it in, or a level top to set it on.

Seen by rays from above, as the object stands; kept in the object's own frame, so that it holds wherever the object is put. Metres.
"""

import math
from dataclasses import dataclass
from itertools import product

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply, invert, pose_from_quat
from blueprint_pipeline.skill.support_surface import COLLIDING_GROUPS, FAR_BELOW_M, BoolArray
from blueprint_pipeline.twin.footprint import bodies_of, measure_footprint, movable_objects
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


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """The part of an object that another one may be set on or in."""

    spots_m: FloatArray
    """(n, 3): points of its surface, one a cell of :data:`CELL_M`, in the object's frame."""
    inside_m: FloatArray
    """(n,): how far each lies from the part's edge, seen from above."""
    corners_m: FloatArray
    """(k, 3): convex outline in the object's frame, counter-clockwise from above, at the height of the rim of an opening, or of the top."""


@dataclass(frozen=True, kw_only=True)
class _Heights:
    """An object's surface from above: heights (nx, ny) in the world, not a number beside it."""

    corner_m: FloatArray
    top_m: FloatArray
    highest_m: float
    pose_world_object: FloatArray

    @property
    def width_m(self) -> float:
        """Side of a square as large as what is seen of the object."""
        return CELL_M * math.sqrt(np.count_nonzero(~np.isnan(self.top_m)))

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
        spots = np.column_stack([self.corner_m + np.argwhere(chosen) * CELL_M, self.top_m[chosen]])
        cells_m = np.concatenate([spots[:, :2] + CELL_M * np.array(corner) for corner in product((-0.5, 0.5), repeat=2)])
        outline = cells_m[ConvexHull(cells_m).vertices]
        corners = np.column_stack([outline, np.full(len(outline), height_m)])
        to_object = invert(self.pose_world_object)
        return Receiver(spots_m=apply(to_object, spots), inside_m=inside[chosen], corners_m=apply(to_object, corners))


class Receivers:
    """What the movable objects of a scene offer, each looked at when first asked.

    Args:
        scene: Compiled.
        qpos: A configuration (nq,) in which every object stands as it shall stand when it receives.
    """

    def __init__(self, scene: SceneModel, qpos: FloatArray) -> None:
        self._model, self._qpos = scene.model, qpos
        self._seen: dict[str, _Heights] = {}

    def opening(self, name: str) -> Receiver | None:
        """The hollow of an object that is open above, closed all round, and deep (:data:`LEAST_DEPTH_M`, :data:`LEAST_DEPTH_SHARE`)."""
        seen = self._look_down(name)
        low = seen.top_m < seen.highest_m - max(LEAST_DEPTH_M, LEAST_DEPTH_SHARE * seen.width_m)
        beside = np.isnan(seen.top_m)
        labels, _ = ndimage.label(low | beside)  # what is low and leads outside is a slope or a handle
        outside = np.unique(labels[beside])
        return seen.part(low & ~np.isin(labels, outside), seen.highest_m)

    def top(self, name: str) -> Receiver | None:
        """The level part of an object that has no opening."""
        if self.opening(name) is not None:
            return None
        seen = self._look_down(name)
        found = np.sort(seen.top_m[~np.isnan(seen.top_m)])
        if len(found) == 0:  # thinner than the rays stand apart
            return None
        counts = np.searchsorted(found, found + _LEVEL_M, side="right") - np.arange(len(found))
        lower_m = float(found[counts.argmax()])
        level = (seen.top_m >= lower_m) & (seen.top_m <= lower_m + _LEVEL_M)
        if level.sum() < _LEVEL_SHARE * len(found):
            return None
        return seen.part(level, float(np.median(seen.top_m[level])))

    def _look_down(self, name: str) -> _Heights:
        if name not in self._seen:
            self._seen[name] = _scan(self._model, self._qpos, name)
        return self._seen[name]


def _scan(model: mujoco.MjModel, qpos: FloatArray, name: str) -> _Heights:
    """Look down on one object, with all others taken away; a row of cells is left free all round."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    for other in set(movable_objects(model)) - {name}:
        data.joint(model.body(other).jntadr[0]).qpos[2] = FAR_BELOW_M
    mujoco.mj_kinematics(model, data)
    footprint = measure_footprint(model, data, name)
    outline = footprint.polygon_m + footprint.origin_m[:2]
    corner = outline.min(axis=0) - CELL_M
    shape = np.ceil((outline.max(axis=0) - corner) / CELL_M).astype(int) + 2
    bodies, geom = set(bodies_of(model, name).tolist()), np.zeros(1, dtype=np.int32)
    heights, start = np.full(tuple(shape), np.nan), footprint.top_m + _ABOVE_M
    down: NDArray[np.float64] = np.array([0.0, 0.0, -1.0])
    for cell in np.ndindex(*heights.shape):
        distance = mujoco.mj_ray(
            model, data, np.array([*(corner + np.array(cell) * CELL_M), start]), down, COLLIDING_GROUPS, 1, -1, geom, None
        )
        if geom[0] >= 0 and int(model.geom_bodyid[geom[0]]) in bodies:
            heights[cell] = start - distance
    body = data.body(name)
    return _Heights(
        corner_m=corner, top_m=heights, highest_m=footprint.top_m, pose_world_object=pose_from_quat(body.xpos.copy(), body.xquat.copy())
    )
