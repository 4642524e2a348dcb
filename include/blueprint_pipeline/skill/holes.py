"""Holes of an object that open upwards, each measured twice: as it is drawn, and as its collision pieces leave it open.

Seen by rays as the object stands; kept in the object's own frame. An outline of a hole is the narrowest at any depth: in each of
:data:`WAYS` ways round, how far its wall is from its middle. Metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from scipy import ndimage

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply, invert, pose_from_quat
from blueprint_pipeline.kit.predicates import depths_in_polygon
from blueprint_pipeline.skill.object_rays import DRAWN_GROUPS, ObjectRays, rays_of, stand_alone
from blueprint_pipeline.skill.support_surface import COLLIDING_GROUPS
from blueprint_pipeline.twin.footprint import Footprint, measure_footprint

WAYS = 64
"""In which the wall of a hole is looked for: between them, the corner of a square hole is cut off by 2 % of its width at most."""
LEAST_DEPTH_M = 0.01
LEAST_CLEARANCE_M, MOST_CLEARANCE_M = 0.0015, 0.006
"""On each side of what is put in: with less, the arm's own errors decide; with more, it leans."""
MOST_SHARE = 0.4
"""Of its object's outline that a hole takes up: what is more is the opening of a bowl or a cup, and no one calls that a hole."""
CLOSED_M = 0.0005
"""How much narrower than it is drawn a hole may collide, on a side."""
_CELL_M = 0.003
_FEWEST_CELLS = 6
_ABOVE_M, _BESIDE_M, _FROM_ENDS_M = 0.01, 0.0015, 0.0015
"""Where rays begin: above the object, beside the wall for its rim, and how far from rim and floor the wall is looked at."""
_LEVELS = 5
_CENTRINGS = 4
_BUNDLE = np.radians([-1.0, 0.0, 1.0])
"""Between rays that look at one place of a wall: pieces of a block stand a hair apart."""
_LEAST_RADIUS_M = 0.003
_DOWN = np.array([0.0, 0.0, -1.0])
_TURN_STEPS = 360
_AS_GOOD_M = 0.0003
_TURNS_APART_RAD = np.radians(40.0)


@dataclass(frozen=True, kw_only=True)
class Hole:
    """A hole with a floor."""

    outline_m: FloatArray
    """(:data:`WAYS`, 3): as it collides, in the object's frame, at the rim, counter-clockwise from above; as drawn, where it is closed."""
    drawn_m: FloatArray
    """The same as it is drawn."""
    floor_m: FloatArray
    """(3,): the middle of its floor, in the object's frame."""
    depth_m: float
    closed_m: float
    """By how much it collides narrower than it is drawn, or less deep, where that is most; infinite: all of it is closed."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How an object goes into a hole."""

    clearance_m: float
    """On the side on which there is least room, turned so that this is most; below 0 it does not fit."""
    turns_rad: tuple[float, ...]
    """Turns of the object about the vertical, from how it stands, with which it has as much."""


def find_holes(model: mujoco.MjModel, qpos: FloatArray, name: str) -> tuple[Hole, ...]:
    """Every hole drawn in an object, as it stands in a configuration (nq,); what has no floor, or is most of the object, is none."""
    data = stand_alone(model, qpos, name)
    footprint = measure_footprint(model, data, name)
    top_m, most_m2 = footprint.top_m, MOST_SHARE * _area_m2(footprint.polygon_m)
    drawn, solid = (rays_of(model, data, name, groups) for groups in (DRAWN_GROUPS, COLLIDING_GROUPS))
    pose = pose_from_quat(data.body(name).xpos.copy(), data.body(name).xquat.copy())
    found = []
    for middle in _hollows(drawn, footprint):
        seen = _measure_about(drawn, middle, top_m, _ways(pose))
        if seen is not None and seen.area_m2 <= most_m2:
            found.append(_build_hole(seen, _measure(solid, seen.middle_m, top_m, _ways(pose)), pose))
    return tuple(sorted(found, key=lambda hole: hole.floor_m.round(3).tolist()))


