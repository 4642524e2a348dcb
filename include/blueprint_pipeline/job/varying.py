"""Draws how the scene of an episode differs from the reconstructed one, so that what is learned from it does not hang on how it looks.

What can be moved, and what has parts that open, keeps its colours: sentences name them. The scene's camera is moved only as far as it
still shows the target.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Vector3, vector3
from blueprint_pipeline.geometry.rotations import quat_from_rotation, rotation_from_quat
from blueprint_pipeline.job.site import Site
from blueprint_pipeline.robot.placement import View
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.variation import Variation, VariationRanges
from blueprint_pipeline.twin.body_names import object_of
from blueprint_pipeline.twin.footprint import movable_objects

CAMERA_TRIES = 6
"""Draws of the camera, each half as far away as the one before, until it shows the target."""
_DIGITS = 4


def draw_variation(ranges: VariationRanges, site: Site, spec: EpisodeSpec, rng: np.random.Generator) -> Variation:
    """How one episode differs.

    Args:
        ranges: Within what is drawn.
        site: Where the job happens.
        spec: The episode, so far in the scene as it was reconstructed.
        rng: Of this episode and of nothing else, so that its task is the same in every variation.
    """
    if ranges.is_plain:
        return Variation()
    warmth = _evenly(rng, -ranges.warmth, ranges.warmth)
    variation = Variation(
        light_level=_evenly(rng, *ranges.light_level),
        light_tint=(round(1 + warmth, _DIGITS), 1.0, round(1 - warmth, _DIGITS)),
        light_turn_rad=_evenly(rng, -ranges.light_turn_rad, ranges.light_turn_rad),
        tints={body: _rounded(1 - ranges.tint * rng.random(3)) for body in _unnamed_bodies(site)},
        friction=_evenly(rng, *ranges.friction),
        masses={name: _evenly(rng, *ranges.mass) for name in movable_objects(site.compiled.model)},
    )
    return variation.model_copy(update={"view": _draw_view(ranges, site, spec, rng)})


def _draw_view(ranges: VariationRanges, site: Site, spec: EpisodeSpec, rng: np.random.Generator) -> View | None:
    chosen = site.placement.view
    if chosen is None:
        return None
    for attempt in range(CAMERA_TRIES):
        view = _moved(chosen, ranges, 0.5**attempt, rng)
        if site.place.view.shows(spec.object_poses, spec.robot_qpos, spec.task.target_object, view):
            return view
    return None


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
