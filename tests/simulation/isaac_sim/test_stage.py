"""The stage that Isaac Sim opens: read back by the UsdPhysics schemas, it says what the robot's MJCF and the scene say."""

import math

import mujoco
import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade

from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.placement import View
from blueprint_pipeline.simulation.conformance_scene import BLOCK_MASS_KG, write_conformance_scene
from blueprint_pipeline.simulation.isaac_sim.drives import drives_of
from blueprint_pipeline.simulation.isaac_sim.errors import StageNotUsable
from blueprint_pipeline.simulation.isaac_sim.robot_stage import compile_robot, link_path, tools_in_hands
from blueprint_pipeline.simulation.isaac_sim.stage import StageMissing, author_stage
from blueprint_pipeline.twin.model import build_scene_model
from tests.simulation.isaac_sim.stand_in import StageReader

PANDA = load_embodiment("franka_panda")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_conformance_scene(tmp_path_factory.mktemp("scene"), PANDA)


@pytest.fixture(scope="module")
def authored(scene, tmp_path_factory):
    return author_stage(scene.folder, scene.placement, PANDA, tmp_path_factory.mktemp("authored"))


@pytest.fixture
def stage(authored):
    opened = Usd.Stage.Open(str(authored.path))
    opened.SetEditTarget(opened.GetSessionLayer())
    return opened


@pytest.fixture(scope="module")
def robot(scene):
    """The robot as MuJoCo has it."""
    return compile_robot(PANDA, scene.placement.base_pose)


def test_a_physics_engine_finds_one_fixed_articulation(stage):
    """As UsdPhysics parses it: one articulation, its links, seven hinges, two sliders; base, hand and camera are fixed."""
    parsed = UsdPhysics.UsdPhysicsLoadStageFromPrimRange(stage, ["/"])
    counts = {str(kind).rsplit(".", 1)[-1]: len(found[0]) for kind, found in parsed.items()}
    assert counts["Articulation"] == counts["Scene"] == 1
    assert (counts["RevoluteJoint"], counts["PrismaticJoint"], counts["FixedJoint"]) == (7, 2, 3)
    assert counts["RigidBody"] == 13, "eleven links, the camera and the block"
    base = UsdPhysics.Joint(stage.GetPrimAtPath("/World/robot/joints/link0_fixed"))
    assert list(base.GetBody0Rel().GetTargets()) == [], "the base is held by the world"


def test_links_weigh_and_stand_as_in_the_twin(stage, robot):
    model, data = robot
    cache = UsdGeom.XformCache()
    for body in range(1, model.nbody):
        prim = stage.GetPrimAtPath(link_path(model.body(body).name))
        mass = UsdPhysics.MassAPI(prim)
        assert mass.GetMassAttr().Get() == pytest.approx(model.body_mass[body])
        assert list(mass.GetDiagonalInertiaAttr().Get()) == pytest.approx(model.body_inertia[body].tolist())
        assert list(mass.GetCenterOfMassAttr().Get()) == pytest.approx(model.body_ipos[body].tolist())
        assert list(cache.GetLocalToWorldTransform(prim).ExtractTranslation()) == pytest.approx(data.xpos[body].tolist(), abs=1e-9)
        assert prim.GetAttribute("physxRigidBody:disableGravity").Get() == (model.body_gravcomp[body] == 1)


def test_joints_move_links_as_in_the_twin(authored, stage, robot):
    """Random configurations: the stage's kinematics, read by another reader, put every link where the MJCF does."""
    model, data = robot
    other = StageReader(stage, authored.binding).compile()
    state = mujoco.MjData(other)
    rng = np.random.default_rng(0)
    for _ in range(20):
        for index in range(model.njnt):
            joint = model.joint(index)
            data.qpos[joint.qposadr[0]] = value = rng.uniform(*joint.range)
            state.joint(joint.name.removeprefix("robot/")).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        mujoco.mj_kinematics(other, state)
        for body in range(1, model.nbody):
            found = state.body(link_path(model.body(body).name))
            assert found.xpos == pytest.approx(data.xpos[body], abs=1e-6)
            assert abs(found.xquat @ data.xquat[body]) == pytest.approx(1.0, abs=1e-9)


def test_drives_and_limits_are_in_degrees(stage, robot):
    """4500 N m/rad are 78.5 N m a degree; the actuator's damping and the joint's own both brake."""
    joint = stage.GetPrimAtPath("/World/robot/joints/joint1")
    drive = UsdPhysics.DriveAPI(joint, "angular")
    assert drive.GetStiffnessAttr().Get() == pytest.approx(4500 * math.pi / 180)
    assert drive.GetDampingAttr().Get() == pytest.approx((220 + 1) * math.pi / 180)
    assert drive.GetMaxForceAttr().Get() == 87
    assert drive.GetTypeAttr().Get() == "force"
    limits = UsdPhysics.RevoluteJoint(joint)
    assert limits.GetUpperLimitAttr().Get() == pytest.approx(math.degrees(2.8973))
    assert joint.GetAttribute("physxJoint:armature").Get() == pytest.approx(0.1)
    assert joint.GetAttribute("physxJoint:maxJointVelocity").Get() > math.degrees(2.175)
    third = stage.GetPrimAtPath("/World/robot/joints/joint4")
    assert third.GetAttribute("state:angular:physics:position").Get() == pytest.approx(math.degrees(-2.35619449))


