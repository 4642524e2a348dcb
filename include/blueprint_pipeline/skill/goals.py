"""Where an object may be brought: parts of its support and places beside others, with the spot that a demonstration aims at.

The spot is the free one nearest to the middle of what the sentence names. So the same situation gets the same goal, and the middle of
what the sentence says is what a policy learns. World frame: z up, metres.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.arm import WorkingRadius
from blueprint_pipeline.skill.grasping import PALM_GAP_M
from blueprint_pipeline.skill.instruction import SurfaceFrame
from blueprint_pipeline.skill.region import RELATIONS, Region, build_beside, build_region
from blueprint_pipeline.skill.support_surface import BoolArray, SupportSurface
from blueprint_pipeline.twin.footprint import Footprint

AWAY_M = 0.10
"""A goal is at least this far from where the object starts."""
OUTSIDE_M = 0.03
"""So far outside of the region the middle of the object starts."""
DEEP_M = 0.025
"""So deep in the region a spot lies: what is set down there a little off is still in it."""
MARGIN_M = 0.045
"""Room that the open fingers need around the object."""
ASIDE_M = 0.03
"""How far the nearest free spot may lie from the middle of what the sentence names; where none is nearer, the sentence is not offered.

A goal that a third object pushes aside cannot be told from the sentence. At 6 cm that was so of 20 to 34 of 100 places beside an object."""
MAX_BEARING_RAD = 1.3
"""How far to its side the robot turns."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What the robot reaches from where it stands."""

    center_m: FloatArray
    """(2,): the axis of its base, or below the shoulder of the arm that acts."""
    yaw_rad: float
    nearest_m: float
    farthest_m: float

    def reaches(self, points_m: FloatArray) -> FloatArray:
        """Which points (..., 2) are within good reach, boolean (...)."""
        offset = points_m - self.center_m
        bearing = np.arctan2(offset[..., 1], offset[..., 0]) - self.yaw_rad
        bearing = np.abs((bearing + np.pi) % (2 * np.pi) - np.pi)
        return np.asarray(np.logical_and(self.is_near(points_m), bearing <= MAX_BEARING_RAD))

    def is_near(self, points_m: FloatArray) -> FloatArray:
        """Which points (..., 2) are at a good distance, at any bearing, boolean (...)."""
        distance = np.linalg.norm(points_m - self.center_m, axis=-1)
        within: FloatArray = (distance >= self.nearest_m) & (distance <= self.farthest_m)
        return within


class Reaching(Protocol):
    """Says where something can be taken or set down: the reach of one arm, or of several together."""

    def reaches(self, points_m: FloatArray) -> FloatArray:
        """Which points (..., 2) are within good reach, boolean (...)."""


@dataclass(frozen=True, kw_only=True)
class CommonReach:
    """What two arms reach together: the middles of objects that each takes at its own side."""

    left: Reach
    right: Reach
    half_apart_m: float
    """How far to each side of an object's middle the hands are."""

    def reaches(self, points_m: FloatArray) -> FloatArray:
        """Which points (..., 2) are within good reach of both, boolean (...)."""
        aside = self.half_apart_m * np.array([-np.sin(self.left.yaw_rad), np.cos(self.left.yaw_rad)])
        return np.asarray(np.logical_and(self.left.reaches(points_m + aside), self.right.reaches(points_m - aside)))


@dataclass(frozen=True, kw_only=True)
class OnlyReach:
    """What one arm reaches and another does not."""

    by: Reach
    other: Reach

    def reaches(self, points_m: FloatArray) -> FloatArray:
        """Which points (..., 2) are within good reach of that arm alone, boolean (...)."""
        return np.asarray(np.logical_and(self.by.reaches(points_m), np.logical_not(self.other.reaches(points_m))))


def reach_of_all(reaches: Sequence[Reach]) -> Reach:
    """All that any of some arms reaches, about the middle between them: what a camera should show."""
    middle = np.mean([reach.center_m for reach in reaches], axis=0)
    aside_m = max(float(np.linalg.norm(reach.center_m - middle)) for reach in reaches)
    return Reach(
        center_m=middle,
        yaw_rad=reaches[0].yaw_rad,
        nearest_m=max(0.0, min(reach.nearest_m for reach in reaches) - aside_m),
        farthest_m=max(reach.farthest_m for reach in reaches) + aside_m,
    )


