"""The conformance scene as a USD stage, for simulators that load one: the same block on the same plinth as in its MJCF.

Imported where ``pxr`` is there: inside of Isaac Sim that is after Kit has started.
"""

import math

from pxr import Gf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade, Vt

from blueprint_pipeline.geometry.pose import Pose, Vector3
from blueprint_pipeline.scene.prim_paths import FLOOR_PATH, OBJECTS_PATH, PHYSICS_SCENE_PATH, SCENE_CAMERA_PATH, WORLD_PATH, object_path

FRICTION = 0.8
_APERTURE_MM = 24.0


def build_conformance_stage(
    *, block: Vector3, block_half_m: float, block_mass_kg: float, plinth_half_m: float, camera: Pose, fovy_deg: float
) -> str:
    """The stage's text: ``block`` is a free body, ``plinth`` and the floor stand still.

    Args:
        block: Middle of the block in the world [m].
        block_half_m: Half its side.
        block_mass_kg: Its mass.
        plinth_half_m: Half the side of the plinth, which reaches from the floor to the block.
        camera: Looks along -z, y up.
        fovy_deg: Its vertical field of view.
    """
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, WORLD_PATH).GetPrim())
    UsdGeom.Xform.Define(stage, OBJECTS_PATH)
    scene = UsdPhysics.Scene.Define(stage, PHYSICS_SCENE_PATH)
    scene.CreateGravityDirectionAttr(Gf.Vec3f(0, 0, -1))
    scene.CreateGravityMagnitudeAttr(9.81)
    UsdLux.DomeLight.Define(stage, f"{WORLD_PATH}/sky").CreateIntensityAttr(700.0)
    UsdLux.DistantLight.Define(stage, f"{WORLD_PATH}/sun").CreateIntensityAttr(1500.0)
    plane = UsdGeom.Plane.Define(stage, FLOOR_PATH)
    plane.CreateAxisAttr(UsdGeom.Tokens.z)
    _collide(stage, plane, (0.6, 0.6, 0.55))
    x, y, z = block
    top = z - block_half_m
    _box(stage, object_path("plinth"), (x, y, top / 2), (plinth_half_m, plinth_half_m, top / 2), (0.3, 0.4, 0.3))
    _box(stage, object_path("block"), block, (block_half_m, block_half_m, block_half_m), (0.8, 0.2, 0.1))
    body = stage.GetPrimAtPath(object_path("block"))
    UsdPhysics.RigidBodyAPI.Apply(body)
    mass = UsdPhysics.MassAPI.Apply(body)
    mass.CreateMassAttr(block_mass_kg)
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(3e-5, 3e-5, 3e-5))
    _camera(stage, camera, fovy_deg)
    text: str = stage.GetRootLayer().ExportToString()
    return text


def _box(stage: Usd.Stage, path: str, middle: Vector3, half: Vector3, color: Vector3) -> None:
    UsdGeom.Xform.Define(stage, path).AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*middle))
    UsdGeom.Xform(stage.GetPrimAtPath(path)).AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(1, 0, 0, 0))
    cube = UsdGeom.Cube.Define(stage, f"{path}/collision")
    cube.CreateSizeAttr(2.0)
    cube.AddScaleOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*half))
    _collide(stage, cube, color)


def _collide(stage: Usd.Stage, shape: UsdGeom.Gprim, color: Vector3) -> None:
    path = f"{WORLD_PATH}/Looks/rough"
    if not stage.GetPrimAtPath(path):
        UsdGeom.Scope.Define(stage, f"{WORLD_PATH}/Looks")
        material = UsdPhysics.MaterialAPI.Apply(UsdShade.Material.Define(stage, path).GetPrim())
        material.CreateStaticFrictionAttr(FRICTION)
        material.CreateDynamicFrictionAttr(FRICTION)
        material.CreateRestitutionAttr(0.0)
    shape.CreateDisplayColorAttr(Vt.Vec3fArray([Gf.Vec3f(*color)]))
    UsdPhysics.CollisionAPI.Apply(shape.GetPrim())
    found = UsdShade.Material(stage.GetPrimAtPath(path))
    UsdShade.MaterialBindingAPI.Apply(shape.GetPrim()).Bind(found, UsdShade.Tokens.weakerThanDescendants, "physics")


def _camera(stage: Usd.Stage, pose: Pose, fovy_deg: float) -> None:
    camera = UsdGeom.Camera.Define(stage, SCENE_CAMERA_PATH)
    camera.CreateVerticalApertureAttr(_APERTURE_MM)
    camera.CreateHorizontalApertureAttr(_APERTURE_MM * 4 / 3)
    camera.CreateFocalLengthAttr(_APERTURE_MM / 2 / math.tan(math.radians(fovy_deg) / 2))
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.01, 100.0))
    camera.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*pose.position_m))
    camera.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(*pose.quat_wxyz))
