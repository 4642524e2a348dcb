"""Where two hands can hold one object: pairs of grasps on opposite sides of its centre of mass.

World frame: z up, metres.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply
from blueprint_pipeline.motion.candidates import rank_grasps
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.motion.surface import center_of_mass

LEAST_APART_M = 0.18
"""Between two hands that lift something together: nearer to each other one hand would do."""
LARGEST_LEVER_M = 0.05
"""Of the centre of mass from the line between the hands, seen from above: its weight turns the object about that line."""
_LEVER_WEIGHT_M, _UNEVEN_WEIGHT_M, _HIGH_WEIGHT_M, _ACROSS_WEIGHT = 6.0, 3.0, 8.0, 0.6
"""Of a metre of lever; of a metre by which one hand is nearer to the centre of mass; of a metre of height, that fingers keep clear of what
is below; and of a line between the hands that does not run across the robot's front, as 1 less the cosine."""
_GRASPS_A_HAND = 250
_MOST_REFUSED = 160
"""Grasps of both hands that neither can take: after so many the object itself is out of reach."""
_SPREAD_M, _REPEAT_COST = 0.03, 0.3
_TINY_M2 = 1e-12


Taken = TypeVar("Taken")
"""What is known of a grasp that a hand can take."""
Try = Callable[[int, FloatArray, float], Taken | None]
"""From the index of a hand, the pose of its tool in the object's frame (4, 4) and the width of the object there; ``None``: it cannot."""


@dataclass(frozen=True)
class PairedGrasp(Generic[Taken]):
    """A grasp for each of two hands."""

    taken: tuple[Taken, Taken]
    widths_m: FloatArray
    """(2,): of the object between the fingers of each."""


def count_pairs(scene: MotionScene, object_id: str, apart_m: float = LEAST_APART_M) -> int:
    """How many pairs of grasps lie on opposite sides, so far apart, over all directions; 0: these two hands cannot hold it together."""
    center_m, _ = center_of_mass(scene.model, object_id)
    first, second = (hand.upper_grasps_of(object_id).pose_object_tcp[:, :3, 3] - center_m for hand in scene.hands)
    apart, _ = _apart_and_lever(first, second, np.zeros(3))
    return int(((apart >= apart_m) & (first @ second.T < 0)).sum())


def rank_pairs(
    scene: MotionScene, object_id: str, pose_world_object: FloatArray, limit: int, take: Try[Taken], *, apart_m: float = LEAST_APART_M
) -> Iterator[PairedGrasp[Taken]]:
    """The most promising pairs for the two arms of a scene, best first, spread over the object.

    The first arm is on the robot's left, and takes what lies farther to the left. A pair is promising if each hand likes its grasp, and the
    centre of mass lies halfway between them. Each hand is asked once for each of its grasps.

    Args:
        scene: Of two arms.
        object_id: What is held.
        pose_world_object: Where it stands (4, 4).
        limit: How many.
        take: Says what a hand alone can take.
        apart_m: Between the hands, at least.
    """
    hands = scene.hands
    sets = [hand.upper_grasps_of(object_id) for hand in hands]
    chosen = [rank_grasps(hand, object_id, pose_world_object, _GRASPS_A_HAND, among) for hand, among in zip(hands, sets, strict=True)]
    if min(map(len, chosen)) == 0:
        return
    poses = [grasps.pose_object_tcp[index] for grasps, index in zip(sets, chosen, strict=True)]
    widths = [grasps.width_m[index] for grasps, index in zip(sets, chosen, strict=True)]
    places = [(pose_world_object @ found)[:, :3, 3] for found in poses]
    score = _score(places, _center(scene, object_id, pose_world_object), scene, apart_m)
    between = poses[0][:, None, :3, 3] - poses[1][None, :, :3, 3]
    known: dict[tuple[int, int], Taken | None] = {}
    while limit > 0 and np.isfinite(score).any() and sum(found is None for found in known.values()) < _MOST_REFUSED:
        pair = tuple(int(index) for index in np.unravel_index(int(np.argmax(score)), score.shape))
        for hand, index in enumerate(pair):
            if (hand, index) not in known:
                known[hand, index] = take(hand, poses[hand][index], float(widths[hand][index]))
        first, second = known[0, pair[0]], known[1, pair[1]]
        if first is None or second is None:
            score[pair[0] if first is None else slice(None), pair[1] if second is None else slice(None)] = -np.inf
            continue
        yield PairedGrasp(taken=(first, second), widths_m=np.array([widths[0][pair[0]], widths[1][pair[1]]]))
        limit -= 1
        score[np.linalg.norm(between - between[pair], axis=-1) < _SPREAD_M] -= _REPEAT_COST
        score[pair] = -np.inf


def _center(scene: MotionScene, object_id: str, pose_world_object: FloatArray) -> FloatArray:
    """Of mass, in the world (3,)."""
    center: FloatArray = apply(pose_world_object, center_of_mass(scene.model, object_id)[0][None])[0]
    return center


def _score(places: list[FloatArray], center_m: FloatArray, scene: MotionScene, apart_m: float) -> FloatArray:
    """How promising each pair is (n, m), of places (n, 3) and (m, 3) in the order of each hand; never those that cannot hold the object."""
    leftward = scene.pose_world_base[:3, 1]
    order = [np.linspace(1.0, 0.0, len(found)) for found in places]
    apart, lever = _apart_and_lever(places[0][:, :2], places[1][:, :2], center_m[:2])
    offset = places[0][:, None] - places[1][None]
    across = offset @ leftward / np.maximum(np.linalg.norm(offset, axis=-1), apart_m / 2)
    near = [np.linalg.norm((found - center_m)[:, :2], axis=1) for found in places]
    uneven = np.abs(near[0][:, None] - near[1][None])
    score: FloatArray = order[0][:, None] + order[1][None] - _LEVER_WEIGHT_M * lever - _UNEVEN_WEIGHT_M * uneven
    score += _HIGH_WEIGHT_M * np.minimum(places[0][:, None, 2], places[1][None, :, 2]) - _ACROSS_WEIGHT * (1 - across)
    score[(apart < apart_m) | (lever > LARGEST_LEVER_M) | (across <= 0)] = -np.inf
    return score


def _apart_and_lever(first_m: FloatArray, second_m: FloatArray, center_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance of each pair of places (n, d) and (m, d), and of a point (d,) from the piece of line between them: (n, m) each."""
    way = second_m[None] - first_m[:, None]
    squared = np.maximum(np.einsum("ijk,ijk->ij", way, way), _TINY_M2)
    share = np.clip(np.einsum("ijk,ijk->ij", center_m - first_m[:, None], way) / squared, 0.0, 1.0)
    nearest = first_m[:, None] + share[..., None] * way
    return np.sqrt(squared), np.linalg.norm(nearest - center_m, axis=-1)
