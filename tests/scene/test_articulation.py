"""Joints that an author states: refused where they cannot be, told where they are in the way, and live in both twins."""

import json

import mujoco
import numpy as np
import pytest
from pxr import Usd, UsdPhysics

from blueprint_pipeline.scene.articulation import joints_of, part_motion
from blueprint_pipeline.scene.assemble import TwinInvalid, UsdInvalid, load_assets, validate_stage, validate_twin, write_twin, write_usd
from blueprint_pipeline.scene.assets import estimate_scene, process_scene
from blueprint_pipeline.scene.checks import check_scene
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.scene.handles import find_handle
from blueprint_pipeline.scene.ingest import ingest
from blueprint_pipeline.scene.joint_test import check_joints
from blueprint_pipeline.scene.manifest import ArticulationJoint, load_manifest
from blueprint_pipeline.scene.physics import load_physics
from blueprint_pipeline.scene.settle import settled_qpos
from blueprint_pipeline.scene.source import read_source
from blueprint_pipeline.scene.source_folder import SourceFolder
from blueprint_pipeline.scene.surfaces import merge_positions
from tests.scene.cabinet_scene import (
    DOOR_TURN_RAD,
    DRAWER_TRAVEL_M,
    METAL,
    TABLE_M,
    box,
    cabinet,
    surface,
    write_articulated,
    write_object,
    write_scene,
)
from tests.scene.scene_files import SCENES, copy_scene, edit_json, make_context, read_json

CHEST = "objects/chest/articulation.json"


