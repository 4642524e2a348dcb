"""How high to travel with a target so that nothing is in the way, whatever stands where: the same in every episode of a scene.

A way round things depends on where all of them stand; who learns from it would have to see all of them. A way over them does not.
"""

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import shift
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.segments import LARGEST_JUMP_RAD, LINE_STEP_M

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
    lows, highs = _boxes(model, data)
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
    return float(_boxes(checker.model, checker.data)[0][own, 2].min())


def extend_up(scene: MotionScene, points: FloatArray, rise_m: float, width_m: float) -> FloatArray:
    """Joint positions (k, n) continued straight up, by ``rise_m`` or as far as the arm goes and nothing is touched."""
    pose_world_tcp = scene.tool_pose(points[-1])
    found = list(points)
    steps = int(np.ceil(max(rise_m, 0.0) / LINE_STEP_M))
    for share in np.arange(1, steps + 1) / max(steps, 1):
        guess = found[-1] if len(found) == 1 else 2 * found[-1] - found[-2]
        solution = scene.solve_ik(shift(pose_world_tcp, np.array([0.0, 0.0, share * rise_m])), [guess, found[-1]])
        if (
            solution is None
            or np.abs(solution - found[-1]).max() > LARGEST_JUMP_RAD
            or not _is_free_between(scene, found[-1], solution, width_m)
        ):
            break
        found.append(solution)
    return np.array(found)


def _is_free_between(scene: MotionScene, before: FloatArray, after: FloatArray, width_m: float) -> bool:
    """Whether a configuration is free, and the one halfway to it."""
    return all(scene.checker.is_free(point, width_m) for point in (after, (before + after) / 2))


def from_above(scene: MotionScene, approach: FloatArray, height_m: float, width_m: float) -> FloatArray:
    """An approach (k, n) that comes down from a height of the world, as far as the arm goes up there and nothing is touched."""
    rise_m = height_m - float(scene.tool_pose(approach[0])[2, 3])
    above = extend_up(scene, approach[:1], rise_m, width_m)[::-1]
    return np.vstack([above[:-1], approach])


def _boxes(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest corner of the box around each geom, along the world's axes, (ngeom, 3) each."""
    turns = data.geom_xmat.reshape(-1, 3, 3)
    centers = data.geom_xpos + np.einsum("gij,gj->gi", turns, model.geom_aabb[:, :3])
    halves = np.einsum("gij,gj->gi", np.abs(turns), model.geom_aabb[:, 3:])
    return centers - halves, centers + halves
