"""Where an object may be set down: free, level, reachable spots of its support.

World frame: z up, metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.skill.support_surface import SupportSurface
from blueprint_pipeline.twin.footprint import Footprint

AWAY_M = 0.10
"""A goal is at least this far from where the object starts."""
MARGIN_M = 0.045
"""Room that the open fingers need around the object."""
MAX_BEARING_RAD = 1.3
"""How far to its side the robot turns."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What the robot reaches from where it stands."""

    base_m: FloatArray
    """(2,)."""
    yaw_rad: float
    nearest_m: float
    farthest_m: float

    def reaches(self, points_m: FloatArray) -> FloatArray:
        """Which points (..., 2) are within good reach, boolean (...)."""
        offset = points_m - self.base_m
        distance = np.linalg.norm(offset, axis=-1)
        bearing = np.arctan2(offset[..., 1], offset[..., 0]) - self.yaw_rad
        bearing = np.abs((bearing + np.pi) % (2 * np.pi) - np.pi)
        within: FloatArray = (distance >= self.nearest_m) & (distance <= self.farthest_m) & (bearing <= MAX_BEARING_RAD)
        return within


def goal_spots(surface: SupportSurface, target: Footprint, others: Sequence[Footprint], reach: Reach) -> FloatArray:
    """All spots (n, 2) on which the target's origin may come to rest.

    A spot keeps the circle about the target's outline, and room for the fingers, clear of edges, fixed things and other
    objects, is within reach and at least :data:`AWAY_M` from the start.
    """
    cells = surface.cells_m()
    clear = surface.clearance_m(others) >= target.radius_m + MARGIN_M
    away = np.linalg.norm(cells - target.origin_m[:2], axis=-1) >= AWAY_M
    spots: FloatArray = cells[clear & away & reach.reaches(cells).astype(bool)]
    return spots
