"""What can be seen from a place in a scene, found out by casting rays through what is drawn of its twin.

World frame: z up, metres. Cameras are OpenGL's: x right, y up, looking along -z; pixels count from the top left corner.
"""

from collections.abc import Collection
from copy import copy
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.twin.footprint import bodies_of

COLLISION_GROUP = 3
_DRAWN_GROUPS = np.array([1, 1, 1, 0, 1, 1], dtype=np.uint8)
"""All but the group of collision geometry."""
_FAR_M = 100.0
_SAME_M = 1e-3
"""What stands so little before a point is what the point lies on."""
_MAX_RAYS = 20_000
"""In one picture; what may fill more pixels is sampled evenly."""

Geoms = NDArray[np.bool_]
"""Which geoms of a model, (ngeom,)."""


@dataclass(frozen=True, kw_only=True)
class Lens:
    """A pinhole camera."""

    position_m: FloatArray
    """(3,)."""
    axes: FloatArray
    """(3, 3): its axes as columns, in the world."""
    fovy_deg: float
    """Vertical field of view."""


class Sight:
    """Looks through a model in a state, from anywhere.

    Args:
        model: Compiled model; it is copied, never changed.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = copy(model)
        self._groups = model.geom_group.copy()
        self._data = mujoco.MjData(self._model)

    def stand(self, qpos: FloatArray) -> None:
        """Bring the model to a configuration (nq,)."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def geoms_of(self, names: Collection[str]) -> Geoms:
        """Which geoms belong to the things that bodies of these names are of (:func:`~blueprint_pipeline.twin.footprint.bodies_of`)."""
        bodies = [int(body) for name in names for body in bodies_of(self._model, name)]
        return np.asarray(np.isin(self._model.geom_bodyid, bodies))

    def show(self, geoms: Geoms) -> None:
        """From now on, nothing is there but these geoms."""
        self._model.geom_group[:] = np.where(geoms, self._groups, COLLISION_GROUP)

    def show_all(self) -> None:
        """From now on, everything is there."""
        self._model.geom_group[:] = self._groups

    def first_hits(self, from_m: FloatArray, towards: FloatArray) -> tuple[NDArray[np.int32], FloatArray]:
        """What stands first in some directions.

        Args:
            from_m: Where the eye is, (3,).
            towards: Unit vectors, (n, 3).

        Returns:
            The geom in each direction, -1 where there is none, and how far it is [m], -1 where there is none.
        """
        count = len(towards)
        hits, distances = np.full(count, -1, dtype=np.int32), np.full(count, -1.0)
        flat, eye = np.ascontiguousarray(towards).ravel(), np.ascontiguousarray(from_m, dtype=float)
        mujoco.mj_multiRay(self._model, self._data, eye, flat, _DRAWN_GROUPS, True, -1, hits, distances, None, count, _FAR_M)
        return hits, distances

    def sees(self, from_m: FloatArray, points_m: FloatArray) -> NDArray[np.bool_]:
        """To which points (n, 3) nothing stands in the way from a place (3,)."""
        way = points_m - from_m
        far_m = np.linalg.norm(way, axis=1)
        hits, distances = self.first_hits(from_m, way / far_m[:, None])
        is_clear: NDArray[np.bool_] = (hits < 0) | (distances >= far_m - _SAME_M)
        return is_clear

    def lens(self, camera: int) -> Lens:
        """A camera of the model, where it is now."""
        data = self._data
        return Lens(
            position_m=data.cam_xpos[camera].copy(),
            axes=data.cam_xmat[camera].reshape(3, 3).copy(),
            fovy_deg=float(self._model.cam_fovy[camera]),
        )

    def share_empty(self, lens: Lens, aspect: float, across: int = 16) -> float:
        """Share of a camera's picture in which there is nothing, asked on an even grid of ``across`` columns."""
        rows = max(1, round(across / aspect))
        hits, _ = self._picture_hits(lens, aspect, (np.arange(across) + 0.5) / across, (np.arange(rows) + 0.5) / rows)
        return float((hits < 0).mean())

    def count_pixels(self, lens: Lens, geoms: Geoms, width: int, height: int) -> int:
        """Pixels of a camera's picture that show some geoms; about, where they may fill more than some thousands."""
        chosen = np.flatnonzero(geoms & (self._groups != COLLISION_GROUP))
        columns, rows = self._where_they_may_be(lens, chosen, width, height)
        stride = max(1, int(np.ceil(np.sqrt(len(columns) * len(rows) / _MAX_RAYS))))
        columns, rows = columns[::stride], rows[::stride]
        if not len(columns) or not len(rows):
            return 0
        hits, _ = self._picture_hits(lens, width / height, (columns + 0.5) / width, (rows + 0.5) / height)
        return int(np.isin(hits, chosen).sum()) * stride**2

    def _picture_hits(self, lens: Lens, aspect: float, across: FloatArray, down: FloatArray) -> tuple[NDArray[np.int32], FloatArray]:
        """First hits behind a grid of places in a picture, each 0 to 1 from its top left corner."""
        half = np.tan(np.deg2rad(lens.fovy_deg) / 2)
        u, v = np.meshgrid((2 * across - 1) * half * aspect, (1 - 2 * down) * half)
        rays = np.stack([u.ravel(), v.ravel(), -np.ones(u.size)], axis=1)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return self.first_hits(lens.position_m, rays @ lens.axes.T)

    def _where_they_may_be(
        self, lens: Lens, geoms: NDArray[np.int64], width: int, height: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Columns and rows of the pixels onto which the bounding spheres of geoms may fall."""
        model, data = self._model, self._data
        focal = float(height / 2 / np.tan(np.deg2rad(lens.fovy_deg) / 2))
        local = (data.geom_xpos[geoms] - lens.position_m) @ lens.axes
        radius = model.geom_rbound[geoms]
        depth = -local[:, 2]
        if (np.abs(depth) <= radius).any():
            return np.arange(width), np.arange(height)
        seen = depth > radius
        if not seen.any():
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        near = (depth - radius)[seen]
        across, up, reach = local[seen, 0] / depth[seen], local[seen, 1] / depth[seen], 2 * radius[seen] / near
        u, v, half = width / 2 + focal * across, height / 2 - focal * up, focal * reach
        return _within((u - half).min(), (u + half).max(), width), _within((v - half).min(), (v + half).max(), height)


def _within(first: float, last: float, count: int) -> NDArray[np.int64]:
    return np.arange(max(0, int(np.floor(first))), min(count, int(np.ceil(last)) + 1))
