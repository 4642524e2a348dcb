"""Which grasps to try first for an object as it stands now, and where to start inverse kinematics from."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert
from blueprint_pipeline.motion.grasp_set import GraspSet
from blueprint_pipeline.motion.scene import MotionScene

LEAST_DOWN = 0.25
"""Cosine between the approach and straight down: flatter approaches bring the hand into the support."""
_DOWN_WEIGHT = 2.0
_OUTWARD_WEIGHT = 0.12
_TURN_WEIGHT = 3.0
"""Of a hand that is turned against the arm's default, as 1 less the cosine."""
_SIDE_WEIGHT_M = 0.8
"""Of a metre to the robot's left: of two grasps that mirror each other the right one is better, always the same."""
_HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])
_DIVERSITY_M = 0.03
_REPEAT_COST = 0.06


def rank_grasps(
    scene: MotionScene, object_id: str, pose_world_object: FloatArray, limit: int, among: GraspSet | None = None
) -> NDArray[np.int64]:
    """Indices of the most promising grasps, best first, spread over the object.

    A grasp is promising if it is good in itself, comes from above, reaches outward, and holds the hand as the arm has it by default. So
    the best one follows the object as it moves and turns, and the same situation gets nearly the same grasp.

    Args:
        scene: Whose arm takes it.
        object_id: What is taken.
        pose_world_object: Where it stands (4, 4).
        limit: How many.
        among: All of which they are chosen; if not given, all grasps of the object.
    """
    grasps = scene.grasps_of(object_id) if among is None else among
    if len(grasps) == 0:
        return np.empty(0, dtype=np.int64)
    poses = pose_world_object @ grasps.pose_object_tcp
    approach = poses[:, :3, 2]
    radial = poses[:, :2, 3] - scene.root_m[:2]
    radial /= np.linalg.norm(radial, axis=1, keepdims=True) + 1e-9
    outward = np.einsum("ij,ij->i", approach[:, :2], radial)
    natural = scene.pose_world_base[:3, :3] @ scene.kinematics.forward(aim(scene, pose_world_object[:3, 3]))[:3, 0]
    turned = 1 - np.abs(poses[:, :3, 0] @ natural)
    left = (poses[:, :3, 3] - pose_world_object[:3, 3]) @ scene.pose_world_base[:3, 1]
    score = grasps.quality - _DOWN_WEIGHT * (1 + approach[:, 2]) + _OUTWARD_WEIGHT * outward
    score -= _TURN_WEIGHT * turned + _SIDE_WEIGHT_M * left
    score[-approach[:, 2] < LEAST_DOWN] = -np.inf
    return _spread(poses[:, :3, 3], score, limit)


def _spread(places: FloatArray, score: FloatArray, limit: int) -> NDArray[np.int64]:
    """The best first, each choice making its neighbourhood a little less attractive."""
    score = score.copy()
    chosen: list[int] = []
    for _ in range(min(limit, int(np.isfinite(score).sum()))):
        best = int(np.argmax(score))
        chosen.append(best)
        score[np.linalg.norm(places - places[best], axis=1) < _DIVERSITY_M] -= _REPEAT_COST
        score[best] = -np.inf
    return np.array(chosen, dtype=np.int64)


def hand_turns(scene: MotionScene, pose_world_tcp: FloatArray) -> list[FloatArray]:
    """The two ways to hold the hand in a symmetric grasp, the one nearer to the arm's default first."""
    aimed = aim(scene, pose_world_tcp[:3, 3])
    default_x = scene.pose_world_base[:3, :3] @ scene.kinematics.forward(aimed)[:3, 0]
    turned: FloatArray = pose_world_tcp @ _HALF_TURN
    return [pose_world_tcp, turned] if pose_world_tcp[:3, 0] @ default_x >= 0 else [turned, pose_world_tcp]


def natural_x(scene: MotionScene, point_m: FloatArray, approach: FloatArray) -> FloatArray:
    """The x axis (3,) of the hand at a place (3,), turned from how the arm has it by default to an approach (3,) by the shortest way."""
    default = scene.pose_world_base[:3, :3] @ scene.kinematics.forward(aim(scene, point_m))[:3, :3]
    turn, _ = Rotation.align_vectors(approach[None], default[:, 2][None])
    turned: FloatArray = turn.apply(default[:, 0])
    return turned


def ik_seeds(scene: MotionScene, pose_world_tcp: FloatArray, *, near: FloatArray | None = None) -> list[FloatArray]:
    """Configurations to start inverse kinematics from: near a known one, and with arm and hand turned towards the pose."""
    rotation = scene.pose_world_base[:3, :3].T @ pose_world_tcp[:3, :3]
    aimed = scene.kinematics.turn_hand(aim(scene, pose_world_tcp[:3, 3]), rotation)
    return [aimed] if near is None else [near, aimed]


def aim(scene: MotionScene, point_m: FloatArray) -> FloatArray:
    """The default configuration, stretched and turned as a whole towards a point of the world, as far as the arm can do so."""
    local = invert(scene.pose_world_base) @ np.append(point_m, 1.0)
    return scene.kinematics.reach_towards(local[:3])
