"""Takes objects away that an episode's sentence does not name, so that what stands around the work varies.

They lie at rest on the floor some metres behind the scene's camera: the recorded state says where they are, whatever simulates. What is
named stays, what bears something stays, and so does what stands on another object. With fewer objects no sentence loses its truth: each
word that told one thing from the others still does.
"""

from collections.abc import Iterator

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.job.site import Site
from blueprint_pipeline.robot.placement import SCENE_CAMERA
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.variation import VariationRanges

_BEHIND_M = (5.0, 7.0, 3.0, 9.0)
"""How far behind the camera things may lie; the next where there is no free floor."""
_BESIDE_M = 0.6
"""Between the middles of two of them."""
_LEAST_RAD = np.deg2rad(75.0)
"""Angle from where the camera looks in which something lies, at least: no lens of ours sees so far to the side."""


def take_away(ranges: VariationRanges, site: Site, spec: EpisodeSpec, rng: np.random.Generator) -> EpisodeSpec:
    """The episode with some of the objects away that it does not need.

    Args:
        ranges: How many.
        site: Where the job happens.
        spec: The episode, with all objects.
        rng: Of this episode and of nothing else.
    """
    if ranges.taken_away == 0.0:
        return spec
    chosen = [name for name in _unneeded(site, spec) if rng.random() < ranges.taken_away]
    found = {name: pose for name in chosen if (pose := _pose_away(site, name)) is not None}
    return spec.model_copy(update={"object_poses": {**spec.object_poses, **found}, "taken_away": tuple(found)})


def _unneeded(site: Site, spec: EpisodeSpec) -> list[str]:
    """Objects on the support that may go."""
    task, sentences = spec.task, " ".join([spec.task.instruction, *spec.task.paraphrases]).lower()
    return [
        name
        for name, facts in sorted(site.place.objects.items())
        if not task.needs(name) and facts.noun.lower() not in sentences and site.starts.is_free(name)
    ]


def _pose_away(site: Site, name: str) -> Pose | None:
    """Where an object lies when it is away, always the same; ``None``: there is no floor free for it."""
    beside_m = _BESIDE_M * (sorted(site.place.objects).index(name) - (len(site.place.objects) - 1) / 2)
    for spot_m in _spots_behind(site, beside_m):
        pose = site.starts.rest_on_floor(name, spot_m, site.place.surface.height_m)
        if pose is not None:
            return pose
    return None


def _spots_behind(site: Site, beside_m: float) -> Iterator[FloatArray]:
    """Spots on the floor (2,) behind the scene's camera, so far beside the middle."""
    model = site.compiled.model
    camera, data = model.camera(SCENE_CAMERA).id, mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    place_m, looks = data.cam_xpos[camera], -data.cam_xmat[camera].reshape(3, 3)[:, 2]
    sideways = data.cam_xmat[camera].reshape(3, 3)[:2, 0]
    sideways /= np.linalg.norm(sideways)
    back = np.array([sideways[1], -sideways[0]])
    back *= -1.0 if back @ looks[:2] > 0 else 1.0
    for behind_m in _BEHIND_M:
        spot_m = place_m[:2] + behind_m * back + beside_m * sideways
        way = np.array([*spot_m, 0.0]) - place_m
        if np.arccos(way @ looks / np.linalg.norm(way)) >= _LEAST_RAD:
            yield spot_m
