"""Where the robot stands: beside a support, at its height, free of collisions, with as much as possible within reach.

Its pedestal stands on the floor; where no such place is free, on the furniture that bears the support (the table below a shelf).

World frame: z up, metres.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.skill.goals import Reach, build_reach
from blueprint_pipeline.skill.support_surface import BoolArray, SupportSurface
from blueprint_pipeline.twin.footprint import geom_boxes
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.twin.mount import PEDESTAL

GAP_M = 0.06
"""Between the pedestal and the edge of the support."""
_ALONG_M = 0.05
_AWAY_M = (0.0, 0.06, 0.12)
_CLEARANCE_ABOVE_M = 0.25
BACKGROUND = "background"
"""Body of what is no object of its own; it may hold walls as well as the support."""
_BESIDE_M = 0.005
_CAMERA_COSINE = 0.5
_DOWN = np.array([0.0, 0.0, -1.0])
_UNDERFOOT_M = 0.02
"""A pedestal stands on what is no higher: a floor that is not quite level, a rug."""
_LEVEL_M = 0.005
"""Furniture on which a pedestal stands is no higher at one corner than at another by more."""
_ANY_FPS = 30
_BEFORE_M, _MISS_COST = 0.25, 2.0
"""How far before a closed front the robot stands at least, and what a handle costs that it does not, as a share of the surface."""
_LEANS = np.sqrt(0.5)
"""Length of a front's outward direction, seen from above, below which it looks up more than outwards."""
_EVERY = 7
"""Of the surface's cells that are asked whether they are within reach."""


class NoRoomForRobot(InputError):
    """The robot finds no place beside the support."""

    code = "task.no_room_for_robot"
    template = (
        "{robot} finds no free place beside '{support}': {tried} places reach it, {walled} of them have a "
        "wall or furniture behind them, and in the others the robot touches something. Make room beside the support, "
        "or choose a smaller robot."
    )

    robot: str
    support: str
    tried: int
    walled: int


@dataclass(frozen=True, kw_only=True)
class Front:
    """Where a hand takes or presses a part that moves, on the ground plan."""

    places_m: FloatArray
    """(n, 2): where it is from closed to open."""
    outward: FloatArray
    """(2,): away from the front of the closed part; shorter than 1 where that leans, and 0 where it lies and looks up."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A place for the base."""

    position_m: FloatArray
    """(3,)."""
    yaw_rad: float
    edge_m: float
    """From the base's axis to the edge of the support."""
    foot_m: float
    """Height of the level thing that its pedestal would stand on: 0 for the floor, and where nothing is level."""
    reachable: int
    """How many points of the surface are within good reach."""
    cost: float
    """Share of the surface that is out of good reach, and whether the camera's view is blocked; smaller is better."""

    @property
    def pose(self) -> Pose:
        """The base's pose in the world."""
        x, y, z = (round(float(value), 4) for value in self.position_m)
        half = self.yaw_rad / 2
        return Pose(position_m=(x, y, z), quat_wxyz=(float(np.cos(half)), 0.0, 0.0, float(np.sin(half))))


def place_robot(
    mjcf_path: Path,
    twin: mujoco.MjModel,
    poses: Mapping[str, Pose],
    surface: SupportSurface,
    *,
    embodiment: Embodiment,
    arms: Sequence[Arm],
    fronts: Sequence[Front] = (),
) -> RobotPlacement:
    """Choose the best place around a support at which the robot, at home, touches nothing.

    Args:
        mjcf_path: The twin's file.
        twin: The twin without a robot.
        poses: Settled pose of every movable object.
        surface: What the robot should work on.
        embodiment: Which robot.
        arms: Which of its arms should reach most of it.
        fronts: Handles that it should stand before, and within reach of, as well.

    Raises:
        NoRoomForRobot: No place is free, or none reaches the surface.
    """
    data = mujoco.MjData(twin)
    mujoco.mj_forward(twin, data)
    candidates = _candidates(surface, embodiment, arms, _camera_m(twin, data), fronts)
    found = [replace(item, foot_m=_foot_m(twin, data, surface, item, embodiment)) for item in candidates if item.reachable]
    ranked = sorted(found, key=lambda item: (item.foot_m > 0, item.cost, item.yaw_rad, *item.position_m))
    walled = 0
    for candidate in ranked:
        if not _is_open(twin, data, surface, candidate, embodiment):
            walled += 1
            continue
        placement = RobotPlacement(embodiment=embodiment.name, base_pose=candidate.pose, foot_m=candidate.foot_m)
        if _is_free(mjcf_path, placement, poses, embodiment):
            return placement
    raise NoRoomForRobot(embodiment.name, surface.support, len(ranked), walled)


