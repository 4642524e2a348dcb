"""Where fingers can touch an object to push it: found by rays, safe from tipping it over.

The fingers stand behind the object, closed or a little open, side by side across the way. The hand leans back, so that the
fingertips lead and a tall object does not meet the palm.

World frame: z up, metres.
"""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.robot.gripper import FingerPad
from blueprint_pipeline.twin.footprint import bodies_of, collision_points

LEANS_RAD = tuple(np.deg2rad((40.0, 25.0, 55.0, 10.0)))
"""How far the hand leans back, in the order in which it is tried."""
GROUND_GAP_M = 0.006
"""Between the fingertips and the support."""
BEFORE_M = 0.02
"""Between the fingers and the object before the stroke."""
STABLE_SHARE = 0.7
"""Of the lever at which the object tips over its front edge: no more may the fingers have."""
_CAUGHT_RAD = 0.02
"""How far what catches on the support may tilt."""
_GRAVITY_M_S2 = 9.81
_SHORTEST_LEVER_M = 1e-3
_HIGHEST_SHARE = 0.8
"""Of the object's height, below which the fingers touch it."""
_SPREAD_SHARE = 0.45
"""Opening of the fingers as a share of the object's width across the way."""
_BASE_M = 0.006
_RAY_STEP_M = 0.0125
_HIGHEST_RAY_M = 0.1
_ANY_GROUP = np.array([1, 1, 0, 1, 1, 1], dtype=np.uint8)
_DIRECTIONS = 36


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """The object as it stands before a stroke."""

    target: str
    support: str
    qpos: FloatArray
    """(nq,): the whole state in which it was observed."""
    data: mujoco.MjData
    """The same state of the planner's model, with its kinematics."""
    center_m: FloatArray
    """(2,): its centre of mass seen from above: what a push goes through, for an object that rests evenly."""
    center_height_m: float
    """Of the centre of mass, above the lowest point."""
    points_m: FloatArray
    """(n, 3): corners of its collision geometry."""
    friction: float
    """Between it and its support."""

    @property
    def bottom_m(self) -> float:
        """Height of its lowest point."""
        return float(self.points_m[:, 2].min())

    @property
    def height_m(self) -> float:
        """From its lowest to its highest point."""
        return float(np.ptp(self.points_m[:, 2]))

    def highest_push_m(self, direction: FloatArray) -> float:
        """Height above the support below which a push along ``direction`` (2,) slides the object and does not tip it.

        The friction that the fingers overcome, ``mu m g`` at the height of the fingers, must not lift the weight, ``m g`` with
        the lever from the centre of mass to the front edge of the base.

        Source: statics of a sliding block, e.g. Mason, "Mechanics of Robotic Manipulation" (2001), chapter 6.
        """
        return min(_HIGHEST_SHARE * self.height_m, STABLE_SHARE * self._lever_m(direction) / self.friction)

    def fastest_push_m_s(self, direction: FloatArray) -> float:
        """Speed up to which a push along ``direction`` (2,) keeps it upright where it slips off the fingers and catches on the support.

        Left to itself it slides on and stops upright if friction at its base cannot turn it about its front edge; then any speed will do.
        Otherwise all of its motion may go into a tilt, which lifts its centre of mass by the lever times the tilt: ``v^2 / 2 g``.

        Source: conservation of energy; Mason, "Mechanics of Robotic Manipulation" (2001), chapter 6, for when it slides.
        """
        lever_m = self._lever_m(direction)
        if self.friction * self.center_height_m <= STABLE_SHARE * lever_m:
            return np.inf
        return float(np.sqrt(2.0 * _GRAVITY_M_S2 * lever_m * _CAUGHT_RAD))

    def _lever_m(self, direction: FloatArray) -> float:
        """From the centre of mass to the front edge of the base."""
        base = self.points_m[self.points_m[:, 2] <= self.bottom_m + _BASE_M, :2]
        return max(_SHORTEST_LEVER_M, float(((base - self.center_m) @ direction).max()))


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Where the fingers meet the object on the way of a stroke."""

    direction: FloatArray
    """(2,): unit vector of the stroke."""
    behind_m: float
    """From the centre of mass back to the front edge of the fingers as they touch."""
    before_m: float
    """How far behind that the fingers come down, clear of all that the object overhangs."""
    slope: float
    """How uneven the side is that is touched, over the width of the fingers as far as it reaches: at 0 it is flush with them, and the
    object keeps its heading; a slanting side turns it, and so does a corner between the fingers."""
    width_m: float
    """Opening between the fingers."""
    lean_rad: float
    edge_m: float
    """Height of the front edge of the fingers above the support."""


def observe_pushed(scene: MotionScene, qpos: FloatArray, target: str, support: str) -> Pushed:
    """Measure the object where it stands in a whole state (nq,)."""
    model = scene.model
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    points_m, center_m = collision_points(model, data, target), data.subtree_com[model.body(target).id]
    return Pushed(
        target=target,
        support=support,
        qpos=qpos,
        data=data,
        center_m=center_m[:2].copy(),
        center_height_m=float(center_m[2] - points_m[:, 2].min()),
        points_m=points_m,
        friction=max(_largest_friction(model, bodies_of(model, name)) for name in (target, support)),
    )


def _largest_friction(model: mujoco.MjModel, bodies: NDArray[np.int64]) -> float:
    """Source: MuJoCo documentation, "Contact parameters": of two geoms' friction the larger one counts."""
    geoms = np.flatnonzero(np.isin(model.geom_bodyid, bodies) & ((model.geom_contype | model.geom_conaffinity) > 0))
    return float(model.geom_friction[geoms, 0].max())


