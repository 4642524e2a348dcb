"""The USD stage of a scene: one file an object, one that places them, with physics that PhysX, Isaac Sim and others read.

``usd/scene.usda`` references ``usd/assets/{id}.usda``; textures lie in ``usd/assets/textures``. Stage: z up, one metre a unit. Looks are
``UsdPreviewSurface``; convex pieces are guides with ``MeshCollisionAPI`` (``convexHull``); masses are explicit.

Source: OpenUSD, UsdPhysics schema and UsdPreviewSurface specification.
"""

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade, Vt

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.scene.manifest import ManifestObject
from blueprint_pipeline.scene.mesh_files import parse_obj, png_bytes
from blueprint_pipeline.scene.mjcf import SceneAssets
from blueprint_pipeline.scene.physics import Physics
from blueprint_pipeline.scene.prim_paths import (
    BACKGROUND_PATH,
    FLOOR_PATH,
    OBJECTS_PATH,
    PHYSICS_SCENE_PATH,
    SCENE_CAMERA_PATH,
    WORLD_PATH,
    body_path,
    object_path,
)
from blueprint_pipeline.scene.surfaces import Look, Surface
from blueprint_pipeline.scene.usd_joints import write_joints

STAGE_PATH = "usd/scene.usda"
_APERTURE_MM = 24.0


def build_usd(assets: SceneAssets) -> dict[str, bytes]:
    """Files of the stage, by name below ``usd/``."""
    files: dict[str, bytes] = {}
    for item in assets.manifest.objects:
        if item.moving_parts:
            files |= _articulated_asset(item, assets)
        else:
            files |= _asset(item.id, assets, assets.physics[item.id], is_movable=item.is_movable)
    if assets.manifest.background is not None:
        files |= _asset("background", assets, None, is_movable=False)
    return {"scene.usda": _scene(assets), **files}


def _new_stage(root: str) -> tuple[Usd.Stage, Usd.Prim]:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    prim = UsdGeom.Xform.Define(stage, f"/{root}").GetPrim()
    stage.SetDefaultPrim(prim)
    return stage, prim


def _text(stage: Usd.Stage) -> bytes:
    text: str = stage.GetRootLayer().ExportToString()
    return text.encode()


def _scene(assets: SceneAssets) -> bytes:
    stage, world = _new_stage("World")
    Usd.ModelAPI(world).SetKind(Kind.Tokens.assembly)
    physics = UsdPhysics.Scene.Define(stage, PHYSICS_SCENE_PATH)
    physics.CreateGravityDirectionAttr(Gf.Vec3f(0, 0, -1))
    physics.CreateGravityMagnitudeAttr(9.81)
    _floor(stage)
    Usd.ModelAPI(UsdGeom.Xform.Define(stage, OBJECTS_PATH).GetPrim()).SetKind(Kind.Tokens.group)
    for item in assets.manifest.objects:
        _place(stage, item)
    if assets.manifest.background is not None:
        UsdGeom.Xform.Define(stage, BACKGROUND_PATH)
    _camera(stage, assets)
    sun = UsdLux.DistantLight.Define(stage, f"{WORLD_PATH}/sun")
    sun.CreateIntensityAttr(1500.0)
    sun.AddRotateXYZOp().Set(Gf.Vec3f(35.0, -20.0, 0.0))
    UsdLux.DomeLight.Define(stage, f"{WORLD_PATH}/sky").CreateIntensityAttr(500.0)
    references = {object_path(item.id): item.id for item in assets.manifest.objects}
    if assets.manifest.background is not None:
        references[BACKGROUND_PATH] = "background"
    return _with_references(_text(stage), references)


def _with_references(text: bytes, assets: dict[str, str]) -> bytes:
    """The layer with a reference to each asset, by prim; added on a layer that no stage composes, for no asset is written yet."""
    layer = Sdf.Layer.CreateAnonymous("scene.usda")
    layer.ImportFromString(text.decode())
    for path, name in assets.items():
        layer.GetPrimAtPath(path).referenceList.Prepend(Sdf.Reference(f"./assets/{name}.usda"))
    found: str = layer.ExportToString()
    return found.encode()


