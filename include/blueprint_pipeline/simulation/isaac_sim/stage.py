"""The stage that Isaac Sim opens: the scene's own (``usd/scene.usda``) below, and over it the robot and PhysX's settings.

The scene's files are not touched: what is added lies in a layer of its own, so a scene can be mounted read-only.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import Embodiment
from blueprint_pipeline.robot.placement import SCENE_CAMERA, RobotPlacement, View
from blueprint_pipeline.scene.prim_paths import FLOOR_PATH, OBJECTS_PATH, SCENE_CAMERA_PATH, WORLD_PATH
from blueprint_pipeline.simulation.isaac_sim import physx
from blueprint_pipeline.simulation.isaac_sim.calls import StageBinding
from blueprint_pipeline.simulation.isaac_sim.errors import StageNotUsable
from blueprint_pipeline.simulation.isaac_sim.robot_stage import PEDESTAL_PATH, ROBOT_PATH, author_robot, bind_friction, link_path
from blueprint_pipeline.workspace.checksums import digest_file, list_files

STAGE_PATH = "usd/scene.usda"
TIMESTEP_S = 1.0 / 480.0
"""As in the twin."""
DEFAULT_FRICTION = 0.5
"""Of the floor and the background, as in the twin."""


class StageMissing(InputError):
    """The scene has no USD stage."""

    code = "simulation.stage_missing"
    template = "There is no stage at {path}. Assemble the scene (assemble_scene) first."

    path: str


@dataclass(frozen=True, kw_only=True)
class AuthoredStage:
    """What was written, and how it is addressed."""

    path: Path
    sha256: str
    """Over the layer that was added and every file of the scene's stage."""
    binding: StageBinding
    object_ids: tuple[str, ...]
    """In the order of ``binding.objects``."""
    object_poses: tuple[Pose, ...]
    """Where the stage has them."""
    cameras: dict[str, str]
    """Path of each camera's prim, by our name."""
    vertical_apertures_mm: dict[str, float]
    """Of each camera; with its focal length, the vertical field of view."""
    world_paths: frozenset[str]
    """Colliders that the twin counts to ``world``."""


def author_stage(scene: Path, robot: RobotPlacement, embodiment: Embodiment, folder: Path) -> AuthoredStage:
    """Write ``stage.usda`` into ``folder``.

    Raises:
        StageMissing: The scene has no stage.
        StageNotUsable: It lacks a physics scene or a camera, or its units are others.
    """
    path = folder / "stage.usda"
    stage = open_over(scene, path)
    objects = movable_objects(stage)
    author_robot(stage, embodiment, robot.base_pose, robot.foot_m)
    if robot.view is not None:
        place_camera(stage, robot.view)
    set_physics(stage, objects)
    stage.GetRootLayer().Save()
    cameras = _cameras(stage, embodiment)
    return AuthoredStage(
        path=path,
        sha256=digest_stage(stage, scene),
        binding=StageBinding(
            articulation=ROBOT_PATH,
            objects=tuple(str(prim.GetPath()) for prim in objects),
            links=tuple(link_path(arm.gripper.hand_body) for arm in embodiment.arms),
            timestep_s=TIMESTEP_S,
        ),
        object_ids=tuple(prim.GetName() for prim in objects),
        object_poses=tuple(pose_of(prim) for prim in objects),
        cameras=cameras,
        vertical_apertures_mm={name: vertical_aperture_mm(stage, prim) for name, prim in cameras.items()},
        world_paths=frozenset({FLOOR_PATH, PEDESTAL_PATH}),
    )


def open_over(scene: Path, path: Path) -> Usd.Stage:
    """A new layer at ``path`` over the stage of a scene.

    Raises:
        StageMissing: The scene has no stage.
        StageNotUsable: It lacks a physics scene or a camera, or its units are others.
    """
    base = scene / STAGE_PATH
    if not base.is_file():
        raise StageMissing(str(base))
    stage = Usd.Stage.CreateNew(str(path))
    stage.GetRootLayer().subLayerPaths.append(str(base.resolve()))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    stage.SetDefaultPrim(stage.GetPrimAtPath(WORLD_PATH))
    _validate(stage, base)
    return stage


