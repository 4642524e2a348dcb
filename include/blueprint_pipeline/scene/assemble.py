"""Assemble a scene: the USD stage and its MJCF twin, from the same assets; both are read back and compared."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import mujoco
import numpy as np
from pxr import Usd, UsdGeom, UsdPhysics, UsdValidation

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.geometry.rotations import rotation_from_quat
from blueprint_pipeline.scene.canonical_files import write_json
from blueprint_pipeline.scene.manifest import ArticulationJoint, ManifestObject, asset_folder, load_manifest
from blueprint_pipeline.scene.mjcf import SceneAssets, build_twin
from blueprint_pipeline.scene.physics import load_physics
from blueprint_pipeline.scene.prim_paths import body_path, object_path
from blueprint_pipeline.scene.process_meshes import collision_folder
from blueprint_pipeline.scene.set_aside import SET_ASIDE_PATH, SetAside, fix_objects
from blueprint_pipeline.scene.settle import SceneNotStable, find_restless, find_worst
from blueprint_pipeline.scene.usd import STAGE_PATH, build_usd
from blueprint_pipeline.scene.usd_joints import find_joint_problem
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.twin.body_names import name_within, object_of
from blueprint_pipeline.workspace.storage import SceneFolder

_TOLERANCE = 1e-6


class TwinInvalid(InternalError):
    """The MJCF twin that we wrote does not compile, or does not say what the manifest says."""

    code = "scene.twin_invalid"
    template = "mjcf/scene.xml was read back and is wrong: {problem}. This is a defect of the assembly: report it."

    problem: str


class UsdInvalid(InternalError):
    """The USD stage that we wrote does not say what the manifest says."""

    code = "scene.usd_invalid"
    template = "usd/scene.usda was read back and is wrong: {problem}. This is a defect of the assembly: report it."

    problem: str


def load_assets(scene: SceneFolder) -> SceneAssets:
    """Read manifest, physics and meshes of a scene's folder."""
    manifest = load_manifest(scene)
    bodies = [name for item in manifest.objects for name in item.mesh_files]
    names = [*bodies, "background"] if manifest.background is not None else bodies
    return SceneAssets(
        manifest=manifest,
        physics={name: load_physics(scene, name) for name in bodies},
        visual={name: scene.read_bytes(f"{asset_folder(name)}/visual.glb") for name in names},
        hulls={name: [scene.read_bytes(file) for file in scene.files_under(collision_folder(name))] for name in names},
    )


@dataclass(frozen=True)
class WrittenTwin:
    """A twin in which everything that can move comes to rest.

    Attributes:
        model: The twin, compiled.
        assets: What it is made of; what was set aside cannot move.
        set_aside: Why each object was set aside, by id.
    """

    model: mujoco.MjModel
    assets: SceneAssets
    set_aside: dict[str, str]


def write_twin(assets: SceneAssets, context: StageContext, *, duration_s: float) -> WrittenTwin:
    """Write the twin, compile it, compare it with the manifest, and write what was set aside.

    An object that rolls away without rolling friction, and rests with it, gets it (``condim`` 6); the others have none, which is cheaper.
    One that never rests is fixed where it was reconstructed; the worst comes first, one at a time, for it may be what moves the others.

    Args:
        assets: What it is made of.
        context: Where it is written.
        duration_s: How long the scene is watched [s]; the scene is settled for as long.

    Raises:
        TwinInvalid: It does not compile, or says something else.
        SceneNotStable: No object is left that can move.
    """
    set_aside: dict[str, str] = {}
    slowed, worst = _try(assets, duration_s)
    while worst is not None:
        context.stop_if_asked()
        set_aside[worst.object_id] = f"it does not come to rest: it {'; '.join(worst.failures)}"
        assets = replace(assets, manifest=fix_objects(assets.manifest, set_aside))
        if not any(item.is_movable for item in assets.manifest.objects):
            raise worst
        slowed, worst = _try(assets, duration_s)
    for name, data in build_twin(assets, slowed).items():
        context.output(f"mjcf/{name}").write_bytes(data)
    model = _compiled(lambda: mujoco.MjModel.from_xml_path(str(context.output(TWIN_PATH))))
    validate_twin(model, assets)
    record = SetAside(scene_id=assets.manifest.scene_id, watched_s=duration_s, reasons=set_aside)
    write_json(context.output(SET_ASIDE_PATH), record)
    return WrittenTwin(model, assets, set_aside)