@pytest.fixture
def source(tmp_path):
    return write_scene(tmp_path / "source")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The scene with physics and meshes."""
    root = tmp_path_factory.mktemp("cabinet")
    source = write_scene(root / "source")
    context = make_context(root / "scene", "cabinet", root / "cache", source)
    ingest("cabinet", str(source), context)
    estimate_scene(context)
    process_scene(context)
    return context


@pytest.fixture(scope="module")
def twin(finished):
    return write_twin(load_assets(finished.scene), finished, duration_s=0.5)


@pytest.fixture(scope="module")
def stage(finished, twin):
    write_usd(twin.assets, finished)
    return Usd.Stage.Open(str(finished.output("usd/scene.usda")))


def edit_joint(source, index=0, **changes):
    stated = read_json(source / CHEST)
    stated["joints"][index] |= changes
    (source / CHEST).write_text(json.dumps(stated))


def blocking(source):
    return [finding for finding in check_scene(str(source)) if finding.blocking]


def remarks(source, code):
    return [finding for finding in check_scene(str(source)) if finding.code == code]


def test_a_sound_scene_has_nothing_to_tell(source):
    assert {finding.code for finding in check_scene(str(source))} == {"scene.file_absent"}


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"axis": [0, -2, 0]}, "joints[lower_drawer_slide].axis", "length 2"),
        ({"axis": [0, 0, 0]}, "joints[lower_drawer_slide].axis", "length 0"),
        ({"limits": [0, 0]}, "joints[lower_drawer_slide].limits", "low <= 0 < high"),
        ({"limits": [0.2, 0]}, "joints[lower_drawer_slide].limits", "low <= 0 < high"),
        ({"limits": [0.1, 0.2]}, "joints[lower_drawer_slide].limits", "at 0 it is closed"),
        ({"child_part": "lid"}, "joints.child_part", "'lid'"),
        ({"child_part": "body"}, "joints.child_part", "not the base"),
        ({"child_part": "upper_drawer"}, "joints.child_part", "2 joints"),
        ({"name": "upper_drawer_slide"}, "joints.name", "names that differ"),
        ({"name": "../slide"}, "joints.name", "a letter"),
    ],
)
def test_a_joint_that_cannot_be_is_refused(source, changes, field, expected):
    """Each with the file, the field, what was found and what is expected."""
    edit_joint(source, **changes)
    (finding,) = blocking(source)
    assert finding.code == "scene.field_invalid"
    assert CHEST in finding.message
    assert f"field {field} is" in finding.message
    assert expected in finding.message


def test_a_part_that_no_joint_moves_is_refused(source):
    stated = read_json(source / CHEST)
    edit_json(source / CHEST, joints=stated["joints"][:1])
    (finding,) = blocking(source)
    assert "none that moves part 'upper_drawer'" in finding.message


def test_an_unknown_base_is_refused(source):
    edit_json(source / CHEST, base_part="trunk")
    (finding,) = blocking(source)
    assert "base_part is 'trunk'" in finding.message


def test_a_part_without_mesh_is_refused(source):
    (source / "objects/chest/parts/lower_drawer.glb").unlink()
    (finding,) = blocking(source)
    assert (finding.code, "objects/chest/parts/lower_drawer.glb" in finding.message) == ("scene.file_missing", True)


def test_a_damaged_part_is_refused(source):
    (source / "objects/chest/parts/lower_drawer.glb").write_bytes(b"glTF")
    (finding,) = blocking(source)
    assert "objects/chest/parts/lower_drawer.glb" in finding.message


def test_a_part_that_goes_through_its_base_is_told_with_the_travel(source):
    """A drawer that slides sideways meets the side of the chest at once."""
    edit_joint(source, axis=[1, 0, 0])
    finding, *_ = remarks(source, "scene.part_collides")
    assert "chest/lower_drawer meets body at 0.0164 m of its range of 0 to 0.18 m" in finding.message
    assert not finding.blocking


def test_a_part_that_meets_another_object_is_told_with_the_angle(source):
    """A post before the cabinet, in the way of its door."""
    post = surface(METAL, box((-0.02, -0.02, 0), (0.02, 0.02, 0.3)))
    write_object(source, "post", [post], (0.12, 0.0, TABLE_M), category="unknown", description="post", material_type="metal")
    (finding,) = remarks(source, "scene.part_collides")
    assert "cabinet/door meets post at 1." in finding.message
    assert "rad of its range" in finding.message


def test_a_part_without_handle_is_told(source):
    parts, joints = cabinet()
    parts["door"] = parts["door"][:1]
    words = {"category": "cabinet", "description": "cabinet", "material_type": "wood"}
    write_articulated(source, "cabinet", parts, joints, (0.24, 0.38, TABLE_M), **words)
    (finding,) = remarks(source, "scene.no_handle")
    assert "cabinet/door has no handle" in finding.message


def test_handles_of_a_real_scene_are_found():
    """Drawers and doors of a kitchen that others made, y up and in centimetres; the microwave's door is thick, its handle vertical."""
    _, scene = read_source(SourceFolder(str(SCENES / "kitchen_counter_yup")))
    found = {}
    for item in (scene.objects["counter"], scene.objects["microwave"]):
        for joint in joints_of(item.articulation, np.asarray(item.object_from_mesh)):
            mesh = merge_positions(item.parts[joint.child_part])
            found[joint.name] = find_handle(np.asarray(mesh.vertices), np.asarray(mesh.faces), joint)
    assert {name: round(float(handle.size_m[0]), 3) for name, handle in found.items()} == {
        "drawer_left_slide": 0.16,
        "drawer_right_slide": 0.16,
        "door_left_hinge": 0.14,
        "door_right_hinge": 0.14,
        "microwave_door_hinge": 0.216,
    }
    assert all(handle.outward @ (0, -1, 0) > 0.99 for handle in found.values())
    assert abs(found["drawer_left_slide"].axes[0, 0]) > 0.99
    assert abs(found["microwave_door_hinge"].axes[2, 0]) > 0.99