def _floor(stage: Usd.Stage) -> None:
    """A plane to fall on, as in the twin; it is a guide, so it is not drawn."""
    plane = UsdGeom.Plane.Define(stage, FLOOR_PATH)
    plane.CreateAxisAttr(UsdGeom.Tokens.z)
    plane.CreatePurposeAttr(UsdGeom.Tokens.guide)
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())


def _place(stage: Usd.Stage, item: ManifestObject) -> None:
    xform = UsdGeom.Xform.Define(stage, object_path(item.id))
    prim = xform.GetPrim()
    _set_pose(xform, item.pose)
    for name, value in (("category", item.category), ("sim_role", item.sim_role), ("licence", item.asset.licence)):
        prim.CreateAttribute(f"blueprint_pipeline:{name}", Sdf.ValueTypeNames.String, custom=True).Set(value)


def _set_pose(xform: UsdGeom.Xformable, pose: Pose) -> None:
    xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*pose.position_m))
    w, x, y, z = pose.quat_wxyz
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(w, x, y, z))


def _camera(stage: Usd.Stage, assets: SceneAssets) -> None:
    found = assets.manifest.camera
    camera = UsdGeom.Camera.Define(stage, SCENE_CAMERA_PATH)
    camera.CreateVerticalApertureAttr(_APERTURE_MM)
    camera.CreateHorizontalApertureAttr(_APERTURE_MM * found.width / found.height)
    camera.CreateFocalLengthAttr(_APERTURE_MM / 2 / float(np.tan(found.fovy_rad / 2)))
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.01, 100.0))
    _set_pose(camera, found.pose)


def _asset(name: str, assets: SceneAssets, physics: Physics | None, *, is_movable: bool) -> dict[str, bytes]:
    stage, prim = _new_stage(name)
    Usd.ModelAPI(prim).SetKind(Kind.Tokens.component)
    files = _body(stage, f"/{name}", name, assets, physics)
    if physics is not None and is_movable:
        _rigid_body(prim, physics)
    return {f"assets/{name}.usda": _text(stage), **files}


def _articulated_asset(item: ManifestObject, assets: SceneAssets) -> dict[str, bytes]:
    """An object whose parts move: one articulation, its base fixed to the world, each part on its joint."""
    stage, prim = _new_stage(item.id)
    Usd.ModelAPI(prim).SetKind(Kind.Tokens.component)
    UsdPhysics.ArticulationRootAPI.Apply(prim)
    files: dict[str, bytes] = {}
    UsdGeom.Scope.Define(stage, f"/{item.id}/parts")
    for name in item.mesh_files:
        path = body_path(name, within=f"/{item.id}")
        UsdGeom.Xform.Define(stage, path)
        files |= _body(stage, path, name, assets, assets.physics[name])
        _rigid_body(stage.GetPrimAtPath(path), assets.physics[name])
    write_joints(stage, item, assets.physics)
    return {f"assets/{item.id}.usda": _text(stage), **files}


def _body(stage: Usd.Stage, path: str, name: str, assets: SceneAssets, physics: Physics | None) -> dict[str, bytes]:
    """What is drawn of a body and what collides, below its prim."""
    files: dict[str, bytes] = {}
    for index, surface in enumerate(assets.surfaces(name)):
        files |= _visual(stage, path, f"{name.replace('/', '_part_')}_{index}", index, surface)
    hulls = assets.hulls.get(name, [])
    if hulls:
        UsdGeom.Scope.Define(stage, f"{path}/collision")
        material = None if physics is None else _physics_material(stage, path, physics)
        for index, data in enumerate(hulls):
            _piece(stage, f"{path}/collision/hull_{index:03d}", data, material)
    return files


