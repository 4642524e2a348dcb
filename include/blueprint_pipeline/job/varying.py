"""Draws how the scene of an episode differs from the reconstructed one, so that what is learned from it does not hang on how it looks.

What can be moved, and what has parts that move, keeps its colours and pictures: sentences name them. The scene's camera is moved only as
far as it still shows the target.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3, vector3
from blueprint_pipeline.geometry.rotations import quat_from_rotation, rotation_from_quat
from blueprint_pipeline.geometry.transforms import turn_about_z
from blueprint_pipeline.job.picturing import draw_backdrop, draw_textures
from blueprint_pipeline.job.site import Site
from blueprint_pipeline.robot.placement import MountOffset, View
from blueprint_pipeline.skill.drawn_color import is_colour_of
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.variation import PLAIN, Variation, VariationRanges
from blueprint_pipeline.twin.body_names import object_of
from blueprint_pipeline.twin.footprint import movable_objects

TRIES = 6
"""Draws of the camera, and of the light, each half as far from how they were as the one before, until they show what they must."""
LIT = 0.8
"""Share of the places in the light that stay in it when it is turned, at least."""
_LAMP_M = 3.0
"""How far the way from a place to a light must be free: what stands beyond casts no shadow in any profile."""
_LIT_PLACES, _LIT_ABOVE_M = 9, 0.3
"""How many places are asked, and how high above the surface: what stands on it may cast a shadow."""
_DIGITS, _MOUNT_DIGITS = 4, 6


def draw_variation(ranges: VariationRanges, site: Site, spec: EpisodeSpec, rng: np.random.Generator) -> Variation:
    """How one episode differs.

    Args:
        ranges: Within what is drawn.
        site: Where the job happens.
        spec: The episode, so far in the scene as it was reconstructed.
        rng: Of this episode and of nothing else, so that its task is the same in every variation.
    """
    if ranges.is_plain:
        return PLAIN
    variation = _draw_light(ranges, site, rng).model_copy(
        update={
            "tints": {body: _rounded(1 - ranges.tint * rng.random(3)) for body in _unnamed_bodies(site)},
            "friction": _evenly(rng, *ranges.friction),
            "masses": {name: _evenly(rng, *ranges.mass) for name in movable_objects(site.compiled.model)},
        }
    )
    return variation.model_copy(
        update={
            "view": _draw_view(ranges, site, spec, rng),
            "textures": draw_textures(ranges, site, spec, variation.tints, rng),
            "backdrop": draw_backdrop(ranges, site, spec, rng),
            "mounts": _draw_mounts(ranges, site, rng.spawn(1)[0]),
        }
    )


def _draw_light(ranges: VariationRanges, site: Site, rng: np.random.Generator) -> Variation:
    """Light in which words for colours stay true, and that still falls on the work."""
    lit = _count_lit(site, 0.0)
    for attempt in range(TRIES):
        share = 0.5**attempt
        dark, bright = (1 + share * (level - 1) for level in ranges.light_level)
        warmth = share * rng.uniform(-ranges.warmth, ranges.warmth)
        tint = (1.0, 1 - warmth / 2, 1 - warmth) if warmth > 0 else (1 + warmth, 1 + warmth / 2, 1.0)
        drawn = Variation(
            light_level=_evenly(rng, dark, bright),
            light_tint=_rounded(np.array(tint)),
            light_turn_rad=round(float(share * rng.uniform(-ranges.light_turn_rad, ranges.light_turn_rad)), _DIGITS),
        )
        if _colours_hold(site, drawn) and _count_lit(site, drawn.light_turn_rad) >= LIT * lit:
            return drawn
    return PLAIN


def _colours_hold(site: Site, variation: Variation) -> bool:
    light = variation.light_level * np.array(variation.light_tint)
    named = [(item.colour, item.drawn_rgb) for item in site.place.objects.values()]
    named += [(part.colour, part.drawn_rgb) for part in site.place.parts.values()]
    return all(is_colour_of(colour, rgb * light) for colour, rgb in named if colour is not None and rgb is not None)


def _count_lit(site: Site, turn_rad: float) -> int:
    """On how many places, seen from above the work, the scene's lights fall, each light counted for itself."""
    model, surface = site.compiled.model, site.place.surface
    cells = surface.cells_m()[surface.level]
    chosen = cells[np.linspace(0, len(cells) - 1, min(_LIT_PLACES, len(cells))).astype(int)]
    places_m = np.column_stack([chosen, np.full(len(chosen), surface.height_m + _LIT_ABOVE_M)])
    turned = turn_about_z(turn_rad)[:3, :3]
    ways = [-(turned @ towards) / np.linalg.norm(towards) for towards in model.light_dir]
    return sum(site.place.view.count_open(places_m, _LAMP_M * way) for way in ways)