def _validate(stage: Usd.Stage, base: Path) -> None:
    scenes = [prim for prim in stage.Traverse() if prim.IsA(UsdPhysics.Scene)]
    if len(scenes) != 1:
        raise StageNotUsable(str(base), f"it has {len(scenes)} physics scenes, expected 1")
    if not UsdGeom.Camera(stage.GetPrimAtPath(SCENE_CAMERA_PATH)):
        raise StageNotUsable(str(base), f"there is no camera at {SCENE_CAMERA_PATH}")
    if not stage.GetPrimAtPath(OBJECTS_PATH):
        raise StageNotUsable(str(base), f"there is no prim at {OBJECTS_PATH}")
    below = Sdf.Layer.FindOrOpen(str(base))
    found = Usd.Stage.Open(below)
    if UsdGeom.GetStageUpAxis(found) != UsdGeom.Tokens.z or UsdGeom.GetStageMetersPerUnit(found) != 1.0:
        raise StageNotUsable(str(base), "its up axis is not z, or a unit is not a metre")


def movable_objects(stage: Usd.Stage) -> list[Usd.Prim]:
    """Rigid bodies right below the objects, in the stage's order, which is the manifest's and the twin's."""
    return [prim for prim in stage.GetPrimAtPath(OBJECTS_PATH).GetChildren() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]


def set_physics(stage: Usd.Stage, objects: list[Usd.Prim]) -> None:
    """PhysX's settings, and friction where a collider has none."""
    for prim in list(stage.Traverse()):
        if prim.HasAPI(UsdPhysics.CollisionAPI) and not UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")[0]:
            bind_friction(stage, prim, DEFAULT_FRICTION)
    for prim in list(stage.Traverse()):
        if prim.IsA(UsdPhysics.Scene):
            physx.set_scene(prim, TIMESTEP_S)
        elif prim.HasAPI(UsdPhysics.MaterialAPI):
            physx.set_material(prim)
    for prim in objects:
        physx.set_body(prim, weightless=False)


def _cameras(stage: Usd.Stage, embodiment: Embodiment) -> dict[str, str]:
    cameras = {SCENE_CAMERA: SCENE_CAMERA_PATH}
    cameras |= {f"robot/{wrist.name}": f"{link_path(wrist.body)}/{wrist.name}" for wrist in embodiment.wrist_cameras}
    return {name: path for name, path in cameras.items() if stage.GetPrimAtPath(path)}


def place_camera(stage: Usd.Stage, view: View) -> None:
    """Put the scene's camera where the job wants it."""
    camera = UsdGeom.Camera(stage.GetPrimAtPath(SCENE_CAMERA_PATH))
    w, x, y, z = view.quat_wxyz
    camera.GetPrim().GetAttribute("xformOp:translate").Set(Gf.Vec3d(*view.position_m))
    camera.GetPrim().GetAttribute("xformOp:orient").Set(Gf.Quatd(w, x, y, z))
    camera.GetFocalLengthAttr().Set(camera.GetVerticalApertureAttr().Get() / 2 / math.tan(math.radians(view.fovy_deg) / 2))


def vertical_aperture_mm(stage: Usd.Stage, path: str) -> float:
    """Of a camera; with its focal length, the vertical field of view."""
    return float(UsdGeom.Camera(stage.GetPrimAtPath(path)).GetVerticalApertureAttr().Get())


def pose_of(prim: Usd.Prim) -> Pose:
    """Where a prim stands in the world."""
    matrix = UsdGeom.XformCache().GetLocalToWorldTransform(prim)
    quat = matrix.ExtractRotationQuat().GetNormalized()
    return Pose(position_m=tuple(matrix.ExtractTranslation()), quat_wxyz=(quat.GetReal(), *quat.GetImaginary()))


def digest_stage(stage: Usd.Stage, scene: Path) -> str:
    """Hash of the layer that was added and of every file of the scene's stage; a copied scene keeps it."""
    bare = Sdf.Layer.CreateAnonymous(".usda")
    bare.TransferContent(stage.GetRootLayer())
    bare.subLayerPaths.clear()
    digest, folder = hashlib.sha256(bare.ExportToString().encode()), (scene / STAGE_PATH).parent
    for name in list_files(folder):
        digest.update(f"\0{name}\0{digest_file(folder / name).sha256}".encode())
    return digest.hexdigest()
