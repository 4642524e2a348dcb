"""Parts of a surface that a sentence can name: its left, right, front and back third, and its middle.

Directions are the robot's: standing at its base and looking at the workspace. World frame: z up, metres.
"""

from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.skill.instruction import SurfaceFrame

THIRDS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "left side": ((0.0, 1.0), (2 / 3, 1.0)),
    "right side": ((0.0, 1.0), (0.0, 1 / 3)),
    "front": ((0.0, 1 / 3), (0.0, 1.0)),
    "back": ((2 / 3, 1.0), (0.0, 1.0)),
    "middle": ((1 / 3, 2 / 3), (1 / 3, 2 / 3)),
}
"""Words to shares of the surface's extent: away from the robot, and from its right to its left."""


@dataclass(frozen=True)
class Region:
    """A convex part of a plane.

    ``corners_m`` (k, 2): in the world, counter-clockwise seen from above.
    """

    corners_m: FloatArray

    @property
    def middle_m(self) -> FloatArray:
        """Mean of the corners, (2,)."""
        middle: FloatArray = self.corners_m.mean(axis=0)
        return middle

    def depth_m(self, point_m: FloatArray) -> float:
        """How far a point (2,) lies within the nearest edge; below 0 outside."""
        inward, offset = self._edges()
        return float((inward @ point_m - offset).min())

    def crossing_m(self, start_m: FloatArray, direction: FloatArray, margin_m: float) -> tuple[float, float] | None:
        """Where a straight way enters and leaves what lies at least ``margin_m`` deep in the region; ``None``: it never does.

        Args:
            start_m: (2,).
            direction: Unit vector (2,).
            margin_m: Depth.

        Returns:
            Distances from the start along the way, the first not below 0.

        Source: Cyrus and Beck, "Generalized two- and three-dimensional clipping" (1978).
        """
        inward, offset = self._edges()
        speed, missing = inward @ direction, offset + margin_m - inward @ start_m
        if (missing[np.abs(speed) < _PARALLEL] > 0).any():
            return None
        entering, leaving = speed >= _PARALLEL, speed <= -_PARALLEL
        first = max(0.0, float((missing[entering] / speed[entering]).max(initial=0.0)))
        last = float((missing[leaving] / speed[leaving]).min(initial=np.inf))
        return (first, last) if last >= first else None

    def _edges(self) -> tuple[FloatArray, FloatArray]:
        """Unit normals that point inward (k, 2), and how far along them each edge lies (k,)."""
        along = np.roll(self.corners_m, -1, axis=0) - self.corners_m
        inward = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
        return inward, np.einsum("ij,ij->i", inward, self.corners_m)


_PARALLEL = 1e-9


def build_region(frame: SurfaceFrame, words: str) -> Region:
    """The part of a surface that ``words`` (a key of :data:`THIRDS`) name."""
    lower, upper = frame.extent_m
    (near, far), (right, left) = THIRDS[words]
    shares = np.array([[near, right], [far, right], [far, left], [near, left]])
    return Region(frame.to_world(lower + shares * (upper - lower)))
