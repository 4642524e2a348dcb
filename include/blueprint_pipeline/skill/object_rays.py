"""Rays that ask for the shape of one object, as it collides or as it is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.skill.support_surface import COLLIDING_GROUPS, FAR_BELOW_M
from blueprint_pipeline.twin.footprint import bodies_of, movable_objects

DRAWN_GROUPS = np.array([0, 0, 1, 0, 0, 0], dtype=np.uint8)
_RAY_M = 10.0


@dataclass(frozen=True)
class ObjectRays:
    """Rays that ask for one object."""

    model: mujoco.MjModel
    data: mujoco.MjData
    bodies: frozenset[int]
    """Of the object."""
    groups: NDArray[np.uint8] = field(default_factory=lambda: COLLIDING_GROUPS)
    """Which geoms they meet (6,)."""

    def first(self, start_m: FloatArray, way: FloatArray) -> float | None:
        """How far away the object is, from a point (3,) along a unit vector (3,); ``None`` where it is not what the ray meets first."""
        geom = np.zeros(1, dtype=np.int32)
        distance = float(mujoco.mj_ray(self.model, self.data, start_m, way, self.groups, 1, -1, geom, None))
        return distance if geom[0] >= 0 and int(self.model.geom_bodyid[geom[0]]) in self.bodies else None

    def around(self, start_m: FloatArray, ways: FloatArray) -> FloatArray:
        """How far away the object is along each of some unit vectors (n, 3); infinite where it is not what the ray meets first, (n,)."""
        count = len(ways)
        geoms, distances = np.full(count, -1, dtype=np.int32), np.full(count, -1.0)
        mujoco.mj_multiRay(self.model, self.data, start_m, ways.ravel(), self.groups, 1, -1, geoms, distances, None, count, _RAY_M)
        own = (geoms >= 0) & np.isin(self.model.geom_bodyid[geoms], list(self.bodies))
        met_m: FloatArray = np.where(own, distances, np.inf)
        return met_m


def stand_alone(model: mujoco.MjModel, qpos: FloatArray, name: str) -> mujoco.MjData:
    """A state (nq,) with all movable objects but one taken away."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    for other in set(movable_objects(model)) - {name}:
        data.joint(model.body(other).jntadr[0]).qpos[2] = FAR_BELOW_M
    mujoco.mj_kinematics(model, data)
    return data


def rays_of(model: mujoco.MjModel, data: mujoco.MjData, name: str, groups: Sequence[int] | NDArray[np.uint8]) -> ObjectRays:
    """Rays for an object of this name, and for some groups of geoms (6,)."""
    return ObjectRays(model, data, frozenset(bodies_of(model, name).tolist()), np.asarray(groups, dtype=np.uint8))