def _draw_view(ranges: VariationRanges, site: Site, spec: EpisodeSpec, rng: np.random.Generator) -> View | None:
    chosen = site.placement.view
    if chosen is None:
        return None
    for attempt in range(TRIES):
        view = _moved(chosen, ranges, 0.5**attempt, rng)
        if _shows(site, spec, view):
            return view
    return None


def _draw_mounts(ranges: VariationRanges, site: Site, rng: np.random.Generator) -> dict[str, MountOffset]:
    """Of every camera on the robot: some millimetres and a degree, as people mount them, and the spread of lenses.

    None sits further back, for its housing is there: that is a thing to collide with, and stays.
    """
    mounts = {}
    for camera in site.place.embodiment.wrist_cameras if ranges.mount_m or ranges.mount_rad or ranges.mount_zoom else ():
        turn = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * ranges.mount_rad)
        mounts[camera.name] = MountOffset(
            shift_m=vector3(np.round(ranges.mount_m * rng.uniform(-1, (1, 1, 0)), _MOUNT_DIGITS)),
            turn_quat_wxyz=quat_from_rotation(turn.as_matrix()),
            widening=_evenly(rng, 1 - ranges.mount_zoom, 1 + ranges.mount_zoom),
        )
    return mounts


def _shows(site: Site, spec: EpisodeSpec, view: View) -> bool:
    """Whether a view shows the target where it starts and where it should end."""
    target, poses = spec.task.target_object, spec.object_poses
    line = site.place.planner.parts[target].line if target in site.place.planner.parts else None
    start = poses[target] if line is None else poses.get(target, line.pose_at(0.0))
    return all(site.place.view.shows({**poses, target: pose}, spec.robot_qpos, target, view) for pose in (start, spec.task.end_pose(start)))


def _moved(view: View, ranges: VariationRanges, share: float, rng: np.random.Generator) -> View:
    """A camera that stands elsewhere, is turned and sees wider, by up to a share of the ranges."""
    way = rng.normal(size=3)
    way *= rng.random() ** (1 / 3) / np.linalg.norm(way)  # evenly in a ball
    turn = Rotation.from_rotvec(rng.uniform(-1, 1, 3) * ranges.camera_rad * share)
    rotation = rotation_from_quat(np.array(view.quat_wxyz)) @ turn.as_matrix()
    return View(
        position_m=_rounded(np.array(view.position_m) + ranges.camera_m * share * way),
        quat_wxyz=quat_from_rotation(rotation),
        fovy_deg=round(view.fovy_deg * (1 + ranges.zoom * share * rng.random()), _DIGITS),
    )


def _unnamed_bodies(site: Site) -> list[str]:
    """What stands still and whose colour is in no sentence: the room and its furniture, but not what has parts that open."""
    model = site.compiled.model
    named = {object_of(part) for part in site.compiled.parts}
    drawn = set(model.geom_bodyid[(model.body_weldid[model.geom_bodyid] == 0) & (model.geom_contype == 0)])
    names = [model.body(int(body)).name for body in sorted(drawn)]
    return [name for name in names if name and "/" not in name and name not in named]


def _evenly(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), _DIGITS)


def _rounded(values: FloatArray) -> Vector3:
    return vector3(np.round(values, _DIGITS))