def _try(assets: SceneAssets, duration_s: float) -> tuple[set[str], SceneNotStable | None]:
    """What needs rolling friction, for it rests with it and not without; and what is worst of all that does not rest even so."""
    scene_id = assets.manifest.scene_id
    restless = find_restless(_trial(assets, ()), scene_id, duration_s=duration_s)
    if not restless:
        return set(), None
    slowed = restless - find_restless(_trial(assets, restless), scene_id, duration_s=duration_s)
    return slowed, find_worst(_trial(assets, slowed), scene_id, duration_s=duration_s)


def _trial(assets: SceneAssets, slowed: Collection[str]) -> mujoco.MjModel:
    files = build_twin(assets, slowed, is_drawn=False)
    text = files.pop("scene.xml").decode()
    return _compiled(lambda: mujoco.MjModel.from_xml_string(text, files))


def _compiled(load: Callable[[], mujoco.MjModel]) -> mujoco.MjModel:
    try:
        return load()
    except ValueError as error:
        raise TwinInvalid(str(error)) from error


def validate_twin(model: mujoco.MjModel, assets: SceneAssets) -> None:
    """Compare a compiled twin with manifest and physics.

    Raises:
        TwinInvalid: A body is missing, stands elsewhere, or weighs something else.
    """
    for item in assets.manifest.objects:
        body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, item.id)
        if body < 0:
            raise TwinInvalid(f"there is no body {item.id}")
        if not np.allclose(model.body_pos[body], item.pose.position_m, atol=_TOLERANCE):
            raise TwinInvalid(f"body {item.id} is at {model.body_pos[body].tolist()}, the manifest says {item.pose.position_m}")
        if abs(abs(float(model.body_quat[body] @ np.asarray(item.pose.quat_wxyz))) - 1) > _TOLERANCE:
            raise TwinInvalid(f"body {item.id} is turned by {model.body_quat[body].tolist()}, the manifest says {item.pose.quat_wxyz}")
        mass = assets.physics[item.id].mass.mass_kg
        if item.is_movable and abs(float(model.body_mass[body]) - mass) > _TOLERANCE * mass:
            raise TwinInvalid(f"body {item.id} weighs {model.body_mass[body]} kg, physics.json says {mass}")
        if item.is_movable != (int(model.body_dofnum[body]) == 6):  # noqa: PLR2004 -- a free joint
            raise TwinInvalid(f"body {item.id} has {model.body_dofnum[body]} degrees of freedom, its role is {item.sim_role}")
        for name, joint in item.moving_parts.items():
            _validate_part(model, assets, name, joint)


def _validate_part(model: mujoco.MjModel, assets: SceneAssets, name: str, joint: ArticulationJoint) -> None:
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
    index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name_within(object_of(name), joint.name))
    if body < 0 or index < 0 or int(model.jnt_bodyid[index]) != body:
        raise TwinInvalid(f"part {name} does not hang on joint {joint.name}")
    kind = mujoco.mjtJoint.mjJNT_SLIDE if joint.type == "prismatic" else mujoco.mjtJoint.mjJNT_HINGE
    found = (int(model.jnt_type[index]), *model.jnt_axis[index].tolist(), *model.jnt_range[index].tolist())
    if not np.allclose(found, (int(kind), *joint.axis, *joint.limits), atol=_TOLERANCE):
        raise TwinInvalid(f"joint {joint.name} of {name} has type, axis and range {found}, the manifest says {joint}")
    if (resists := assets.physics[name].joint) is not None:
        spring = (float(model.jnt_stiffness[index].item()), float(model.qpos_spring[model.jnt_qposadr[index]]))
        if not np.allclose(spring, (resists.stiffness, resists.relaxed_at), atol=_TOLERANCE):
            raise TwinInvalid(f"joint {joint.name} of {name} has stiffness and spring's reference {spring}, physics.json says {resists}")
    mass = assets.physics[name].mass.mass_kg
    if abs(float(model.body_mass[body]) - mass) > _TOLERANCE * mass:
        raise TwinInvalid(f"part {name} weighs {model.body_mass[body]} kg, physics.json says {mass}")


