"""A robot as a USD articulation, from the same MJCF as in the twin: links, joints, drives, colliders, looks, the camera on its hand.

Links lie side by side below ``/World/robot``, each where the robot's default pose has it, for rigid bodies may not be nested. Frames: each
link's is its MJCF body's. Angles in USD are degrees, and so are the stiffness and damping of an angular drive (per degree).

Source: UsdPhysics schema (joints, drives, articulations).
"""

import math
from typing import Any

import mujoco
import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade, Vt
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import quat_from_rotation
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment, WristCamera
from blueprint_pipeline.robot.errors import BrokenEmbodiment
from blueprint_pipeline.robot.gripper import FingerJoint, Gripper
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.scene.prim_paths import WORLD_PATH
from blueprint_pipeline.scene.usd import define_mesh
from blueprint_pipeline.simulation.isaac_sim import physx
from blueprint_pipeline.simulation.isaac_sim.drives import JointDrive, drives_of
from blueprint_pipeline.twin.binding import bind_robot
from blueprint_pipeline.twin.mount import PEDESTAL, mount

ROBOT_PATH = f"{WORLD_PATH}/robot"
PEDESTAL_PATH = f"{WORLD_PATH}/robot_pedestal"
_COLLISION_GROUP = 3
_APERTURE_MM = 24.0
_X_AXIS = np.array([1.0, 0.0, 0.0])


def compile_robot(embodiment: Embodiment, base_pose: Pose, foot_m: float = 0.0) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """The robot alone, mounted as in the twin, in its default pose with open fingers."""
    spec = mujoco.MjSpec()
    mount(spec, embodiment, base_pose, foot_m)
    model = spec.compile()
    data = mujoco.MjData(model)
    bind_robot(model, embodiment).place(data, home_qpos(embodiment))
    mujoco.mj_kinematics(model, data)
    return model, data


def tools_in_hands(embodiment: Embodiment) -> FloatArray:
    """Each tool centre point in the frame of its hand, (n_arms, 7): xyz and quat wxyz."""
    model = mujoco.MjSpec.from_file(str(embodiment.mjcf_path)).compile()
    return np.stack([_tool_in_hand(model, embodiment, arm) for arm in embodiment.arms])


def _tool_in_hand(model: mujoco.MjModel, embodiment: Embodiment, arm: Arm) -> FloatArray:
    site = model.site(arm.tcp_site)
    if int(site.bodyid[0]) != model.body(arm.gripper.hand_body).id:
        raise BrokenEmbodiment(embodiment.name, "site of the hand", arm.tcp_site, [])
    return np.concatenate([site.pos, site.quat])


def author_robot(stage: Usd.Stage, embodiment: Embodiment, base_pose: Pose, foot_m: float = 0.0) -> None:
    """Write the robot, its pedestal and its camera into a stage."""
    model, data = compile_robot(embodiment, base_pose, foot_m)
    drives = drives_of(model, embodiment)
    max_velocity = {joint.name: joint.max_velocity_rad_s for arm in embodiment.arms for joint in arm.joints}
    max_velocity |= {joint.name: _finger_speed(arm.gripper, joint) for arm in embodiment.arms for joint in arm.gripper.fingers}
    root = UsdGeom.Xform.Define(stage, ROBOT_PATH).GetPrim()
    UsdPhysics.ArticulationRootAPI.Apply(root)
    physx.set_articulation(root)
    for body in range(1, model.nbody):
        _link(stage, model, data, body)
    for body in range(1, model.nbody):
        _joint(stage, data, body, drives, max_velocity)
    _pedestal(stage, model)
    for camera in embodiment.wrist_cameras:
        _camera(stage, camera)


def _finger_speed(gripper: Gripper, joint: FingerJoint) -> float:
    """How fast a finger joint moves at most while the gripper opens or closes [rad/s, m/s]."""
    travel = np.abs(np.diff(joint.positions) / np.diff(gripper.openings_m)).max()
    return float(travel) * gripper.max_speed_m_s


def link_path(body_name: str) -> str:
    """Path of a link by its name in the MJCF, with or without the robot's prefix."""
    return f"{ROBOT_PATH}/{body_name.removeprefix(ROBOT_PREFIX)}"


def _link(stage: Usd.Stage, model: mujoco.MjModel, data: mujoco.MjData, body: int) -> None:
    path = link_path(model.body(body).name)
    xform = UsdGeom.Xform.Define(stage, path)
    set_pose(xform, data.xpos[body], data.xquat[body])
    prim = xform.GetPrim()
    UsdPhysics.RigidBodyAPI.Apply(prim)
    mass = UsdPhysics.MassAPI.Apply(prim)
    mass.CreateMassAttr(float(model.body_mass[body]))
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*model.body_ipos[body].tolist()))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*model.body_inertia[body].tolist()))
    mass.CreatePrincipalAxesAttr(Gf.Quatf(*model.body_iquat[body].tolist()))
    physx.set_body(prim, weightless=bool(model.body_gravcomp[body] == 1.0))
    for geom in np.flatnonzero(model.geom_bodyid == body).tolist():
        _geom(stage, path, model, geom)


