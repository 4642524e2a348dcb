"""Where the scene's camera should stand for a job, and how it should look: so that the robot hides least of its own work.

A reconstruction's camera is where a person took the photo. The robot may then stand between it and everything that happens. So places all
around the work are tried: each is asked what it sees while the arm reaches here and there, and how much of its picture is work. World
frame: z up, metres.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.geometry.transforms import apply, invert
from blueprint_pipeline.job.viewpoint import require_viewer
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.robot.placement import SCENE_CAMERA, View
from blueprint_pipeline.skill.goals import Reach
from blueprint_pipeline.skill.support_surface import SupportSurface
from blueprint_pipeline.twin.model import SceneModel
from blueprint_pipeline.twin.sight import Lens, Sight
from blueprint_pipeline.twin.view import aim_at

NAMED_M = 0.3
"""How far out of reach something may stand beside which the hand puts something: a gap, and two objects' radii."""
BESIDE_M, ABOVE_M = 0.06, 0.15
"""How far beside and above a place the picture reaches: what stands there is seen whole."""
HAND_M = 0.1
"""Half the side of a cube around the tool, which holds the fingers; one on top of it holds the hand."""
WIDEST_DEG = 60.0
"""Vertical field of view of a common camera; what needs a wider one is too near."""
LOOKED_AT_M = (0.02, 0.10)
"""Heights above the surface at which the work is looked at: what is low, and the top of what is tall."""
WORKING_M = 0.15
"""Height of the tool above the surface in the poses in which the arm is asked what it hides."""
LEAST_FACING = 0.4
"""Cosine between the way to the camera and away from a part's front, from which what the front has is told."""
_SIDES = np.array([(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)])
_BEARINGS = 24
_ELEVATIONS_DEG = (30.0, 40.0, 50.0)
_DISTANCES_M = (0.9, 1.2, 1.6, 2.1)
_ROOM_M = 0.12
"""Free space that a camera needs on every side."""
_PLACES, _POSES, _FINALISTS = 40, 8, 12
_NOWHERE = np.zeros((0, 3))
_FRONTS = 1.0
"""What it costs, beside all work hidden (1), that no front of a part is seen."""
_SMALL, _ASKEW, _EMPTY = 0.5, 0.1, 0.5
"""What it costs, beside all work hidden (1), that the surface is a point in the picture, that it lies half a right angle askew in it, and
that nothing else is in it."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a camera should show."""

    support: SupportSurface
    places_m: FloatArray
    """(n, 2): spots of the surface, evenly chosen from those within reach."""
    outline_m: FloatArray
    """(k, 3): corners of what is looked at, on the surface."""
    shown_m: FloatArray
    """(m, 3): the corners of what must be in the picture: places and what stands there, and the acting hand at home."""
    tool_m: FloatArray
    """(3,): of the arm that acts, at home. Where one that rests is held is no work."""
    heading_rad: float
    """Along one side of the surface."""
    also_m: FloatArray
    """(j, 3): where parts that move are, which are looked at, too."""
    outward: FloatArray
    """(j, 3): unit vectors away from their fronts."""

    @property
    def middle_m(self) -> FloatArray:
        """(3,)."""
        middle: FloatArray = (self.shown_m.min(axis=0) + self.shown_m.max(axis=0)) / 2
        return middle

    @property
    def looked_at_m(self) -> FloatArray:
        """(2 n + j, 3): the places, low and high above the surface, and parts that move."""
        return np.concatenate([*(_at_height(self.places_m, self.support.height_m + above_m) for above_m in LOOKED_AT_M), self.also_m])

    def fronts(self, position_m: FloatArray) -> NDArray[np.bool_]:
        """Which parts (j,) turn their fronts to a place (3,)."""
        towards = position_m - self.also_m
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        facing: NDArray[np.bool_] = np.einsum("ij,ij->i", towards, self.outward) >= LEAST_FACING
        return facing


