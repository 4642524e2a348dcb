"""The grasps of one object, as planners use them and the cache keeps them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray

ALGORITHM_VERSION = 5
"""Of the sampling; part of the cache's key: raise it whenever the result changes."""


@dataclass(frozen=True)
class HalfSpace:
    """All points of an object's frame whose share along a unit vector (3,) is at least ``offset_m``."""

    normal: FloatArray
    offset_m: float


@dataclass(frozen=True)
class GraspSet:
    """Grasps in order of quality, best first.

    ``pose_object_tcp`` (n, 4, 4), ``width_m`` (n,), ``quality`` (n,) in 0..1.
    """

    pose_object_tcp: FloatArray
    width_m: FloatArray
    quality: FloatArray

    def __len__(self) -> int:
        return len(self.width_m)

    def choose(self, wanted: NDArray[np.bool_]) -> "GraspSet":
        """Some of them (n,), in the same order."""
        return GraspSet(self.pose_object_tcp[wanted], self.width_m[wanted], self.quality[wanted])


EMPTY = GraspSet(np.empty((0, 4, 4)), np.empty(0), np.empty(0))
"""Of what no gripper holds."""