def _candidates(
    surface: SupportSurface, embodiment: Embodiment, arms: Sequence[Arm], camera_m: FloatArray | None, fronts: Sequence[Front]
) -> Iterator[Candidate]:
    """Places along the four sides of the surface's rectangle, heading inwards."""
    cells = surface.cells_m()[surface.level]
    lower, upper = cells.min(axis=0), cells.max(axis=0)
    half = embodiment.pedestal_half_size_m or 0.0
    points = cells[::_EVERY]
    for axis, sign in ((0, -1), (0, 1), (1, -1), (1, 1)):
        edge = lower[axis] if sign < 0 else upper[axis]
        heading = np.zeros(2)
        heading[axis] = -sign
        for away in _AWAY_M:
            for along in np.arange(lower[1 - axis], upper[1 - axis] + 1e-9, _ALONG_M):
                base = np.zeros(2)
                base[axis] = edge + sign * (half + GAP_M + away)
                base[1 - axis] = along
                yaw_rad = float(np.arctan2(heading[1], heading[0]))
                reaches = [build_reach(arm.working_radius, base, yaw_rad) for arm in arms]
                within = min(float(reach.is_near(points).mean()) for reach in reaches)
                yield Candidate(
                    position_m=np.array([*base, surface.height_m]),
                    yaw_rad=yaw_rad,
                    edge_m=half + GAP_M + away,
                    foot_m=0.0,
                    reachable=min(int(reach.reaches(points).sum()) for reach in reaches),
                    cost=round(1.0 - within + _blocks_view(base, surface, camera_m) + _misses(base, reaches[0], fronts), 6),
                )


def _misses(base_m: FloatArray, reach: Reach, fronts: Sequence[Front]) -> float:
    """Share of the handles before which the robot does not stand, or that it does not reach wherever their part is; each weighs much."""
    if not fronts:
        return 0.0
    before = np.array([_stands_before(base_m, front) for front in fronts])
    reached = np.array([float(reach.reaches(front.places_m).mean()) for front in fronts])
    return float(_MISS_COST * (1.0 - (before * reached).mean()))


def _stands_before(base_m: FloatArray, front: Front) -> bool:
    """Whether a base stands before a front; a front that looks up more than outwards is reached from all sides."""
    size = float(np.linalg.norm(front.outward))
    return size < _LEANS or float((base_m - front.places_m[0]) @ front.outward) >= _BEFORE_M * size


def _blocks_view(base_m: FloatArray, surface: SupportSurface, camera_m: FloatArray | None) -> float:
    """A robot between the scene's camera and the surface hides the work; that weighs as much as a tenth of the surface."""
    if camera_m is None:
        return 0.0
    center = surface.cells_m()[surface.level].mean(axis=0)
    to_camera, to_base = camera_m - center, base_m - center
    cosine = float(to_camera @ to_base / (np.linalg.norm(to_camera) * np.linalg.norm(to_base) + 1e-9))
    return 0.1 if cosine > _CAMERA_COSINE else 0.0


def _camera_m(twin: mujoco.MjModel, data: mujoco.MjData) -> FloatArray | None:
    names = [twin.camera(index).name for index in range(twin.ncam)]
    if "scene" not in names:
        return None
    position: FloatArray = data.cam_xpos[names.index("scene"), :2].copy()
    return position


def _foot_m(twin: mujoco.MjModel, data: mujoco.MjData, surface: SupportSurface, candidate: Candidate, embodiment: Embodiment) -> float:
    """Height of what bears the whole pedestal, by rays downwards: furniture that is level, fixed, and not the support itself; else 0."""
    half, support = embodiment.pedestal_half_size_m or 0.0, surface.support
    along = np.array([np.cos(candidate.yaw_rad), np.sin(candidate.yaw_rad), 0.0])
    sideways = np.array([-along[1], along[0], 0.0])
    geom, heights = np.zeros(1, dtype=np.int32), []
    for forwards, left in product((-half, 0.0, half), repeat=2):
        start = candidate.position_m + forwards * along + left * sideways
        distance = mujoco.mj_ray(twin, data, start, _DOWN, None, 1, -1, geom)
        if geom[0] < 0:
            return 0.0
        body = int(twin.geom_bodyid[geom[0]])
        if twin.body_dofnum[body] or twin.body(body).name == support:
            return 0.0
        heights.append(surface.height_m - distance)
    is_level = max(heights) - min(heights) <= _LEVEL_M and max(heights) > _UNDERFOOT_M
    return round(float(max(heights)), 4) if is_level else 0.0


