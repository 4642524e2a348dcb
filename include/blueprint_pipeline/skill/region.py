"""Parts of a surface that a sentence can name: its left, right, front and back third, its middle, and what lies beside an object.

Directions are those of the scene's camera (:class:`blueprint_pipeline.skill.instruction.SurfaceFrame`). World frame: z up, metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose, Vector3
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.kit.predicates import Condition, depths_in_polygon, polygon_edges
from blueprint_pipeline.skill.instruction import SurfaceFrame
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.twin.footprint import Footprint
from blueprint_pipeline.workspace.storage import Id

THIRDS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "left side": ((0.0, 1.0), (2 / 3, 1.0)),
    "right side": ((0.0, 1.0), (0.0, 1 / 3)),
    "front": ((0.0, 1 / 3), (0.0, 1.0)),
    "back": ((2 / 3, 1.0), (0.0, 1.0)),
    "middle": ((1 / 3, 2 / 3), (1 / 3, 2 / 3)),
}
"""Words to shares of the surface's extent: away from the viewer, and from the viewer's right to the left."""
RELATIONS: dict[str, tuple[float, float]] = {
    "in front of": (-1.0, 0.0),
    "behind": (1.0, 0.0),
    "to the left of": (0.0, 1.0),
    "to the right of": (0.0, -1.0),
}
"""Words to directions in the viewer's axes."""
BESIDE_M = 0.15
"""How wide a gap may lie between two outlines for one to be beside the other."""


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
        return float(self.depths_m(point_m[None])[0])

    def depths_m(self, points_m: FloatArray) -> FloatArray:
        """The same of points (..., 2)."""
        return depths_in_polygon(self.corners_m, points_m)

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
        inward, offset = polygon_edges(self.corners_m)
        speed, missing = inward @ direction, offset + margin_m - inward @ start_m
        if (missing[np.abs(speed) < _PARALLEL] > 0).any():
            return None
        entering, leaving = speed >= _PARALLEL, speed <= -_PARALLEL
        first = max(0.0, float((missing[entering] / speed[entering]).max(initial=0.0)))
        last = float((missing[leaving] / speed[leaving]).min(initial=np.inf))
        return (first, last) if last >= first else None


_PARALLEL = 1e-9


def build_region(frame: SurfaceFrame, words: str) -> Region:
    """The part of a surface that ``words`` (a key of :data:`THIRDS`) name."""
    lower, upper = frame.extent_m
    (near, far), (right, left) = THIRDS[words]
    shares = np.array([[near, right], [far, right], [far, left], [near, left]])
    return Region(frame.to_world(lower + shares * (upper - lower)))


def build_beside(frame: SurfaceFrame, words: str, reference: Footprint, target_radius_m: float) -> Region:
    """What lies on one side (a key of :data:`RELATIONS`) of an object: a quarter of the plane about it, up to :data:`BESIDE_M` away.

    Whatever is in it is farther to that side than to any other, as seen by the viewer.

    Args:
        frame: The viewer's axes.
        words: Which side.
        reference: The object.
        target_radius_m: Of the circle about what will stand there.
    """
    far_m = reference.radius_m + target_radius_m + BESIDE_M
    forward, left = RELATIONS[words]
    along, aside = np.array([forward, left]), np.array([-left, forward])
    corners = np.array([np.zeros(2), far_m * (along - aside), far_m * (along + aside)])
    return Region(frame.to_world(corners + frame.to_viewer(reference.center_m)))


class RegionTask(Task):
    """Bring one object into a region; the sentence says which, and nothing else decides."""

    region_m: tuple[tuple[float, float], ...] = Field(min_length=3)
    """Corners of the convex region in the world, counter-clockwise seen from above."""
    center_object_m: Vector3
    """The middle of the object's outline, in the object's own frame, as it stands: what must lie in the region."""
    words: str = ""
    """Of the sentence, which name the region: a key of :data:`THIRDS` or of :data:`RELATIONS`; empty in plans of before it was recorded."""
    beside: Id | None = None
    """The object to which they are a relation."""

    @property
    def goal_name(self) -> str:
        return self.words or super().goal_name

    @property
    def goal_beside(self) -> str | None:
        return self.beside

    @property
    def region(self) -> Region:
        """The region."""
        return Region(np.array(self.region_m))

    @property
    def goal_xy_m(self) -> tuple[float, float]:
        """The middle of the region."""
        x, y = self.region.middle_m.tolist()
        return x, y

    @property
    def in_region(self) -> Condition:
        """The middle of the object ends in the region."""
        arguments = {"corners_m": self.region_m, "center_object_m": self.center_object_m}
        return Condition(name="in_region", measure="depth_in_region", arguments=arguments, limit=0.0, direction="at_least", unit="m")


def rounded_corners(region: Region) -> tuple[tuple[float, float], ...]:
    """Corners as a task holds them."""
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in region.corners_m)


def center_in_object(pose: Pose, footprint: Footprint) -> Vector3:
    """The middle of an object's outline in its own frame, as a task holds it."""
    middle: Sequence[float] = (rotation_from_quat(np.array(pose.quat_wxyz)).T @ (footprint.middle_m - np.array(pose.position_m))).tolist()
    x, y, z = (round(value, 5) for value in middle)
    return x, y, z
