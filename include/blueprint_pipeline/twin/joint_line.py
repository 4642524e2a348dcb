"""The line along which a part slides, or about which it turns, in the world: how far it is open, and where it is then.

World frame: z up, metres; quaternions w, x, y, z. Positions are in [m] or [rad]; a share is 0 where the part is closed, 1 where it is open.
"""

from typing import Any

import numpy as np

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose, Vector3
from blueprint_pipeline.geometry.transforms import across, joint_motion, matrix_of, quat_of
from blueprint_pipeline.kit.joints import JointMeasure

_AT_AXIS_M = 0.03
"""From an axis, within which a hand turns what it holds about itself."""


class JointLine(FrozenModel):
    """A joint of one degree of freedom on something that does not move."""

    slides: bool
    """Along its axis [m]; else it turns about it [rad], right-handed."""
    axis: Vector3
    """Unit vector."""
    anchor_m: Vector3
    """A point of the axis."""
    limits: tuple[float, float]
    """At 0 the part is closed, at the upper one open."""
    closed: Pose
    """Of the part where it is closed."""

    @property
    def unit(self) -> str:
        """Of its positions."""
        return "m" if self.slides else "rad"

    def position_at(self, share: float) -> float:
        """The position at a share of the way from closed to open."""
        return share * self.limits[1]

    def share_at(self, position: float) -> float:
        """The share of the way from closed to open at a position."""
        return position / self.limits[1]

    def motion(self, start: float, end: float) -> FloatArray:
        """How the part moves from one position to another, as a transform of the world (4, 4)."""
        return joint_motion(np.array(self.axis), np.array(self.anchor_m), end - start, slides=self.slides)

    def pose_at(self, position: float) -> Pose:
        """Pose of the part at a position."""
        pose = self.matrix_at(position)
        return Pose.of([*pose[:3, 3], *quat_of(pose)])

    def matrix_at(self, position: float) -> FloatArray:
        """Pose of the part at a position, (4, 4)."""
        pose: FloatArray = self.motion(0.0, position) @ matrix_of(self.closed)
        return pose

    def positions_of(self, poses: FloatArray) -> FloatArray:
        """The positions (T,) that poses of the part (T, 7) show, xyz and quat wxyz; a hinge's within half a turn of its range's middle."""
        return JointMeasure(**self.as_measure()).positions(poses)

    def as_measure(self) -> dict[str, Any]:
        """What measures of success ask of it, as JSON: arguments of :class:`~blueprint_pipeline.kit.joints.JointMeasure`."""
        return {"slides": self.slides, "axis": self.axis, "limits": self.limits, "closed": self.closed.as_tuple()}

    def travel(self, start: FloatArray, end: FloatArray) -> float:
        """By how much a part moves that is held by a hand, as the hand goes from one pose (4, 4) to another, or as near to that as it can.

        About a hinge the way of the hand tells it, for a bar may turn between the fingers; where the hand is at the axis itself, its turn.
        """
        axis, start_m, end_m = np.array(self.axis), start[:3, 3], end[:3, 3]
        if self.slides:
            return float(axis @ (end_m - start_m))
        first, last = start_m - self.anchor_m, end_m - self.anchor_m
        if np.linalg.norm(np.cross(axis, first)) < _AT_AXIS_M:
            first, last = (pose[:3, :3] @ start[:3, :3].T @ across(axis)[0] for pose in (start, end))
        return float(np.arctan2(axis @ np.cross(first, last), first @ last - (axis @ first) * (axis @ last)))