def section_of(footprint: Footprint) -> FloatArray:
    """The outline of an object as it stands, about its middle (k, 2)."""
    section: FloatArray = footprint.polygon_m + footprint.origin_m[:2] - footprint.center_m
    return section


def fit(section_m: FloatArray, outline_m: FloatArray) -> Fit:
    """How an object with some outline (k, 2) about its middle goes into a hole with one (n, 2) about its own."""
    turns = np.arange(_TURN_STEPS) * 2 * np.pi / _TURN_STEPS
    room_m = np.array([depths_in_polygon(outline_m, _turned(section_m, turn)).min() for turn in turns])
    away = np.minimum(turns, 2 * np.pi - turns)
    chosen: list[int] = []
    for index in np.lexsort((away, -room_m.round(5))).tolist():
        apart = np.abs((turns[chosen] - turns[index] + np.pi) % (2 * np.pi) - np.pi)
        if room_m[index] >= room_m.max() - _AS_GOOD_M and (apart >= _TURNS_APART_RAD).all():
            chosen.append(index)
    signed = (turns[chosen] + np.pi) % (2 * np.pi) - np.pi
    return Fit(clearance_m=float(room_m[chosen].min()), turns_rad=tuple(signed.tolist()))


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A hole as some geoms have it, in the world."""

    middle_m: FloatArray
    """(2,)"""
    ways: FloatArray
    """(n, 3): unit vectors."""
    wall_m: FloatArray
    """(n,): how far the wall is from the middle, where it is nearest."""
    open_m: FloatArray
    """(n,): the same where it is farthest."""
    rim_m: float
    """Height of the lowest place of the rim."""
    bottom_m: float

    @property
    def area_m2(self) -> float:
        """Of the hole where it is widest, seen from above."""
        return _area_m2(self.open_m[:, None] * self.ways)

    def outline_m(self, height_m: float) -> FloatArray:
        corners = np.array([*self.middle_m, 0.0]) + self.wall_m[:, None] * self.ways
        corners[:, 2] = height_m
        return corners


def _build_hole(seen: _Shape, solid: _Shape | None, pose_world_object: FloatArray) -> Hole:
    to_object, true = invert(pose_world_object), solid or seen
    closed_m = np.inf if solid is None else max(float((seen.wall_m - solid.wall_m).max()), solid.bottom_m - seen.bottom_m)
    return Hole(
        outline_m=apply(to_object, true.outline_m(true.rim_m)),
        drawn_m=apply(to_object, seen.outline_m(seen.rim_m)),
        floor_m=apply(to_object, np.array([*true.middle_m, true.bottom_m])),
        depth_m=true.rim_m - true.bottom_m,
        closed_m=closed_m,
    )


def _hollows(rays: ObjectRays, footprint: Footprint) -> Iterator[FloatArray]:
    """Middles (2,) of the connected parts of an object that lie well below its top."""
    outline = footprint.polygon_m + footprint.origin_m[:2]
    corner, start = outline.min(axis=0), footprint.top_m + _ABOVE_M
    shape = np.ceil((outline.max(axis=0) - corner) / _CELL_M).astype(int) + 1
    deep = np.zeros(tuple(shape), dtype=bool)
    for cell in np.ndindex(*deep.shape):
        distance = rays.first(np.array([*(corner + np.array(cell) * _CELL_M), start]), _DOWN)
        deep[cell] = distance is not None and distance > _ABOVE_M + LEAST_DEPTH_M
    labels, count = ndimage.label(deep)
    for label in range(1, count + 1):
        cells = np.argwhere(labels == label)
        if len(cells) >= _FEWEST_CELLS:
            yield corner + cells.mean(axis=0) * _CELL_M


def _ways(pose_world_object: FloatArray) -> FloatArray:
    """Level ways round (n, 3), :data:`_BUNDLE` for each of :data:`WAYS`, the first along the object's x axis, as far as that is level."""
    ahead = float(np.arctan2(pose_world_object[1, 0], pose_world_object[0, 0]))
    angles = (ahead + np.arange(WAYS)[:, None] * 2 * np.pi / WAYS + _BUNDLE).ravel()
    return np.column_stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))])


