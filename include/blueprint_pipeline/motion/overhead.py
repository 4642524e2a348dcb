"""How high to travel with a target so that nothing is in the way, whatever stands where: the same in every episode of a scene.

A way round things depends on where all of them stand; who learns from it would have to see all of them. A way over them does not.
"""

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.plan import Widths
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import follow_line
from blueprint_pipeline.twin.footprint import geom_boxes

MARGIN_M = 0.04
HIGHEST_M = 0.22
"""Above the support: what is taller is passed at its side, as a wall is."""


def height_over(scene: MotionScene, support_m: float, target: str) -> float:
    """Height in the world [m] above all that can be moved or stands within the arm's reach, but for the target and what is too tall.

    Args:
        scene: With its objects placed.
        support_m: Height of what the target stands on.
        target: What is taken.
    """
    checker = scene.checker
    model, data = checker.model, checker.data
    mujoco.mj_kinematics(model, data)
    left_out = checker.bodies_of(target) | checker.robot_bodies
    lows, highs = geom_boxes(model, data)
    away = np.maximum(np.maximum(lows[:, :2] - scene.root_m[:2], scene.root_m[:2] - highs[:, :2]), 0.0)
    near = np.linalg.norm(away, axis=1) <= scene.arm.working_radius.farthest_m
    moves = model.body_dofnum[model.body_rootid[model.geom_bodyid]] > 0
    counts = (
        checker.collides & (near | moves) & ~np.isin(model.geom_bodyid, list(left_out)) & (model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE)
    )
    tops = highs[counts, 2]
    return float(tops[(tops > support_m) & (tops <= support_m + HIGHEST_M)].max(initial=support_m)) + MARGIN_M


def bottom_of(scene: MotionScene, target: str) -> float:
    """Height in the world [m] of the lowest point of an object, by the boxes around its pieces."""
    checker = scene.checker
    mujoco.mj_kinematics(checker.model, checker.data)
    own = checker.collides & np.isin(checker.model.geom_bodyid, list(checker.bodies_of(target)))
    return float(geom_boxes(checker.model, checker.data)[0][own, 2].min())


def extend_up(scene: MotionScene, points: FloatArray, rise_m: float, width_m: Widths) -> FloatArray:
    """Joint positions (k, n) continued straight up, by ``rise_m`` or as far as the arm goes and nothing is touched."""
    found = list(points)
    if rise_m > 0:
        for point in follow_line(scene, scene.tool_poses(found[-1]), found[-1], np.array([0.0, 0.0, rise_m])):
            halfway = (found[-1] + point) / 2
            if not all(scene.checker.is_free(qpos, width_m) for qpos in (point, halfway)):
                break
            found.append(point)
    return np.array(found)


def from_above(scene: MotionScene, approach: FloatArray, height_m: float, width_m: Widths) -> FloatArray:
    """An approach (k, n) that comes down from a height of the world, as far as the arm goes up there and nothing is touched."""
    rise_m = height_m - float(scene.tool_poses(approach[0])[:, 2, 3].min())
    above = extend_up(scene, approach[:1], rise_m, width_m)[::-1]
    return np.vstack([above[:-1], approach])