def choose_view(
    compiled: SceneModel,
    planner: MotionScene,
    embodiment: Embodiment,
    surface: SupportSurface,
    reach: Reach,
    *,
    aspect: float,
    also_m: FloatArray = _NOWHERE,
    outward: FloatArray = _NOWHERE,
) -> View:
    """The best view of a job's work; that from the reconstruction's camera, whatever it shows, where no place is open.

    Args:
        compiled: The twin with the robot in its place.
        planner: For the arm that acts.
        embodiment: The robot.
        surface: What it works on.
        reach: How far on it.
        aspect: Width over height of the pictures.
        also_m: (n, 3): what else must be in the picture, and in sight: where parts that move are from closed to open.
        outward: (n, 3): unit vectors away from the fronts of these, which are to be seen.

    Raises:
        NoViewer: The twin has no such camera.
    """
    require_viewer(compiled.model)
    data = mujoco.MjData(compiled.model)
    compiled.robot.place(data, home_qpos(embodiment))
    mujoco.mj_kinematics(compiled.model, data)
    mujoco.mj_camlight(compiled.model, data)
    work = _work(surface, reach, compiled.robot.tool_poses(data)[planner.acting.layout.index, :3], also_m, outward)
    sight = Sight(compiled.model)
    sight.stand(data.qpos)
    fixed = ~sight.geoms_of(compiled.object_ids)  # what can be moved stands elsewhere in every episode
    sight.show(fixed & ~sight.geoms_of(_roots_of_robot(compiled.model)))
    photo = aim_at(data.camera(SCENE_CAMERA).xpos.copy(), work.shown_m, aspect)
    views = [view for view in (*_views_around(work, aspect), photo) if view.fovy_deg <= WIDEST_DEG and _is_open(sight, work, view)]
    if not views:
        return photo
    sight.show(fixed)
    at_rest = np.array([_cost_at_rest(sight, work, view, aspect) for view in views])
    best = np.argsort(np.round(at_rest, 6), kind="stable")[:_FINALISTS]
    finalists: list[View] = [views[index] for index in best]
    at_work = _hidden_at_work(sight, planner, data.qpos, work, finalists)
    empty = np.array([sight.share_empty(_lens(view), aspect) for view in finalists])
    return finalists[int(np.round(at_rest[best] + at_work + _EMPTY * empty, 6).argmin())]


def _work(surface: SupportSurface, reach: Reach, tool_m: FloatArray, also_m: FloatArray, outward: FloatArray) -> Work:
    cells = surface.cells_m()[surface.level]
    named = cells[np.linalg.norm(cells - reach.center_m, axis=1) <= reach.farthest_m + NAMED_M]
    ground = (named[:, None] + BESIDE_M * _SIDES).reshape(-1, 2)
    within = cells[reach.reaches(cells).astype(bool)]
    chosen = np.linspace(0, len(within) - 1, min(_PLACES, len(within))).astype(int)
    low, high = _at_height(ground, surface.height_m), _at_height(ground, surface.height_m + ABOVE_M)
    shown = np.concatenate([low, high, also_m, _cube(tool_m), _cube(tool_m + np.array([0.0, 0.0, HAND_M]))])
    return Work(
        support=surface,
        places_m=within[chosen],
        outline_m=low[ConvexHull(ground).vertices],
        shown_m=shown[ConvexHull(shown).vertices],
        tool_m=tool_m,
        heading_rad=reach.yaw_rad,
        also_m=also_m,
        outward=outward,
    )


def _roots_of_robot(model: mujoco.MjModel) -> list[str]:
    names = [model.body(int(root)).name for root in np.unique(model.body_rootid)]
    return [name for name in names if name.startswith(ROBOT_PREFIX)]