def _middle_of_bundles(found: FloatArray) -> FloatArray:
    """The middle value of each bundle of rays: what one of them alone meets, or misses, is a slit or a splinter."""
    middle: FloatArray = np.median(found.reshape(WAYS, len(_BUNDLE)), axis=1)
    return middle


def _measure_about(rays: ObjectRays, middle_m: FloatArray, top_m: float, ways: FloatArray) -> _Shape | None:
    """A hole about a point (2,) inside of it, from its own middle."""
    found = _measure(rays, middle_m, top_m, ways)
    for _ in range(_CENTRINGS):
        if found is None:
            return None
        found = _measure(rays, _centroid(found.outline_m(0.0)[:, :2]), top_m, ways)
    return found


def _measure(rays: ObjectRays, middle_m: FloatArray, top_m: float, ways: FloatArray) -> _Shape | None:
    """The hole about a vertical line through a point (2,); ``None`` where there is no floor, or no wall all round."""
    down_m = rays.first(np.array([*middle_m, top_m + _ABOVE_M]), _DOWN)
    if down_m is None or down_m < _ABOVE_M + LEAST_DEPTH_M:
        return None
    bottom_m = top_m + _ABOVE_M - down_m
    wall_m = _wall_m(rays, middle_m, (bottom_m + top_m) / 2, ways)
    if not np.isfinite(wall_m).all() or wall_m.min() < _LEAST_RADIUS_M:
        return None
    beside = np.array([*middle_m, top_m + _ABOVE_M]) + np.repeat(wall_m + _BESIDE_M, len(_BUNDLE))[:, None] * ways
    to_rim_m = [rays.first(start, _DOWN) for start in beside]
    rim_m = float(_middle_of_bundles(np.array([-np.inf if way is None else top_m + _ABOVE_M - way for way in to_rim_m])).min())
    if rim_m - bottom_m < LEAST_DEPTH_M:
        return None
    heights_m = np.linspace(bottom_m + _FROM_ENDS_M, rim_m - _FROM_ENDS_M, _LEVELS)
    walls_m = np.array([wall_m, *(_wall_m(rays, middle_m, height_m, ways) for height_m in heights_m)])
    return _Shape(
        middle_m=middle_m,
        ways=ways[len(_BUNDLE) // 2 :: len(_BUNDLE)],
        wall_m=walls_m.min(axis=0),
        open_m=walls_m.max(axis=0),
        rim_m=rim_m,
        bottom_m=bottom_m,
    )


def _wall_m(rays: ObjectRays, middle_m: FloatArray, height_m: float, ways: FloatArray) -> FloatArray:
    return _middle_of_bundles(rays.around(np.array([*middle_m, height_m]), ways))


def _centroid(corners_m: FloatArray) -> FloatArray:
    """Of a polygon (n, 2)."""
    after = np.roll(corners_m, -1, axis=0)
    cross = corners_m[:, 0] * after[:, 1] - after[:, 0] * corners_m[:, 1]
    middle: FloatArray = ((corners_m + after) * cross[:, None]).sum(axis=0) / (3 * cross.sum())
    return middle


def _area_m2(corners_m: FloatArray) -> float:
    """Of a polygon, seen from above (n, 2) or (n, 3)."""
    x, y = corners_m[:, 0], corners_m[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def _turned(points_m: FloatArray, turn_rad: float) -> FloatArray:
    cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
    turned: FloatArray = points_m @ np.array([[cosine, sine], [-sine, cosine]])
    return turned