def test_a_hinge_turns_about_its_line():
    """Points of the axis stay; the far edge of a door goes a quarter round."""
    joint = ArticulationJoint(name="hinge", type="revolute", axis=(0, 0, -1), origin=(-0.1, 0.2, 0), limits=(0, 2), child_part="door")
    motion = part_motion(joint, np.pi / 2)
    np.testing.assert_allclose(motion[:3, :3] @ (-0.1, 0.2, 5.0) + motion[:3, 3], (-0.1, 0.2, 5.0), atol=1e-12)
    np.testing.assert_allclose(motion[:3, :3] @ (0.2, 0.2, 0.0) + motion[:3, 3], (-0.1, -0.1, 0.0), atol=1e-12)


def test_joints_are_in_metres_whatever_the_unit(tmp_path):
    """Limits of a sliding joint scale with the mesh, angles do not."""
    source = copy_scene("kitchen_counter_yup", tmp_path / "source")
    context = make_context(tmp_path / "scene", "kitchen", tmp_path / "cache", source)
    manifest = ingest("kitchen", str(source), context)
    joints = {joint.name: joint for joint in manifest.object("counter").joints}
    assert joints["drawer_left_slide"].limits == (0.0, 0.36)
    np.testing.assert_allclose(joints["drawer_left_slide"].axis, (0, -1, 0), atol=1e-9)
    assert joints["door_left_hinge"].limits == (0, 1.745)


def test_the_twin_has_a_joint_for_every_part(finished, twin):
    """One body a part on its base, with range, mass and friction; the base does not move."""
    model = twin.model
    drawer, door = model.joint("chest/upper_drawer_slide"), model.joint("cabinet/door_hinge")
    assert (int(drawer.type[0]), drawer.range.tolist()) == (mujoco.mjtJoint.mjJNT_SLIDE, [0.0, DRAWER_TRAVEL_M])
    assert (int(door.type[0]), door.range.tolist()) == (mujoco.mjtJoint.mjJNT_HINGE, [0.0, DOOR_TURN_RAD])
    assert model.body(int(model.body_parentid[model.body("chest/upper_drawer").id])).name == "chest"
    assert model.body_dofnum[model.body("chest").id] == 0
    physics = load_physics(finished.scene, "chest/upper_drawer")
    assert model.body_mass[model.body("chest/upper_drawer").id] == pytest.approx(physics.mass.mass_kg)
    assert model.dof_frictionloss[int(drawer.dofadr[0])] == physics.joint.friction
    assert physics.joint.friction_origin == "heuristic"


def test_a_stated_friction_is_authored(tmp_path):
    source = write_scene(tmp_path / "source")
    edit_joint(source, friction=7.5)
    context = make_context(tmp_path / "scene", "cabinet", tmp_path / "cache", source)
    ingest("cabinet", str(source), context)
    found = estimate_scene(context)["chest/lower_drawer"].joint
    assert (found.friction, found.friction_origin, found.damping_origin) == (7.5, "authored", "heuristic")


def test_a_flap_is_held_by_its_friction(tmp_path):
    """A door whose hinge lies is pulled by its weight: friction is what holds it."""
    source = write_scene(tmp_path / "source")
    parts, (hinge,) = cabinet()
    hinge |= {"axis": [1, 0, 0], "origin": [0, -0.25, 0.0], "limits": [0, 1.4]}
    words = {"category": "cabinet", "description": "cabinet", "material_type": "wood"}
    write_articulated(source, "cabinet", parts, [hinge], (0.24, 0.38, TABLE_M), **words)
    context = make_context(tmp_path / "scene", "cabinet", tmp_path / "cache", source)
    ingest("cabinet", str(source), context)
    found = estimate_scene(context)["cabinet/door"]
    lever = np.hypot(*(np.asarray(found.mass.com_m) - hinge["origin"])[1:])
    assert found.joint.friction >= found.mass.mass_kg * 9.81 * lever * np.sin(1.4)


def test_every_joint_moves_over_its_range_and_stays_where_it_is_left(twin):
    tests = check_joints(twin.model, twin.model.qpos0, "cabinet")
    assert len(tests.joints) == 3
    assert tests.problems() == {}
    for item in tests.joints:
        assert item.opened_to == pytest.approx(item.limits[1], rel=0.01)
        assert item.drift < 0.001
        assert item.touched == ()