def _geom(stage: Usd.Stage, link: str, model: mujoco.MjModel, geom: int) -> None:
    path = f"{link}/{model.geom(geom).name.removeprefix(ROBOT_PREFIX)}"
    collides = bool(model.geom_contype[geom] or model.geom_conaffinity[geom])
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
        shape: UsdGeom.Gprim = _mesh(stage, path, model, int(model.geom_dataid[geom]))
    elif model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CYLINDER:
        shape = _cylinder(stage, path, model.geom_size[geom])
    else:
        shape = _box(stage, path, model.geom_size[geom])
    _add_pose(shape, model.geom_pos[geom], model.geom_quat[geom])
    material = int(model.geom_matid[geom])
    rgba = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
    shape.CreateDisplayColorAttr(Vt.Vec3fArray([Gf.Vec3f(*rgba[:3].tolist())]))
    if not collides:
        return
    if model.geom_group[geom] == _COLLISION_GROUP:
        shape.CreatePurposeAttr(UsdGeom.Tokens.guide)
    prim = shape.GetPrim()
    UsdPhysics.CollisionAPI.Apply(prim)
    if prim.IsA(UsdGeom.Mesh):
        UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(UsdPhysics.Tokens.convexHull)
    bind_friction(stage, prim, float(model.geom_friction[geom, 0]))


def _mesh(stage: Usd.Stage, path: str, model: mujoco.MjModel, mesh: int) -> UsdGeom.Mesh:
    row = model.mesh(mesh)
    vertices = model.mesh_vert[row.vertadr[0] : row.vertadr[0] + row.vertnum[0]]
    found = define_mesh(stage, path, vertices, model.mesh_face[row.faceadr[0] : row.faceadr[0] + row.facenum[0]])
    found.CreateDoubleSidedAttr(True)
    return found


def _box(stage: Usd.Stage, path: str, half_size_m: FloatArray) -> UsdGeom.Cube:
    cube = UsdGeom.Cube.Define(stage, path)
    cube.CreateSizeAttr(2.0)
    cube.CreateExtentAttr([Gf.Vec3f(-1, -1, -1), Gf.Vec3f(1, 1, 1)])
    cube.AddScaleOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*half_size_m.tolist()))
    return cube


def _cylinder(stage: Usd.Stage, path: str, size_m: FloatArray) -> UsdGeom.Cylinder:
    """Along z, as MuJoCo's: radius and half its height."""
    radius, half = float(size_m[0]), float(size_m[1])
    cylinder = UsdGeom.Cylinder.Define(stage, path)
    cylinder.CreateAxisAttr(UsdGeom.Tokens.z)
    cylinder.CreateRadiusAttr(radius)
    cylinder.CreateHeightAttr(2 * half)
    cylinder.CreateExtentAttr([Gf.Vec3f(-radius, -radius, -half), Gf.Vec3f(radius, radius, half)])
    return cylinder


def bind_friction(stage: Usd.Stage, prim: Usd.Prim, friction: float) -> None:
    """Bind a physics material of this friction; one for all that share it."""
    path = f"/World/Looks/friction_{round(friction * 1000):04d}"
    if not stage.GetPrimAtPath(path):
        UsdGeom.Scope.Define(stage, "/World/Looks")
        material = UsdPhysics.MaterialAPI.Apply(UsdShade.Material.Define(stage, path).GetPrim())
        material.CreateStaticFrictionAttr(friction)
        material.CreateDynamicFrictionAttr(friction)
        material.CreateRestitutionAttr(0.0)
    found = UsdShade.Material(stage.GetPrimAtPath(path))
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(found, UsdShade.Tokens.weakerThanDescendants, "physics")


def _joint(stage: Usd.Stage, data: mujoco.MjData, body: int, drives: dict[str, JointDrive], max_velocity: dict[str, float]) -> None:
    """The joint between a link and its parent: fixed, or about (along) the x axis of a frame that is turned onto the MJCF joint's axis."""
    model = data.model
    parent = int(model.body_parentid[body])
    number = int(model.body_jntadr[body])
    row = None if number < 0 else model.joint(number)
    name = f"{model.body(body).name.removeprefix(ROBOT_PREFIX)}_fixed" if row is None else row.name.removeprefix(ROBOT_PREFIX)
    turn = Rotation.identity() if row is None else Rotation.align_vectors(row.axis, _X_AXIS)[0]
    anchor = np.zeros(3) if row is None else row.pos
    joint = _define_joint(stage, f"{ROBOT_PATH}/joints/{name}", row)
    if parent:
        joint.CreateBody0Rel().SetTargets([Sdf.Path(link_path(model.body(parent).name))])
    joint.CreateBody1Rel().SetTargets([Sdf.Path(link_path(model.body(body).name))])
    # The base's joint holds it to the world where it stands: MuJoCo has the base's pose in the frame that it was mounted in.
    position, quat = (model.body_pos[body], model.body_quat[body]) if parent else (data.xpos[body], data.xquat[body])
    link = Rotation.from_quat(quat, scalar_first=True)
    joint.CreateLocalPos0Attr(Gf.Vec3f(*(position + link.apply(anchor)).tolist()))
    joint.CreateLocalRot0Attr(Gf.Quatf(*(link * turn).as_quat(scalar_first=True).tolist()))
    joint.CreateLocalPos1Attr(Gf.Vec3f(*anchor.tolist()))
    joint.CreateLocalRot1Attr(Gf.Quatf(*turn.as_quat(scalar_first=True).tolist()))
    if row is not None:
        local = row.name.removeprefix(ROBOT_PREFIX)
        _drive_joint(joint.GetPrim(), row, drives.get(local), float(data.joint(row.name).qpos[0]), max_velocity[local])