def _views_around(work: Work, aspect: float) -> Iterator[View]:
    """At every bearing and elevation the nearest place from which a common camera shows all."""
    for bearing in np.arange(_BEARINGS) * 2 * np.pi / _BEARINGS + work.heading_rad:
        for elevation in np.radians(_ELEVATIONS_DEG):
            level = np.cos(elevation)
            outwards = np.array([level * np.cos(bearing), level * np.sin(bearing), np.sin(elevation)])
            views = (aim_at(work.middle_m + away_m * outwards, work.shown_m, aspect) for away_m in _DISTANCES_M)
            near = next((view for view in views if view.fovy_deg <= WIDEST_DEG), None)
            if near is not None:
                yield near


def _is_open(sight: Sight, work: Work, view: View) -> bool:
    """Whether a camera has room where it stands, and nothing fixed is between it and the middle of the work, or the hand at home."""
    position_m = np.array(view.position_m)
    around = position_m + _ROOM_M * np.concatenate([np.eye(3), -np.eye(3)])
    return bool(sight.sees(position_m, np.concatenate([around, work.middle_m[None], work.tool_m[None]])).all())


def _cost_at_rest(sight: Sight, work: Work, view: View, aspect: float) -> float:
    """What is hidden while the robot is at home, how small the work is in the picture, and how askew the surface lies in it."""
    lens = _lens(view)
    seen = sight.sees(lens.position_m, work.looked_at_m)
    spots = len(LOOKED_AT_M) * len(work.places_m)
    hidden = 1.0 - float(seen[:spots].mean())
    if len(work.also_m):
        hidden += _FRONTS * (1.0 - float((seen[spots:] & work.fronts(lens.position_m)).mean()))
    right = lens.axes[:, 0]
    askew_rad = abs((np.arctan2(right[1], right[0]) - work.heading_rad + np.pi / 4) % (np.pi / 2) - np.pi / 4)
    return hidden + _SMALL * (1.0 - _share_of_picture(lens, work.outline_m, aspect)) + _ASKEW * float(askew_rad) / (np.pi / 4)


def _share_of_picture(lens: Lens, points_m: FloatArray, aspect: float) -> float:
    """How much of a picture the outline of points (n, 3) fills."""
    local = (points_m - lens.position_m) @ lens.axes
    half = np.tan(np.deg2rad(lens.fovy_deg) / 2)
    outline = ConvexHull(local[:, :2] / -local[:, 2:] / half)
    return float(outline.volume) / (4.0 * aspect)


def _hidden_at_work(sight: Sight, planner: MotionScene, at_home: FloatArray, work: Work, views: list[View]) -> FloatArray:
    """Share of the work that is hidden from each view while the arm reaches here and there; under the hand itself nothing is asked."""
    hidden, asked = np.zeros(len(views)), 0
    chosen = np.linspace(0, len(work.places_m) - 1, _POSES).astype(int)
    for place_m in work.places_m[chosen]:
        tool_m = np.array([*place_m, work.support.height_m + WORKING_M])
        qpos = at_home.copy()
        qpos[planner.acting.qpos] = planner.kinematics.reach_towards(apply(invert(planner.pose_world_base), tool_m[None])[0])
        sight.stand(qpos)
        beside_m = work.looked_at_m[np.linalg.norm(work.looked_at_m[:, :2] - place_m, axis=1) > HAND_M]
        if len(beside_m):
            asked += len(beside_m)
            hidden += [np.count_nonzero(~sight.sees(np.array(view.position_m), beside_m)) for view in views]
    shares: FloatArray = hidden / max(asked, 1)
    return shares


def _lens(view: View) -> Lens:
    return Lens(position_m=np.array(view.position_m), axes=rotation_from_quat(np.array(view.quat_wxyz)), fovy_deg=view.fovy_deg)


def _at_height(points_m: FloatArray, height_m: float) -> FloatArray:
    return np.column_stack([points_m, np.full(len(points_m), height_m)])


def _cube(center_m: FloatArray) -> FloatArray:
    corners: FloatArray = center_m + HAND_M * np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    return corners
