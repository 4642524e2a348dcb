"""The stage that Genie Sim's server loads: the scene's own below, and over it a clock and a mark by which it is known again.

The protocol has no call that tells simulated time, nor which scene is loaded. Both can be read as the pose of a prim, and the stage is
ours: the clock's hand is a body without weight and without a collider that travels at one speed, :data:`CLOCK_STEP_M` a physics step, so
where it is counts the steps; the mark stands where the hash of the stage says.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import quat_from_rotation
from blueprint_pipeline.robot.embodiment import Embodiment, WristCamera
from blueprint_pipeline.robot.placement import SCENE_CAMERA, RobotPlacement
from blueprint_pipeline.scene.prim_paths import PHYSICS_SCENE_PATH, SCENE_CAMERA_PATH, WORLD_PATH
from blueprint_pipeline.simulation.genie_sim.client import CameraSpec
from blueprint_pipeline.simulation.genie_sim.robots import GenieRobot, Stance
from blueprint_pipeline.simulation.isaac_sim import physx
from blueprint_pipeline.simulation.isaac_sim.stage import digest_stage, movable_objects, open_over, place_camera, pose_of, set_physics

CLOCK_PATH = f"{WORLD_PATH}/blueprint_pipeline_clock"
MARK_PATH = f"{WORLD_PATH}/blueprint_pipeline_mark"
CLOCK_STEP_M = 2.0**-9
"""A power of two: sums of it are exact in float32 for nine hours at 480 Hz."""
_CLOCK_HEIGHT_M = 100.0
_MARK_BITS = 24
"""Of each of the mark's coordinates: what float32 holds."""
_APERTURE_MM = 24.0


@dataclass(frozen=True, kw_only=True)
class GenieStage:
    """What was written, and how it is addressed."""

    path: Path
    sha256: str
    """Over the layer that was added, every file of the scene's stage, and which robot stands where."""
    object_paths: dict[str, str]
    """Path of each movable object's prim, by its id, in the twin's order."""
    object_poses: FloatArray
    """Where the stage has them, (n, 7)."""
    cameras: dict[str, CameraSpec]
    """By our name."""


def write_stage(
    scene: Path,
    placement: RobotPlacement,
    *,
    embodiment: Embodiment,
    robot: GenieRobot,
    stance: Stance,
    folder: Path,
    physics_hz: int,
) -> GenieStage:
    """Write the stage into ``folder``, under a name that its hash makes.

    Args:
        scene: Folder of the scene; the server reads it at the same path.
        placement: Which robot stands where, and the view of the scene's camera.
        embodiment: Our record of the robot.
        robot: The server's.
        stance: How it stands.
        folder: The server reads it at the same path.
        physics_hz: Physics steps a second.

    Raises:
        StageMissing: The scene has no stage.
        StageNotUsable: It lacks a physics scene or a camera, or its units are others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"draft_{hashlib.sha256(str(scene.resolve()).encode()).hexdigest()[:16]}.usda"
    draft.unlink(missing_ok=True)
    stage = open_over(scene, draft)
    objects = movable_objects(stage)
    if placement.view is not None:
        place_camera(stage, placement.view)
    set_physics(stage, objects)
    stage.GetPrimAtPath(PHYSICS_SCENE_PATH).SetActive(False)  # the server makes one of its own
    _author_clock(stage, physics_hz)
    known = f"{digest_stage(stage, scene)}\0{robot.cfg_file}\0{placement.embodiment}\0{stance}\0{physics_hz}"
    sha256 = hashlib.sha256(known.encode()).hexdigest()
    mark = UsdGeom.Xform.Define(stage, MARK_PATH)
    _set_pose(mark, mark_position(sha256))
    stage.GetRootLayer().Save()
    # The server takes the name of the scene from the folder that it lies in.
    path = folder / sha256[:16] / "scene.usda"
    path.parent.mkdir(exist_ok=True)
    draft.replace(path)
    return GenieStage(
        path=path,
        sha256=sha256,
        object_paths={prim.GetName(): str(prim.GetPath()) for prim in objects},
        object_poses=np.array([pose_of(prim).as_tuple() for prim in objects]).reshape(-1, 7),
        cameras={
            SCENE_CAMERA: _scene_camera(stage),
            **{f"robot/{item.name}": _wrist_camera(item, robot) for item in embodiment.wrist_cameras},
        },
    )


def mark_position(sha256: str) -> FloatArray:
    """Where the mark of a stage stands, (3,) [m]: bits of its hash."""
    digits = _MARK_BITS // 4
    return np.array([int(sha256[start : start + digits], 16) for start in (0, digits, 2 * digits)]) / 2.0**_MARK_BITS


def clock_steps(pose: FloatArray) -> int:
    """Physics steps since the scene was loaded, by the pose of the clock's hand (7,)."""
    return round(float(pose[0]) / CLOCK_STEP_M)


def _author_clock(stage: Usd.Stage, physics_hz: int) -> None:
    hand = UsdGeom.Xform.Define(stage, CLOCK_PATH)
    _set_pose(hand, np.array([0.0, 0.0, _CLOCK_HEIGHT_M]))
    body = UsdPhysics.RigidBodyAPI.Apply(hand.GetPrim())
    body.CreateVelocityAttr(Gf.Vec3f(CLOCK_STEP_M * physics_hz, 0.0, 0.0))
    mass = UsdPhysics.MassAPI.Apply(hand.GetPrim())
    mass.CreateMassAttr(1.0)
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(1.0, 1.0, 1.0))
    physx.set_body(hand.GetPrim(), weightless=True)


def _set_pose(xform: UsdGeom.Xform, position_m: FloatArray) -> None:
    xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*position_m.tolist()))
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(1.0))


def _scene_camera(stage: Usd.Stage) -> CameraSpec:
    camera = UsdGeom.Camera(stage.GetPrimAtPath(SCENE_CAMERA_PATH))
    return CameraSpec(
        prim_path=SCENE_CAMERA_PATH,
        pose=pose_of(camera.GetPrim()),
        is_local=False,
        focal_length_mm=float(camera.GetFocalLengthAttr().Get()),
        horizontal_aperture_mm=float(camera.GetHorizontalApertureAttr().Get()),
        vertical_aperture_mm=float(camera.GetVerticalApertureAttr().Get()),
    )


def _wrist_camera(camera: WristCamera, robot: GenieRobot) -> CameraSpec:
    """A camera of ours on the server's robot; its links bear the names that they have in our model."""
    position_m, quat = camera.position_m, quat_from_rotation(camera.rotation)
    return CameraSpec(
        prim_path=f"{robot.prim_path}/{camera.body}/blueprint_pipeline_{camera.name}",
        pose=Pose.of((*position_m, *quat)),
        is_local=True,
        focal_length_mm=_APERTURE_MM / 2 / math.tan(math.radians(camera.fovy_deg) / 2),
        horizontal_aperture_mm=_APERTURE_MM,
        vertical_aperture_mm=_APERTURE_MM,
    )