def _define_joint(stage: Usd.Stage, path: str, row: Any | None) -> UsdPhysics.Joint:
    UsdGeom.Scope.Define(stage, f"{ROBOT_PATH}/joints")
    if row is None:
        return UsdPhysics.FixedJoint.Define(stage, path)
    angular = row.type[0] == mujoco.mjtJoint.mjJNT_HINGE
    joint = UsdPhysics.RevoluteJoint.Define(stage, path) if angular else UsdPhysics.PrismaticJoint.Define(stage, path)
    joint.CreateAxisAttr(UsdPhysics.Tokens.x)
    return joint


def _drive_joint(prim: Usd.Prim, row: Any, drive: JointDrive | None, position: float, max_velocity: float) -> None:
    angular = prim.IsA(UsdPhysics.RevoluteJoint)
    unit = math.pi / 180.0 if angular else 1.0
    lower, upper = row.range
    joint = UsdPhysics.RevoluteJoint(prim) if angular else UsdPhysics.PrismaticJoint(prim)
    joint.CreateLowerLimitAttr(float(lower) / unit)
    joint.CreateUpperLimitAttr(float(upper) / unit)
    kind = "angular" if angular else "linear"
    prim.AddAppliedSchema(f"PhysicsJointStateAPI:{kind}")
    prim.CreateAttribute(f"state:{kind}:physics:position", Sdf.ValueTypeNames.Float, custom=False).Set(position / unit)
    # Somewhat above the maker's limit, which plans keep: the engine's own limit must not bend a motion that is within it.
    physx.set_joint(prim, armature=float(row.armature[0]), max_velocity=2.0 * max_velocity / unit)
    if drive is None:
        return
    api = UsdPhysics.DriveAPI.Apply(prim, kind)
    api.CreateTypeAttr(UsdPhysics.Tokens.force)
    api.CreateStiffnessAttr(drive.stiffness * unit)
    api.CreateDampingAttr(drive.damping * unit)
    api.CreateMaxForceAttr(drive.max_force)
    api.CreateTargetPositionAttr(position / unit)


def _pedestal(stage: Usd.Stage, model: mujoco.MjModel) -> None:
    names = [model.geom(index).name for index in range(model.ngeom)]
    if PEDESTAL not in names:
        return
    geom = names.index(PEDESTAL)
    cube = _box(stage, PEDESTAL_PATH, model.geom_size[geom])
    _add_pose(cube, model.geom_pos[geom], model.geom_quat[geom])
    cube.CreateDisplayColorAttr(Vt.Vec3fArray([Gf.Vec3f(*model.geom_rgba[geom][:3].tolist())]))
    UsdPhysics.CollisionAPI.Apply(cube.GetPrim())
    bind_friction(stage, cube.GetPrim(), float(model.geom_friction[geom, 0]))


def _camera(stage: Usd.Stage, found: WristCamera) -> None:
    camera = UsdGeom.Camera.Define(stage, f"{link_path(found.body)}/{found.name}")
    camera.CreateVerticalApertureAttr(_APERTURE_MM)
    camera.CreateHorizontalApertureAttr(_APERTURE_MM)
    camera.CreateFocalLengthAttr(_APERTURE_MM / 2 / math.tan(math.radians(found.fovy_deg) / 2))
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.01, 100.0))
    set_pose(camera, np.array(found.position_m), quat_from_rotation(found.rotation))


def set_pose(xform: UsdGeom.Xformable, position_m: FloatArray, quat_wxyz: FloatArray) -> None:
    """Place a prim in its parent."""
    xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Vec3d(*np.asarray(position_m).tolist()))
    xform.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(*np.asarray(quat_wxyz).tolist()))


def _add_pose(shape: UsdGeom.Gprim, position_m: FloatArray, quat_wxyz: FloatArray) -> None:
    """Place a shape that may be scaled already: translate, orient, then scale."""
    scale = shape.GetOrderedXformOps()
    set_pose(shape, position_m, quat_wxyz)
    shape.SetXformOpOrder([*shape.GetOrderedXformOps()[len(scale) :], *scale])