def _is_open(twin: mujoco.MjModel, data: mujoco.MjData, surface: SupportSurface, candidate: Candidate, embodiment: Embodiment) -> bool:
    """Whether no wall, seen or solid, stands between the surface and behind the base: rays outwards, three abreast."""
    backwards = -np.array([np.cos(candidate.yaw_rad), np.sin(candidate.yaw_rad), 0.0])
    sideways = np.array([-backwards[1], backwards[0], 0.0])
    half = embodiment.pedestal_half_size_m or 0.0
    for height in (candidate.foot_m + 0.3 * (surface.height_m - candidate.foot_m), surface.height_m + _CLEARANCE_ABOVE_M):
        for offset in (-half, 0.0, half):
            start = candidate.position_m + sideways * offset - backwards * (candidate.edge_m - _BESIDE_M)
            start[2] = height
            if _meets_wall(twin, data, start, (candidate.edge_m + half) * backwards, surface.support):
                return False
    return True


def _meets_wall(twin: mujoco.MjModel, data: mujoco.MjData, start_m: FloatArray, way_m: FloatArray, support: str) -> bool:
    """Whether anything but the support stands on a straight way (3,): its own doors and handles are no wall, and the background is one.

    Whether the pedestal cuts a handle is asked later.
    """
    own = -1 if support == BACKGROUND else int(twin.body(support).id)
    geom, farthest_m = np.zeros(1, dtype=np.int32), float(np.linalg.norm(way_m))
    towards, gone_m = way_m / farthest_m, 0.0
    while gone_m < farthest_m:
        distance_m = mujoco.mj_ray(twin, data, start_m + gone_m * towards, towards, None, 1, -1, geom)
        if geom[0] < 0 or gone_m + distance_m >= farthest_m:
            return False
        if twin.body_rootid[twin.geom_bodyid[geom[0]]] != own:
            return True
        gone_m += distance_m + _BESIDE_M
    return False


def _is_free(mjcf_path: Path, placement: RobotPlacement, poses: Mapping[str, Pose], embodiment: Embodiment) -> bool:
    """Whether the robot at home, and its pedestal, touch nothing of the scene."""
    scene = build_scene_model(mjcf_path, placement, fps=_ANY_FPS)
    model, data = scene.model, mujoco.MjData(scene.model)
    data.qpos[:] = scene.qpos_at(poses, home_qpos(embodiment))
    mujoco.mj_forward(model, data)
    own = np.array([_is_robot(model, geom) for geom in range(model.ngeom)])
    touching = data.contact.geom[data.contact.dist <= 0.0]
    if len(touching) and (own[touching[:, 0]] != own[touching[:, 1]]).any():
        return False
    return not _pedestal_cuts(model, data, own, placement.foot_m)


def _pedestal_cuts(model: mujoco.MjModel, data: mujoco.MjData, own: BoolArray, foot_m: float) -> bool:
    """Whether the pedestal overlaps fixed furniture (MuJoCo reports no contacts between two things that cannot move)."""
    names = [model.geom(index).name for index in range(model.ngeom)]
    if PEDESTAL not in names:
        return False
    pedestal, tops_m = names.index(PEDESTAL), geom_boxes(model, data)[1][:, 2]
    solid = [
        geom
        for geom in np.flatnonzero(~own & ((model.geom_contype | model.geom_conaffinity) > 0)).tolist()
        if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_PLANE and tops_m[geom] > foot_m + _UNDERFOOT_M
    ]
    return any(mujoco.mj_geomDistance(model, data, pedestal, geom, 1.0, None) <= 0.0 for geom in solid)


def _is_robot(model: mujoco.MjModel, geom: int) -> bool:
    root = model.body(int(model.body_rootid[model.geom_bodyid[geom]])).name
    return bool(root.startswith(ROBOT_PREFIX) or model.geom(geom).name == PEDESTAL)