def test_what_stands_in_the_way_of_a_door_stops_it_in_the_motion_test(finished, twin):
    """The box, put before the drawer."""
    poses = {item.id: item.pose for item in load_manifest(finished.scene).objects if item.is_movable}
    qpos = settled_qpos(twin.model, poses)
    address = int(twin.model.jnt_qposadr[twin.model.body("green_box").jntadr[0]])
    heavy = twin.model.body("green_box").id
    twin.model.body_mass[heavy] *= 100
    qpos[address : address + 2] = (-0.22, -0.02)
    problems = check_joints(twin.model, qpos, "cabinet").problems()
    twin.model.body_mass[heavy] /= 100
    assert list(problems) == ["chest/lower_drawer"]
    assert "green_box" in problems["chest/lower_drawer"]


def test_a_joint_that_friction_does_not_hold_does_not_pass(twin):
    dof = int(twin.model.joint("chest/upper_drawer_slide").dofadr[0])
    gravity, friction = twin.model.opt.gravity.copy(), float(twin.model.dof_frictionloss[dof])
    twin.model.opt.gravity[:] = (0, -3.0, -9.81)
    twin.model.dof_frictionloss[dof] = 0.1
    problems = check_joints(twin.model, twin.model.qpos0, "cabinet").problems()
    twin.model.opt.gravity[:], twin.model.dof_frictionloss[dof] = gravity, friction
    assert "upper_drawer" in " ".join(problems)


def test_the_stage_has_the_same_joints(twin, stage):
    """As a physics engine parses it: an articulation an object, limits in metres and degrees."""
    parsed = UsdPhysics.UsdPhysicsLoadStageFromPrimRange(stage, ["/"])
    roots = [str(path) for path in parsed[UsdPhysics.ObjectType.Articulation][0]]
    assert sorted(roots) == ["/World/objects/cabinet", "/World/objects/chest"]
    (hinge,) = parsed[UsdPhysics.ObjectType.RevoluteJoint][1]
    assert (hinge.limit.lower, hinge.limit.upper) == (0, pytest.approx(np.degrees(DOOR_TURN_RAD)))
    assert len(parsed[UsdPhysics.ObjectType.PrismaticJoint][1]) == 2
    validate_stage(stage, twin.assets)


@pytest.mark.parametrize(
    ("attribute", "value", "problem"),
    [
        ("physics:upperLimit", 90.0, "has the limits"),
        ("physics:localPos0", (0, 0, 0), "has the origin"),
        ("physics:axis", "Y", "has the axis"),
    ],
)
def test_a_stage_whose_joint_differs_is_refused(twin, stage, attribute, value, problem):
    """Read back, not trusted."""
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        stage.GetPrimAtPath("/World/objects/cabinet/joints/door_hinge").GetAttribute(attribute).Set(value)
    try:
        with pytest.raises(UsdInvalid, match=problem):
            validate_stage(stage, twin.assets)
    finally:
        stage.GetSessionLayer().Clear()


def test_a_twin_whose_joint_differs_is_refused(twin):
    joint = twin.model.joint("chest/upper_drawer_slide").id
    twin.model.jnt_range[joint, 1] *= 2
    try:
        with pytest.raises(TwinInvalid, match="upper_drawer"):
            validate_twin(twin.model, twin.assets)
    finally:
        twin.model.jnt_range[joint, 1] /= 2


def test_a_scene_with_a_bad_joint_is_not_ingested(tmp_path):
    source = write_scene(tmp_path / "source")
    edit_joint(source, limits=[1, 0])
    with pytest.raises(SceneError, match="limits"):
        ingest("cabinet", str(source), make_context(tmp_path / "scene", "cabinet", tmp_path / "cache", source))