def _visual(stage: Usd.Stage, path: str, picture: str, index: int, surface: Surface) -> dict[str, bytes]:
    mesh = define_mesh(stage, f"{path}/visual_{index}", surface.vertices, surface.faces)
    mesh.CreateDoubleSidedAttr(surface.look.double_sided)
    if surface.uv is not None:
        primvars = UsdGeom.PrimvarsAPI(mesh.GetPrim())
        st = primvars.CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
        st.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(surface.uv, dtype=np.float32)))
    texture = f"textures/{picture}.png"
    material = _material(stage, f"{path}/Looks/visual_{index}", surface.look, texture)
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    return {} if surface.look.texture is None else {f"assets/{texture}": png_bytes(surface.look.texture)}


def define_mesh(stage: Usd.Stage, path: str, vertices: FloatArray, faces: NDArray[np.int64]) -> UsdGeom.Mesh:
    """A mesh of triangles: vertices (n, 3) [m], faces (m, 3)."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    points = np.ascontiguousarray(vertices, dtype=np.float32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, dtype=np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(faces.ravel(), dtype=np.int32)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([points.min(axis=0), points.max(axis=0)])))
    return mesh


def _material(stage: Usd.Stage, path: str, look: Look, texture: str) -> UsdShade.Material:
    UsdGeom.Scope.Define(stage, Sdf.Path(path).GetParentPath())
    material = UsdShade.Material.Define(stage, path)
    surface = UsdShade.Shader.Define(stage, f"{path}/surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(look.metallic)
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(look.roughness)
    color = surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f)
    image = None if look.texture is None else _texture(stage, path, look, texture)
    if image is None:
        color.Set(Gf.Vec3f(*look.base_color[:3]))
    else:
        color.ConnectToSource(image.CreateOutput("rgb", Sdf.ValueTypeNames.Float3))
    if not look.is_opaque:
        opacity = surface.CreateInput("opacity", Sdf.ValueTypeNames.Float)
        if image is None:
            opacity.Set(look.base_color[3])
        else:
            opacity.ConnectToSource(image.CreateOutput("a", Sdf.ValueTypeNames.Float))
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return material


def _texture(stage: Usd.Stage, path: str, look: Look, texture: str) -> UsdShade.Shader:
    reader = UsdShade.Shader.Define(stage, f"{path}/st")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    image = UsdShade.Shader.Define(stage, f"{path}/texture")
    image.CreateIdAttr("UsdUVTexture")
    image.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(f"./{texture}"))
    image.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("sRGB")
    image.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(*look.base_color))
    for side in ("wrapS", "wrapT"):
        image.CreateInput(side, Sdf.ValueTypeNames.Token).Set("repeat")
    image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(reader.CreateOutput("result", Sdf.ValueTypeNames.Float2))
    return image


def _rigid_body(prim: Usd.Prim, physics: Physics) -> None:
    UsdPhysics.RigidBodyAPI.Apply(prim)
    mass = UsdPhysics.MassAPI.Apply(prim)
    mass.CreateMassAttr(physics.mass.mass_kg)
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*physics.mass.com_m))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*physics.mass.diagonal_inertia_kg_m2))
    w, x, y, z = physics.mass.principal_axes_quat_wxyz
    mass.CreatePrincipalAxesAttr(Gf.Quatf(w, x, y, z))


def _physics_material(stage: Usd.Stage, path: str, physics: Physics) -> UsdShade.Material:
    UsdGeom.Scope.Define(stage, f"{path}/Looks")
    material = UsdShade.Material.Define(stage, f"{path}/Looks/physics")
    api = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    api.CreateStaticFrictionAttr(physics.friction.sliding)
    api.CreateDynamicFrictionAttr(physics.friction.sliding)
    api.CreateRestitutionAttr(physics.restitution.coefficient)
    return material


def _piece(stage: Usd.Stage, path: str, data: bytes, material: UsdShade.Material | None) -> None:
    vertices, faces = parse_obj(data)
    mesh = define_mesh(stage, path, vertices, faces)
    mesh.CreatePurposeAttr(UsdGeom.Tokens.guide)
    prim = mesh.GetPrim()
    UsdPhysics.CollisionAPI.Apply(prim)
    UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(UsdPhysics.Tokens.convexHull)
    if material is not None:
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")