def test_fingers_share_the_grippers_tendon(robot):
    """With q = w / 2 on both sides, two drives of twice the stiffness pull as the one tendon does, per finger."""
    model, _ = robot
    drives = drives_of(model, PANDA)
    kp, kv = 10_000.0, 150.0
    for name in PANDA.arms[0].gripper.joints:
        assert drives[name].stiffness == 2 * kp
        assert drives[name].damping == pytest.approx(2 * kv + 1.0)
        assert drives[name].max_force == 70
    target, q, dq = 0.03, 0.025, 0.01
    tendon = kp * (2 * target - 2 * q) - kv * 2 * dq
    finger = drives[PANDA.arms[0].gripper.joints[0]]
    assert finger.stiffness * (target - q) - (finger.damping - 1.0) * dq == pytest.approx(tendon)


def test_physx_is_told_to_be_deterministic_and_to_report(stage):
    """Attributes by name, as Kit reads them, on applied schemas."""
    physics = stage.GetPrimAtPath("/World/PhysicsScene")
    assert "PhysxSceneAPI" in physics.GetPrimTypeInfo().GetAppliedAPISchemas() + list(
        physics.GetMetadata("apiSchemas").GetAddedOrExplicitItems()
    )
    wanted = {
        "enableEnhancedDeterminism": True,
        "enableGPUDynamics": False,
        "broadphaseType": "MBP",
        "solverType": "TGS",
        "timeStepsPerSecond": 480,
    }
    assert {name: physics.GetAttribute(f"physxScene:{name}").Get() for name in wanted} == wanted
    for path in ("/World/objects/block", "/World/robot/left_finger"):
        prim = stage.GetPrimAtPath(path)
        assert "PhysxContactReportAPI" in prim.GetMetadata("apiSchemas").GetAddedOrExplicitItems()
        assert prim.GetAttribute("physxContactReport:threshold").Get() == 0.0
        assert prim.GetAttribute("physxRigidBody:sleepThreshold").Get() == 0.0, "a sleeping body reports nothing"
    assert stage.GetPrimAtPath("/World/robot").GetAttribute("physxArticulation:enabledSelfCollisions").Get() is False


def test_every_collider_has_a_friction_and_the_rougher_counts(stage):
    for prim in stage.Traverse():
        if prim.HasAPI(UsdPhysics.CollisionAPI):
            material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
            assert UsdPhysics.MaterialAPI(material.GetPrim()).GetDynamicFrictionAttr().Get() > 0
            assert material.GetPrim().GetAttribute("physxMaterial:frictionCombineMode").Get() == "max"
    pad = stage.GetPrimAtPath("/World/robot/left_finger/left_finger_pad")
    material, _ = UsdShade.MaterialBindingAPI(pad).ComputeBoundMaterial("physics")
    assert UsdPhysics.MaterialAPI(material.GetPrim()).GetDynamicFrictionAttr().Get() == pytest.approx(0.9)


def test_the_scenes_camera_looks_as_the_job_wants(scene, tmp_path):
    """As the twin's does: placed, turned and zoomed."""
    placement = scene.placement.model_copy(
        update={"view": View(position_m=(0.2, -1.1, 1.3), quat_wxyz=(0.5, 0.5, 0.5, 0.5), fovy_deg=41.0)}
    )
    authored = author_stage(scene.folder, placement, PANDA, tmp_path)
    twin = build_scene_model(scene.folder / "mjcf/scene.xml", placement, 30).model
    opened = Usd.Stage.Open(str(authored.path))
    camera = UsdGeom.Camera(opened.GetPrimAtPath(authored.cameras["scene"]))
    to_world = UsdGeom.XformCache().GetLocalToWorldTransform(camera.GetPrim())
    quat = to_world.ExtractRotationQuat()
    number = mujoco.mj_name2id(twin, mujoco.mjtObj.mjOBJ_CAMERA, "scene")
    assert [quat.GetReal(), *quat.GetImaginary()] == pytest.approx(list(twin.cam_quat[number]))
    assert list(to_world.ExtractTranslation()) == pytest.approx(list(twin.cam_pos[number]))
    half = authored.vertical_apertures_mm["scene"] / 2 / camera.GetFocalLengthAttr().Get()
    assert math.degrees(2 * math.atan(half)) == pytest.approx(twin.cam_fovy[number]) == pytest.approx(41.0)


