"""Where two hands could meet over an object: poses of it in the air, in the order in which they are tried.

World frame: z up, metres.
"""

from collections.abc import Iterator

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply, build_pose, turn_about_z
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.surface import object_surface
from blueprint_pipeline.skill.grasping import GraspQuery

_FARTHER = (0.0, 0.5)
"""How far out the hands meet: shares of the way from where both arms work best to the end of their good reach."""
_RISES = (1.25, 1.0)
"""How high: shares of the height at which nothing is in the way."""
_OUTLINE_STEPS = 90


def list_places(query: GraspQuery, pose_world_object: FloatArray, rise_m: float) -> Iterator[FloatArray]:
    """Poses of the object (4, 4) at which the hands could meet, with its long side across; turned the shorter way first.

    They are before the robot's middle, ``rise_m`` or less above where it stands.
    """
    scene = query.scene
    center_m = apply(pose_world_object, np.array([query.center_object_m]))[0]
    turn_rad = _turn_across(scene, query.target, pose_world_object)
    for farther in _FARTHER:
        middle_m = _middle_between(scene, farther)
        for rise in _RISES:
            for yaw_rad in (turn_rad, turn_rad - np.copysign(np.pi, turn_rad)):
                rotation = turn_about_z(yaw_rad)[:3, :3]
                place_m = np.array([*middle_m, center_m[2] + rise * rise_m])
                yield build_pose(place_m + rotation @ (pose_world_object[:3, 3] - center_m), rotation @ pose_world_object[:3, :3])


def _middle_between(scene: MotionScene, farther: float) -> FloatArray:
    """A place (2,) in the middle before the robot that is at the best distance from both arms, or somewhat farther out."""
    out_m = []
    for binding in scene.arms.bindings:
        radius = binding.arm.working_radius
        far_m = radius.best_m + farther * (radius.farthest_m - radius.best_m)
        out_m.append(radius.center_m[0] + float(np.sqrt(max(0.0, far_m**2 - radius.center_m[1] ** 2))))
    middle: FloatArray = apply(scene.pose_world_base, np.array([[min(out_m), 0.0, 0.0]]))[0, :2]
    return middle


def _turn_across(scene: MotionScene, object_id: str, pose_world_object: FloatArray) -> float:
    """By how much an object is turned about the vertical, at most by a quarter, until its long side lies across the robot's front [rad]."""
    outline_m = apply(pose_world_object, object_surface(scene.model, object_id).vertices)[:, :2]
    angles = np.arange(_OUTLINE_STEPS) * np.pi / _OUTLINE_STEPS
    widths_m = np.ptp(outline_m @ np.array([np.cos(angles), np.sin(angles)]), axis=0)
    forward = scene.pose_world_base[:2, 0]
    turn_rad = float(np.arctan2(forward[1], forward[0]) - angles[int(widths_m.argmin())])
    return float((turn_rad + np.pi / 2) % np.pi - np.pi / 2)
