"""Where two hands can hold one object: pairs of grasps on opposite sides of its centre of mass.

World frame: z up, metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.candidates import rank_grasps
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.twin.footprint import bodies_of

LEAST_APART_M = 0.18
"""Between the two hands: nearer to each other their palms meet, and one hand would do."""
LARGEST_LEVER_M = 0.05
"""Of the centre of mass from the line between the hands, seen from above: its weight turns the object about that line."""
_LEVER_WEIGHT_M, _UNEVEN_WEIGHT_M, _ACROSS_WEIGHT = 6.0, 3.0, 0.6
"""Of a metre of lever; of a metre by which one hand is nearer to the centre of mass; and of a line between the hands that does not run
across the robot's front, as 1 less the cosine."""
_GRASPS_A_HAND = 250
_SPREAD_M, _REPEAT_COST = 0.03, 0.3
_TINY_M2 = 1e-12


@dataclass(frozen=True)
class PairedGrasp:
    """A grasp for each of two hands, in the object's frame."""

    pose_object_tcps: FloatArray
    """(2, 4, 4)."""
    widths_m: FloatArray
    """(2,): of the object between the fingers of each."""


def center_of_mass(scene: MotionScene, object_id: str) -> FloatArray:
    """Of an object, in its own frame (3,)."""
    model = scene.model
    bodies = bodies_of(model, object_id)
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    mujoco.mj_kinematics(model, data)
    mean = np.average(data.xipos[bodies], axis=0, weights=model.body_mass[bodies])
    root = int(model.body(object_id).id)
    center: FloatArray = data.xmat[root].reshape(3, 3).T @ (mean - data.xpos[root])
    return center


def count_pairs(scene: MotionScene, object_id: str) -> int:
    """How many pairs of grasps lie on opposite sides, over all directions; 0: these two hands cannot hold the object together."""
    first, second = (hand.grasps_of(object_id).pose_object_tcp[:, :3, 3] - center_of_mass(scene, object_id) for hand in scene.hands)
    apart, _ = _apart_and_lever(first, second, np.zeros(3))
    return int(((apart >= LEAST_APART_M) & (first @ second.T < 0)).sum())


def rank_pairs(scene: MotionScene, object_id: str, pose_world_object: FloatArray, limit: int) -> Iterator[PairedGrasp]:
    """The most promising pairs for the two arms of a scene, best first, spread over the object.

    The first arm is on the robot's left, and takes what lies farther to the left. A pair is promising if each hand likes its grasp, and the
    centre of mass lies halfway between them.

    Args:
        scene: Of two arms.
        object_id: What is held.
        pose_world_object: Where it stands (4, 4).
        limit: How many.
    """
    hands = scene.hands
    chosen = [rank_grasps(hand, object_id, pose_world_object, _GRASPS_A_HAND) for hand in hands]
    if min(map(len, chosen)) == 0:
        return
    sets = [hand.grasps_of(object_id) for hand in hands]
    places = [(pose_world_object @ grasps.pose_object_tcp[index])[:, :3, 3] for grasps, index in zip(sets, chosen, strict=True)]
    center = pose_world_object[:3, :3] @ center_of_mass(scene, object_id) + pose_world_object[:3, 3]
    score = _score(places, center, scene.pose_world_base[:3, 1])
    middles = (places[0][:, None] - places[1][None])[..., :2]
    for _ in range(min(limit, int(np.isfinite(score).sum()))):
        best = np.unravel_index(int(np.argmax(score)), score.shape)
        left, right = (int(index[at]) for index, at in zip(chosen, best, strict=True))
        yield PairedGrasp(
            pose_object_tcps=np.stack([sets[0].pose_object_tcp[left], sets[1].pose_object_tcp[right]]),
            widths_m=np.array([sets[0].width_m[left], sets[1].width_m[right]]),
        )
        score[np.linalg.norm(middles - middles[best], axis=-1) < _SPREAD_M] -= _REPEAT_COST
        score[best] = -np.inf


def _score(places: list[FloatArray], center_m: FloatArray, leftward: FloatArray) -> FloatArray:
    """How promising each pair is (n, m), before its rank by each hand is told; without those that cannot hold the object."""
    order = [np.linspace(1.0, 0.0, len(found)) for found in places]
    apart, lever = _apart_and_lever(places[0][:, :2], places[1][:, :2], center_m[:2])
    offset = places[0][:, None] - places[1][None]
    across = offset @ leftward / np.maximum(np.linalg.norm(offset, axis=-1), LEAST_APART_M / 2)
    near = [np.linalg.norm((found - center_m)[:, :2], axis=1) for found in places]
    uneven = np.abs(near[0][:, None] - near[1][None])
    score: FloatArray = order[0][:, None] + order[1][None] - _LEVER_WEIGHT_M * lever - _UNEVEN_WEIGHT_M * uneven
    score -= _ACROSS_WEIGHT * (1 - across)
    score[(apart < LEAST_APART_M) | (lever > LARGEST_LEVER_M) | (across <= 0)] = -np.inf
    return score


def _apart_and_lever(first_m: FloatArray, second_m: FloatArray, center_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance of each pair of places (n, d) and (m, d), and of a point (d,) from the piece of line between them: (n, m) each."""
    way = second_m[None] - first_m[:, None]
    squared = np.maximum(np.einsum("ijk,ijk->ij", way, way), _TINY_M2)
    share = np.clip(np.einsum("ijk,ijk->ij", center_m - first_m[:, None], way) / squared, 0.0, 1.0)
    nearest = first_m[:, None] + share[..., None] * way
    return np.sqrt(squared), np.linalg.norm(nearest - center_m, axis=-1)
