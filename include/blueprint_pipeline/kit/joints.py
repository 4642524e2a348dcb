"""How far a part is open that slides along a line or turns about it, by its pose: with NumPy alone.

World frame: z up, metres; quaternions wxyz. Positions are in [m] or [rad]; a share is 0 where the part is closed, 1 where it is open.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class JointMeasure:
    """A joint, as JSON has it."""

    slides: bool
    """Along its axis [m]; else it turns about it [rad], right-handed."""
    axis: Sequence[float]
    """Unit vector in the world."""
    limits: Sequence[float]
    """At 0 the part is closed, at the upper one open."""
    closed: Sequence[float]
    """Pose of the part where it is closed: xyz and quat wxyz."""

    def positions(self, poses: Float64Array) -> Float64Array:
        """The positions (T,) that poses of the part (T, 7) show; a hinge's within half a turn of its range's middle."""
        axis, closed = np.array(self.axis), np.array(self.closed)
        if self.slides:
            along: Float64Array = (poses[:, :3] - closed[:3]) @ axis
            return along
        w, vector = poses[:, 3], poses[:, 4:]
        w0, vector0 = closed[3], closed[4:]
        # The turn from closed: q * conj(q0), its scalar and its part along the axis.
        scalar = w * w0 + vector @ vector0
        along_axis = (w0 * vector - np.outer(w, vector0) - np.cross(vector, vector0)) @ axis
        middle = sum(self.limits) / 2
        angles = 2 * np.arctan2(along_axis, scalar)
        wrapped: Float64Array = middle + (angles - middle + np.pi) % (2 * np.pi) - np.pi
        return wrapped

    def shares(self, poses: Float64Array) -> Float64Array:
        """The same as shares of the way from closed to open (T,)."""
        return self.positions(poses) / self.limits[1]