def test_cameras_see_with_the_twins_field_of_view(authored, stage):
    """And the one on the hand hangs below the hand."""
    assert authored.cameras == {"scene": "/World/scene_camera", "robot/wrist": "/World/robot/hand/wrist"}
    for name, fovy in (("scene", 60.0), ("robot/wrist", 75.0)):
        focal = UsdGeom.Camera(stage.GetPrimAtPath(authored.cameras[name])).GetFocalLengthAttr().Get()
        assert math.degrees(2 * math.atan(authored.vertical_apertures_mm[name] / 2 / focal)) == pytest.approx(fovy, abs=1e-4)


def test_objects_are_found_with_their_poses(authored, scene):
    assert (authored.object_ids, authored.binding.objects) == (("block",), ("/World/objects/block",))
    assert authored.object_poses[0].position_m == pytest.approx(scene.block_pose.position_m)
    assert authored.object_poses[0].quat_wxyz == pytest.approx((1, 0, 0, 0))


def test_the_scenes_own_stage_stays_as_it_is(scene, tmp_path):
    before = (scene.folder / "usd/scene.usda").read_bytes()
    author_stage(scene.folder, scene.placement, PANDA, tmp_path)
    assert (scene.folder / "usd/scene.usda").read_bytes() == before
    assert b"physx" not in before


def test_the_hash_follows_content_and_not_place(authored, tmp_path):
    """A copied scene keeps it; a heavier block changes it."""
    copied = write_conformance_scene(tmp_path / "elsewhere", PANDA)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert author_stage(copied.folder, copied.placement, PANDA, tmp_path / "a").sha256 == authored.sha256
    path = copied.folder / "usd/scene.usda"
    text = path.read_text()
    assert f"physics:mass = {BLOCK_MASS_KG}" in text
    path.write_text(text.replace(f"physics:mass = {BLOCK_MASS_KG}", "physics:mass = 0.2"))
    assert author_stage(copied.folder, copied.placement, PANDA, tmp_path / "b").sha256 != authored.sha256


def test_a_scene_without_a_stage_is_refused(scene, tmp_path):
    with pytest.raises(StageMissing, match="assemble_scene"):
        author_stage(tmp_path, scene.placement, PANDA, tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda stage: stage.RemovePrim("/World/PhysicsScene"), "0 physics scenes"),
        (lambda stage: UsdPhysics.Scene.Define(stage, "/World/Second"), "2 physics scenes"),
        (lambda stage: stage.RemovePrim("/World/scene_camera"), "no camera"),
        (lambda stage: UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y), "up axis"),
        (lambda stage: UsdGeom.SetStageMetersPerUnit(stage, 0.01), "not a metre"),
    ],
)
def test_a_stage_that_would_be_simulated_otherwise_is_refused(tmp_path, change, told):
    broken = write_conformance_scene(tmp_path, PANDA)
    stage = Usd.Stage.Open(str(broken.folder / "usd/scene.usda"))
    change(stage)
    stage.GetRootLayer().Save()
    (tmp_path / "out").mkdir()
    with pytest.raises(StageNotUsable, match=told):
        author_stage(broken.folder, broken.placement, PANDA, tmp_path / "out")


def test_the_tool_is_where_the_mjcf_has_it():
    assert tools_in_hands(PANDA)[0] == pytest.approx([0, 0, 0.1034, 1, 0, 0, 0])


def test_usd_quaternions_are_real_first():
    """What the whole module relies on."""
    assert Gf.Quatd(0.5, 0.1, 0.2, 0.3).GetReal() == 0.5


def test_an_arm_of_cylinders_and_a_linkage_are_authored(tmp_path):
    """The UR10e's colliders are cylinders; its gripper's one motor becomes a drive a finger joint, also of those a linkage moves along."""
    robot = load_embodiment("ur10e_2f85")
    scene = write_conformance_scene(tmp_path, robot)
    (tmp_path / "out").mkdir()
    authored = author_stage(scene.folder, scene.placement, robot, tmp_path / "out")
    found = Usd.Stage.Open(str(authored.path))
    forearm = UsdGeom.Cylinder(found.GetPrimAtPath(link_path("forearm_link") + "/forearm_link_collision_1"))
    assert (forearm.GetRadiusAttr().Get(), forearm.GetHeightAttr().Get()) == pytest.approx((0.046, 0.52))
    assert authored.binding.links == (link_path("gripper_base"),)
    drives = drives_of(compile_robot(robot, scene.placement.base_pose)[0], robot)
    driver, follower = drives["left_driver_joint"], drives["left_follower_joint"]
    assert driver.stiffness == pytest.approx(0.5 * 100.0), "half of the motor's torque reaches each driver"
    assert driver.max_force == pytest.approx(0.5 * 7.5)
    assert follower.stiffness == driver.stiffness