def write_usd(assets: SceneAssets, context: StageContext) -> int:
    """Write the stage, open it, and compare it with the manifest.

    Returns:
        Number of prims.

    Raises:
        UsdInvalid: It breaks USD's rules, or says something else.
    """
    for name, data in build_usd(assets).items():
        context.output(f"usd/{name}").write_bytes(data)
    path = str(context.output(STAGE_PATH))
    stage = Usd.Stage.Open(path)
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    problems = [error.GetErrorAsString() for error in UsdValidation.ValidationContext(validators).Validate(stage)]
    if problems:
        raise UsdInvalid("; ".join(problems[:3]))
    validate_stage(stage, assets)
    return sum(1 for _ in stage.Traverse())


def validate_stage(stage: Usd.Stage, assets: SceneAssets) -> None:
    """Compare an opened stage with manifest and physics, as a physics engine reads it.

    Raises:
        UsdInvalid: Units, a body, a pose, a mass, a joint or the number of collision shapes differ.

    Source: ``UsdPhysics.UsdPhysicsLoadStageFromPrimRange`` is what engines parse a stage with.
    """
    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z or UsdGeom.GetStageMetersPerUnit(stage) != 1.0:
        raise UsdInvalid("its up axis is not z, or a unit is not a metre")
    parsed = UsdPhysics.UsdPhysicsLoadStageFromPrimRange(stage, ["/"])
    bodies = {str(path) for path in parsed.get(UsdPhysics.ObjectType.RigidBody, ([], []))[0]}
    expected = {path for item in assets.manifest.objects for path in _rigid_bodies(item)}
    if bodies != expected:
        raise UsdInvalid(f"rigid bodies are {sorted(bodies)}, expected {sorted(expected)}")
    shapes = len(parsed.get(UsdPhysics.ObjectType.MeshShape, ([], []))[0])
    hulls = sum(len(pieces) for pieces in assets.hulls.values())
    if shapes != hulls:
        raise UsdInvalid(f"it has {shapes} collision meshes, expected {hulls}")
    cache = UsdGeom.XformCache()
    for item in assets.manifest.objects:
        prim = stage.GetPrimAtPath(object_path(item.id))
        matrix = np.asarray(cache.GetLocalToWorldTransform(prim))
        rotation = rotation_from_quat(np.asarray(item.pose.quat_wxyz))
        if not (
            np.allclose(matrix[3, :3], item.pose.position_m, atol=_TOLERANCE) and np.allclose(matrix[:3, :3].T, rotation, atol=_TOLERANCE)
        ):
            raise UsdInvalid(f"object {item.id} stands elsewhere than in the manifest")
        for path, name in _rigid_bodies(item).items():
            mass = assets.physics[name].mass.mass_kg
            found = UsdPhysics.MassAPI(stage.GetPrimAtPath(path)).GetMassAttr().Get()
            if abs(found - mass) > _TOLERANCE * mass:
                raise UsdInvalid(f"{name} weighs {found} kg, physics.json says {mass}")
        if item.moving_parts and (problem := find_joint_problem(parsed, item, assets.physics)) is not None:
            raise UsdInvalid(problem)


def _rigid_bodies(item: ManifestObject) -> dict[str, str]:
    """Paths of an object's rigid bodies, and their names."""
    path = object_path(item.id)
    if item.moving_parts:
        return {body_path(name, within=path): name for name in item.mesh_files}
    return {path: item.id} if item.is_movable else {}