def find_contacts(scene: MotionScene, pushed: Pushed, direction: FloatArray) -> list[Contact]:
    """How the fingers could touch the object for a stroke along ``direction`` (2,): a little open or closed, at every lean.

    Left out are those that would tip the object over, and all where something else stands in between.
    """
    gripper = scene.arm.gripper
    across = np.array([-direction[1], direction[0]])
    extent_m = float(np.ptp((pushed.points_m[:, :2] - pushed.center_m) @ across))
    heights = np.arange(GROUND_GAP_M, min(pushed.height_m, _HIGHEST_RAY_M), _RAY_STEP_M)
    found = []
    for width_m in (float(np.clip(_SPREAD_SHARE * extent_m, gripper.openings_m[0], gripper.stroke_m)), gripper.openings_m[0]):
        aside = np.array([0.0, 0.5, 1.0]) * gripper.pad.finger_thickness_m + width_m / 2
        fingers = np.concatenate([-aside[::-1], aside])
        sides = _sides_m(scene.model, pushed, direction, heights, fingers)
        if sides is not None:
            levels = _Levels(direction, heights, sides, float(np.ptp(fingers)))
            found += [contact for lean in LEANS_RAD if (contact := _touch(pushed, gripper.pad, levels, width_m, float(lean)))]
    return found


@dataclass(frozen=True)
class _Levels:
    """From the centre back, against a direction (2,), to the object's side: (k, n) at k heights and n points across the fingers."""

    direction: FloatArray
    heights_m: FloatArray
    sides_m: FloatArray
    across_m: float


def _touch(pushed: Pushed, pad: FingerPad, levels: _Levels, width_m: float, lean_rad: float) -> Contact | None:
    """Where leaning fingers first touch; ``None``: nowhere, or so high that the object would tip over."""
    edge_m = GROUND_GAP_M + pad.width_m * float(np.sin(lean_rad))
    # The front of the fingers leans back above its edge: what it meets first is not always at the height of the edge.
    ahead = levels.sides_m - np.maximum(levels.heights_m - edge_m, 0.0)[:, None] * np.tan(lean_rad)
    level = int(ahead.max(axis=1).argmax())
    if not levels.sides_m.any() or max(float(levels.heights_m[level]), edge_m) > pushed.highest_push_m(levels.direction):
        return None
    behind_m = float(ahead.max())
    met = ahead[level][levels.sides_m[level] > 0.0]
    farthest_m = float(((pushed.center_m - pushed.points_m[:, :2]) @ levels.direction).max())
    return Contact(
        direction=levels.direction,
        behind_m=behind_m,
        before_m=max(farthest_m - behind_m, 0.0) + BEFORE_M,
        slope=float(np.ptp(met)) / levels.across_m if met.size else 0.0,
        width_m=width_m,
        lean_rad=lean_rad,
        edge_m=edge_m,
    )


def _sides_m(
    model: mujoco.MjModel, pushed: Pushed, direction: FloatArray, heights_m: FloatArray, fingers_m: FloatArray
) -> FloatArray | None:
    """From the centre back to the object's side, at heights (k,) and points across the fingers (n,), as (k, n).

    Rays that miss the object (it is narrower than the fingers, or hollow) count as its centre; ``None`` where something
    else is in between.
    """
    across = np.array([-direction[1], direction[0]])
    reach = float(np.linalg.norm(pushed.points_m[:, :2] - pushed.center_m, axis=1).max()) + BEFORE_M
    own = set(bodies_of(model, pushed.target).tolist())
    geom = np.zeros(1, dtype=np.int32)
    found = np.zeros((len(heights_m), len(fingers_m)))
    for level, height in enumerate(heights_m):
        for index, aside in enumerate(fingers_m):
            start = np.array([*(pushed.center_m - reach * direction + aside * across), pushed.bottom_m + height])
            distance = mujoco.mj_ray(model, pushed.data, start, np.array([*direction, 0.0]), _ANY_GROUP, 1, -1, geom, None)
            if geom[0] >= 0 and distance <= reach:
                if int(model.geom_bodyid[geom[0]]) not in own:
                    return None
                found[level, index] = reach - distance
    return found


class Sides:
    """Ways to touch an object from all around, found when they are asked for."""

    def __init__(self, scene: MotionScene, pushed: Pushed) -> None:
        self._scene = scene
        self._pushed = pushed
        self._found: dict[int, list[Contact]] = {}
        angles = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
        self.directions: FloatArray = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        """(n, 2): unit vectors of strokes."""

    def contacts(self, index: int) -> list[Contact]:
        """Ways to touch it for a stroke along one of the directions."""
        if index not in self._found:
            self._found[index] = find_contacts(self._scene, self._pushed, self.directions[index])
        return self._found[index]