def build_reach(radius: WorkingRadius, base_m: FloatArray, yaw_rad: float) -> Reach:
    """What an arm reaches of a robot whose base stands at a place (2,) and heads somewhere."""
    cosine, sine = np.cos(yaw_rad), np.sin(yaw_rad)
    center_m = base_m + np.array([[cosine, -sine], [sine, cosine]]) @ np.array(radius.center_m)
    return Reach(center_m=center_m, yaw_rad=yaw_rad, nearest_m=radius.nearest_m, farthest_m=radius.farthest_m)


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A region that a sentence can name, and where in it a demonstration sets the object down."""

    words: str
    """A part of the surface, or a relation."""
    reference: str | None
    """Id of the object that the relation is to."""
    region: Region
    spot_m: FloatArray
    """(2,): where the middle of the object's outline shall come to rest."""


@dataclass(frozen=True, kw_only=True)
class GoalSearch:
    """Looks for destinations of one object in one start state."""

    surface: SupportSurface
    frame: SurfaceFrame
    reach: Reaching
    target: Footprint
    others: Mapping[str, Footprint]
    hand_m: float
    """Of the circle about the palm."""
    hand_from_center_m: FloatArray
    """(2,): where the hand holds the object as it stands, from the middle of its outline."""
    room_m: float = 0.0
    """Of an object that is as large as parts of the surface: how far from the surface's edges it stands at least. What is nearer to them
    does not count for the middle of such a part."""
    is_shown: Callable[[FloatArray], BoolArray]
    """On which spots (n, 2) the scene's camera would show the object."""

    def offers(self, words: str, reference: str | None) -> Destination | None:
        """The destination of that name, if the object starts outside of it and there is room near its middle."""
        region = self._region(words, reference)
        if region.depth_m(self.target.center_m) > -OUTSIDE_M:
            return None
        middle = self._middle(region, words, reference)
        spots = self._free_m
        if middle is None or len(spots) == 0:
            return None
        spots = spots[region.depths_m(spots) >= DEEP_M]
        if len(spots) == 0:
            return None
        aside = np.linalg.norm(spots - middle, axis=1)
        nearest = int(aside.argmin())
        if aside[nearest] > ASIDE_M:
            return None
        return Destination(words=words, reference=reference, region=region, spot_m=spots[nearest])

    def _region(self, words: str, reference: str | None) -> Region:
        if reference is None:
            return build_region(self.frame, words)
        return build_beside(self.frame, words, self.others[reference], self.target.radius_m)

    def _middle(self, region: Region, words: str, reference: str | None) -> FloatArray | None:
        """The middle of what the robot reaches of the region, whatever stands there; beside an object, as near to it as fingers allow.

        ``None`` where the region is out of reach.
        """
        if reference is not None:
            other = self.others[reference]
            step = np.array(RELATIONS[words]) * (other.radius_m + self.target.radius_m + MARGIN_M + OUTSIDE_M)
            beside: FloatArray = self.frame.to_world(self.frame.to_viewer(other.center_m) + step)
            return beside
        cells = self.surface.cells_m()[self.surface.level]
        if self.room_m > 0:
            cells = cells[self.surface.at(self.surface.clearance_m(()) >= self.room_m, cells)]
        cells = cells[(region.depths_m(cells) >= DEEP_M) & self.reach.reaches(cells).astype(bool)]
        return cells.mean(axis=0) if len(cells) else None

    @cached_property
    def room_for_hand(self) -> BoolArray:
        """Cells (nx, ny) in which a hand that holds the object touches nothing that is taller than it, however it is turned."""
        room: BoolArray = self.surface.from_taller_m(self.others.values(), self.target.top_m + PALM_GAP_M) >= self.hand_m
        return room

    @cached_property
    def _free_m(self) -> FloatArray:
        """All spots (n, 2) on which the middle of the object's outline may come to rest.

        A spot keeps the circle about the outline, and room for the fingers, clear of edges, fixed things and other objects, and the hand
        clear of what is taller; it is within reach, at least :data:`AWAY_M` from the start, and in sight of the scene's camera.
        """
        cells = self.surface.cells_m()
        clear = self.surface.clearance_m(self.others.values()) >= self.target.radius_m + MARGIN_M
        clear &= self.surface.at(self.room_for_hand, cells.reshape(-1, 2) + self.hand_from_center_m).reshape(clear.shape)
        away = np.linalg.norm(cells - self.target.center_m, axis=-1) >= AWAY_M
        spots: FloatArray = cells[clear & away & self.reach.reaches(cells).astype(bool)]
        return spots[self.is_shown(spots)] if len(spots) else spots
