"""A target and what may receive it, in a start state: where it would come to rest there, and whether that is seen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.geometry.transforms import apply, build_pose, matrix_of, quat_of, turn_about_z
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.skill.contract import StartState, Workplace
from blueprint_pipeline.skill.grasping import RELEASE_HEIGHT_M
from blueprint_pipeline.skill.receiver import Receiver
from blueprint_pipeline.skill.resting import let_go, lower_onto

_CLEAR_M = 0.05
"""How high above the receiver the search begins."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A target and an object that may receive it, in a start state."""

    place: Workplace
    start: StartState
    target: str
    name: str
    """Of the object that receives it."""
    receiver: Receiver
    turn_rad: float = 0.0
    """By which the target shall be turned about the vertical, from how it stands."""

    @property
    def radius_m(self) -> float:
        """Of the circle about the middle of the target's outline that holds it."""
        footprint = self.start.footprints[self.target]
        return float(np.linalg.norm(footprint.polygon_m + footprint.origin_m[:2] - footprint.center_m, axis=1).max())

    @property
    def center_object_m(self) -> FloatArray:
        """The middle of the target in its own frame, (3,)."""
        footprint, stands = self.start.footprints[self.target], self.start.poses[self.target]
        middle = np.array([*footprint.center_m, (footprint.bottom_m + footprint.top_m) / 2])
        center: FloatArray = rotation_from_quat(np.array(stands.quat_wxyz)).T @ (middle - np.array(stands.position_m))
        return center

    @property
    def turned(self) -> Pose:
        """Where the target stands, turned about the vertical through its middle."""
        return turned_about(self.start.poses[self.target], self.center_object_m, self.turn_rad)

    def unturned_m(self, goal: Pose) -> FloatArray:
        """Where the target's origin would be at a goal if it were not turned, (3,)."""
        turned, stood = (rotation_from_quat(np.array(pose.quat_wxyz)) for pose in (goal, self.start.poses[self.target]))
        position: FloatArray = np.array(goal.position_m) + (turned - stood) @ self.center_object_m
        return position

    def spot_m(self, room_m: float) -> FloatArray | None:
        """Where the middle of the target's outline goes, (2,) in the world: of what has room the point nearest to the middle."""
        spots = apply(matrix_of(self.start.poses[self.name]), self.receiver.spots_m)[:, :2]
        roomy = spots[self.receiver.inside_m >= room_m]
        if len(roomy) == 0:
            return None
        nearest: FloatArray = roomy[np.linalg.norm(roomy - spots.mean(axis=0), axis=1).argmin()]
        return nearest

    def lowered(self, spot_m: FloatArray) -> Pose | None:
        """The target's pose with the middle of its outline over a spot (2,), let down until it touches; ``None`` where it passes by."""
        footprint, stands = self.start.footprints[self.target], self.turned
        x, y = (np.array(stands.position_m[:2]) + spot_m - footprint.center_m).tolist()
        z = stands.position_m[2] + self.start.footprints[self.name].top_m + _CLEAR_M - footprint.bottom_m
        above = stands.model_copy(update={"position_m": (x, y, z)})
        down_m = lower_onto(self.place.twin, self.qpos_with({self.target: above}), self.target, self.name)
        return None if down_m is None else above.model_copy(update={"position_m": (x, y, z - down_m)})

    def settled(self, goal: Pose, push: tuple[float, float]) -> tuple[FloatArray, FloatArray] | None:
        """Where the two lie after the target was let go just above its goal under a push, (7,) each; ``None``: they do not come to rest."""
        x, y, z = goal.position_m
        qpos = self.qpos_with({self.target: goal.model_copy(update={"position_m": (x, y, z + RELEASE_HEIGHT_M)})})
        ended = let_go(self.place.twin, qpos, self.place.planner.holding(qpos), (self.target, self.name), push=push)
        return None if ended is None else (ended[self.target], ended[self.name])

    def shows_at(self, goal: Pose) -> bool:
        """Whether the scene's camera shows the target at its goal, and the receiver before."""
        view, home = self.place.view, home_qpos(self.place.embodiment)
        return view.shows(self.start.poses, home, self.name) and view.shows({**self.start.poses, self.target: goal}, home, self.target)

    def qpos_with(self, moved: Mapping[str, Pose]) -> FloatArray:
        """The start state with some objects elsewhere, (nq,)."""
        return self.place.twin.qpos_at({**self.start.poses, **moved}, home_qpos(self.place.embodiment))


def turned_about(pose: Pose, center_object_m: FloatArray, turn_rad: float) -> Pose:
    """An object's pose turned about the vertical through a point of its own frame (3,); the pose itself where there is no turn."""
    if turn_rad == 0.0:
        return pose
    stood = matrix_of(pose)
    rotation = turn_about_z(turn_rad)[:3, :3] @ stood[:3, :3]
    turned = build_pose(stood[:3, 3] + (stood[:3, :3] - rotation) @ center_object_m, rotation)
    return Pose.of([*turned[:3, 3], *quat_of(turned)])
