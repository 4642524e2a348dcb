"""What of an object's shape matters for setting it down: its footprint, its height, what it stands on.

All of it comes from the collision geometry of the twin, in the world frame (z up, metres).
"""

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.twin.body_names import is_part

_UP_COSINE = 0.7
_CALIPER_STEPS = 36
_BOTTOM_SLACK_M = 0.015
_ROUND = {int(kind) for kind in (mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE)}


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """An object seen from above, as it stands."""

    origin_m: FloatArray
    """(3,): the body's origin."""
    polygon_m: FloatArray
    """(k, 2): convex outline relative to the origin, counter-clockwise."""
    bottom_m: float
    """Height of the lowest point."""
    top_m: float

    @property
    def radius_m(self) -> float:
        """Of the circle about the origin that holds the outline."""
        return float(np.linalg.norm(self.polygon_m, axis=1).max())

    @property
    def width_m(self) -> float:
        """Smallest distance between two parallel lines that hold the outline: what a gripper must open to, at least.

        Source: rotating calipers (Shamos 1978), here over the outline's own edges, one of which is always part of the minimum.
        """
        edges = np.roll(self.polygon_m, -1, axis=0) - self.polygon_m
        normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1, keepdims=True)
        spread = self.polygon_m @ normals.T
        return float((spread.max(axis=0) - spread.min(axis=0)).min())

    @property
    def center_m(self) -> FloatArray:
        """(2,): middle of the outline's bounding box, in the world."""
        middle = (self.polygon_m.min(axis=0) + self.polygon_m.max(axis=0)) / 2
        center: FloatArray = self.origin_m[:2] + middle
        return center

    @property
    def middle_m(self) -> FloatArray:
        """(3,): the same at the height of the lowest point."""
        return np.array([*self.center_m, self.bottom_m])

    def moved(self, origin_xy_m: FloatArray, turn_rad: float) -> "Footprint":
        """The same object turned about the vertical through its origin, and set down elsewhere on the same level."""
        cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
        turned = self.polygon_m @ np.array([[cosine, sine], [-sine, cosine]])
        return replace(self, origin_m=np.array([*origin_xy_m, self.origin_m[2]]), polygon_m=turned)


def bodies_of(model: mujoco.MjModel, name: str) -> NDArray[np.int64]:
    """Ids of the bodies of a thing by the name of one: of the whole object or robot that it belongs to; of a part that moves, its own."""
    body = int(model.body(name).id)
    if is_part(name):
        return np.array([body])
    bodies: NDArray[np.int64] = np.flatnonzero(model.body_rootid == model.body_rootid[body])
    return bodies


def collision_points(model: mujoco.MjModel, data: mujoco.MjData, object_id: str) -> FloatArray:
    """Corners (n, 3) in the world of an object's collision geometry (``data`` must have its kinematics)."""
    return np.concatenate(collision_pieces(model, data, object_id))


def collision_pieces(model: mujoco.MjModel, data: mujoco.MjData, object_id: str) -> list[FloatArray]:
    """The same piece by piece."""
    geoms = np.flatnonzero(np.isin(model.geom_bodyid, bodies_of(model, object_id))).tolist()
    return [_corners(model, data, geom) for geom in geoms if _collides(model, geom)]


def geom_boxes(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest corner of the box around each geom, along the world's axes, (ngeom, 3) each."""
    turns = data.geom_xmat.reshape(-1, 3, 3)
    centers = data.geom_xpos + np.einsum("gij,gj->gi", turns, model.geom_aabb[:, :3])
    halves = np.einsum("gij,gj->gi", np.abs(turns), model.geom_aabb[:, 3:])
    return centers - halves, centers + halves


def measure_footprint(model: mujoco.MjModel, data: mujoco.MjData, object_id: str) -> Footprint:
    """Outline and height of an object in its present pose (``data`` must have its kinematics)."""
    return footprint_of(collision_points(model, data, object_id), data.body(object_id).xpos.copy())


def footprint_of(points: FloatArray, origin: FloatArray) -> Footprint:
    """Outline and height of what has these corners (n, 3), relative to an origin (3,)."""
    from scipy.spatial import ConvexHull  # noqa: PLC0415 -- most who read models need no hulls, and it loads slowly

    outline = points[:, :2] - origin[:2]
    return Footprint(
        origin_m=origin,
        polygon_m=outline[ConvexHull(outline).vertices],
        bottom_m=float(points[:, 2].min()),
        top_m=float(points[:, 2].max()),
    )


def movable_objects(model: mujoco.MjModel) -> tuple[str, ...]:
    """Ids of the bodies with a free joint, in the model's order."""
    free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
    return tuple(model.body(int(model.jnt_bodyid[joint])).name for joint in free)


def find_supports(model: mujoco.MjModel, data: mujoco.MjData) -> dict[str, str]:
    """What each movable object stands on: the object below it that it touches (``data`` must be forwarded).

    Objects that touch nothing below them are absent. Where several bear an object, the one with most contacts counts,
    a fixed one before a movable one.
    """
    movable = set(movable_objects(model))
    root_names = [model.body(int(root)).name for root in model.body_rootid]
    votes: dict[str, dict[str, int]] = {}
    for index in range(data.ncon):
        contact = data.contact[index]
        if abs(contact.frame[2]) < _UP_COSINE:
            continue
        pair = [root_names[model.geom_bodyid[geom]] for geom in contact.geom]
        for upper, lower in (pair, pair[::-1]):
            if upper in movable and upper != lower and contact.pos[2] <= _bottom(model, data, upper) + _BOTTOM_SLACK_M:
                counts = votes.setdefault(upper, {})
                counts[lower] = counts.get(lower, 0) + 1
    return {upper: max(sorted(counts), key=lambda lower: (lower not in movable, counts[lower])) for upper, counts in sorted(votes.items())}


def _bottom(model: mujoco.MjModel, data: mujoco.MjData, object_id: str) -> float:
    return measure_footprint(model, data, object_id).bottom_m


def _collides(model: mujoco.MjModel, geom: int) -> bool:
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def _corners(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> FloatArray:
    """Points whose convex hull holds the geom, in the world: mesh vertices, or points on a primitive."""
    local = _local_corners(model, geom)
    world: FloatArray = local @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
    return world


def _local_corners(model: mujoco.MjModel, geom: int) -> FloatArray:
    kind = model.geom_type[geom]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        start = model.mesh_vertadr[mesh]
        vertices: FloatArray = model.mesh_vert[start : start + model.mesh_vertnum[mesh]].astype(np.float64)
        return vertices
    center, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    if int(kind) in _ROUND:
        angle = np.linspace(0, 2 * np.pi, _CALIPER_STEPS, endpoint=False)
        ring = np.stack([half[0] * np.cos(angle), half[1] * np.sin(angle)], axis=1)
        points: FloatArray = np.concatenate([np.column_stack([ring, np.full(_CALIPER_STEPS, z)]) for z in (-half[2], half[2])]) + center
        return points
    signs = np.array(np.meshgrid((-1, 1), (-1, 1), (-1, 1))).reshape(3, -1).T
    corners: FloatArray = center + signs * half
    return corners
