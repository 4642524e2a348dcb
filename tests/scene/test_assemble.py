"""USD stage and MJCF twin say what the manifest says, draw what was reconstructed, and differ from nothing when made again."""

import mujoco
import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

from blueprint_pipeline.scene.assemble import TwinInvalid, UsdInvalid, load_assets, validate_stage, validate_twin
from blueprint_pipeline.scene.mjcf import build_twin, has_floor
from blueprint_pipeline.scene.prim_paths import OBJECTS_PATH, PHYSICS_SCENE_PATH, SCENE_CAMERA_PATH
from blueprint_pipeline.scene.surfaces import Look, Surface
from blueprint_pipeline.scene.usd import build_usd
from tests.scene.finished_scene import run_all


@pytest.fixture(scope="module")
def assets(finished):
    return load_assets(finished[0].scene)


@pytest.fixture
def model(finished):
    return mujoco.MjModel.from_xml_path(str(finished[0].input("mjcf/scene.xml")))


@pytest.fixture
def stage(finished):
    """An opened stage; edits stay in its session layer."""
    opened = Usd.Stage.Open(str(finished[0].input("usd/scene.usda")))
    opened.SetEditTarget(opened.GetSessionLayer())
    return opened


def test_twin_is_named_and_set_as_agreed(model):
    """What other parts rely on."""
    assert model.opt.timestep == 1 / 480
    assert model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    assert model.opt.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    assert (model.opt.impratio, model.opt.gravity[2]) == (10, -9.81)
    assert model.joint("can").type == mujoco.mjtJoint.mjJNT_FREE
    piece, look = model.geom("can_collision_0"), model.geom("can_visual")
    assert (piece.group, piece.condim, piece.contype) == (3, 4, 1)
    assert (look.group, look.contype, look.conaffinity) == (2, 0, 0)
    assert model.mat_texid[look.matid[0]].max() >= 0, "the can has its texture"
    assert model.geom("floor").type == mujoco.mjtGeom.mjGEOM_PLANE
    assert model.cam_fovy[model.camera("scene").id] == pytest.approx(2 * np.degrees(np.arctan(90 / 247.272967751)))


def test_twin_agrees_with_the_manifest(model, assets):
    """And the check would tell if it did not."""
    validate_twin(model, assets)
    body = model.body("can").id
    for field, change in (("body_pos", 0.01), ("body_mass", 0.5)):
        values = getattr(model, field)
        before = values[body].copy()
        values[body] += change
        with pytest.raises(TwinInvalid, match="can"):
            validate_twin(model, assets)
        values[body] = before
    model.body_quat[body] = [0, 1, 0, 0]
    with pytest.raises(TwinInvalid, match="turned"):
        validate_twin(model, assets)


def test_twin_without_a_body_is_refused(assets):
    """A body that is missing is named."""
    with pytest.raises(TwinInvalid, match="no body can"):
        validate_twin(mujoco.MjModel.from_xml_string("<mujoco><worldbody/></mujoco>"), assets)


def test_stage_agrees_with_the_manifest(stage, assets):
    """As a physics engine parses it; looks are bound, textures are found."""
    validate_stage(stage, assets)
    can = stage.GetPrimAtPath("/World/objects/can")
    assert can.HasAPI(UsdPhysics.RigidBodyAPI)
    assert UsdPhysics.MassAPI(can).GetCenterOfMassAttr().Get()[2] == pytest.approx(0.04, abs=0.002)
    look, _ = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/objects/can/visual_0")).ComputeBoundMaterial()
    image = UsdShade.Shader(stage.GetPrimAtPath(look.GetPath().AppendChild("texture")))
    assert image.GetInput("file").Get().resolvedPath.endswith("can_0.png")
    piece = stage.GetPrimAtPath("/World/objects/can/collision/hull_000")
    assert UsdPhysics.MeshCollisionAPI(piece).GetApproximationAttr().Get() == "convexHull"
    friction, _ = UsdShade.MaterialBindingAPI(piece).ComputeBoundMaterial("physics")
    assert UsdPhysics.MaterialAPI(friction.GetPrim()).GetDynamicFrictionAttr().Get() == pytest.approx(0.4)


@pytest.mark.parametrize("defect", ["mass", "pose", "body", "shape", "unit"])
def test_wrong_stage_is_refused(stage, assets, defect):
    """Each comparison can fail."""
    can = stage.GetPrimAtPath("/World/objects/can")
    if defect == "mass":
        UsdPhysics.MassAPI(can).GetMassAttr().Set(5.0)
    elif defect == "pose":
        can.GetAttribute("xformOp:translate").Set((0, 0, 5))
    elif defect == "body":
        can.SetActive(False)
    elif defect == "shape":
        stage.GetPrimAtPath("/World/objects/can/collision/hull_000").SetActive(False)
    else:
        UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    with pytest.raises(UsdInvalid):
        validate_stage(stage, assets)


def test_files_are_the_same_each_time(assets):
    """Twin and stage, byte by byte; and the stage names no folder of this machine."""
    assert build_twin(assets) == build_twin(assets)
    first = build_usd(assets)
    assert first == build_usd(assets)
    assert b"/tmp" not in b"".join(first[name] for name in first if name.endswith(".usda"))


def test_floor_is_drawn_where_the_background_has_none(model, assets):
    """The small scene's background is a table only."""
    assert model.geom("floor").group == 2
    grey = Look((0.5, 0.5, 0.5, 1.0), 0.0, 0.5)
    level = Surface(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]]), None, grey)
    assert has_floor([level])
    assert not has_floor([level.moved(np.eye(3), np.array([0, 0, 1.0]))])
    assert not has_floor(assets.surfaces("background"))


@pytest.mark.parametrize(("can", "ramekin"), [("PhysicsScene", "scene_camera"), ("sun", "objects"), ("sky", "robot_pedestal")])
def test_object_may_have_the_name_of_a_prim_of_ours(small, tmp_path, mesh_cache, can, ramekin):
    """Ids are chosen by others: objects lie in a folder of their own, and stage and twin are whole."""
    (small / "objects/can").rename(small / "objects" / can)
    (small / "objects/ramekin").rename(small / "objects" / ramekin)
    context, _ = run_all(tmp_path / "scene", small, mesh_cache)
    opened = Usd.Stage.Open(str(context.input("usd/scene.usda")))
    assert {prim.GetName() for prim in opened.GetPrimAtPath(OBJECTS_PATH).GetChildren()} == {can, ramekin}
    assert UsdPhysics.Scene(opened.GetPrimAtPath(PHYSICS_SCENE_PATH))
    assert UsdGeom.Camera(opened.GetPrimAtPath(SCENE_CAMERA_PATH))
