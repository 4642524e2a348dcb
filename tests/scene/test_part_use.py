"""Buttons and knobs: told from drawers and doors by rule, refused where they are authored wrongly, live in both twins, tested in motion."""

import json

import mujoco
import numpy as np
import pytest
from pxr import Usd, UsdPhysics

from blueprint_pipeline.scene.assemble import UsdInvalid, load_assets, validate_stage, write_twin, write_usd
from blueprint_pipeline.scene.assets import estimate_scene, process_scene
from blueprint_pipeline.scene.checks import check_scene
from blueprint_pipeline.scene.handles import find_handle
from blueprint_pipeline.scene.ingest import ingest
from blueprint_pipeline.scene.joint_physics import HOLDS, SPRING_FRICTION_N
from blueprint_pipeline.scene.joint_test import check_joints
from blueprint_pipeline.scene.manifest import ArticulationJoint
from blueprint_pipeline.scene.part_use import PUSH_N, use_of
from blueprint_pipeline.scene.physics import load_physics
from tests.scene.cabinet_scene import cabinet, chest
from tests.scene.panel_scene import KNOB_TURN_RAD, STIFFNESS_N_M, TILT_RAD, TRAVEL_M, mixer, panel, write_scene
from tests.scene.scene_files import make_context, read_json

BUTTON, KNOB = "panel/red_button", "panel/knob"


@pytest.fixture
def source(tmp_path):
    return write_scene(tmp_path / "source")


@pytest.fixture(scope="module")
def assembled(tmp_path_factory):
    """The scene with physics, meshes, and its MJCF twin: the context and the twin."""
    root = tmp_path_factory.mktemp("panel")
    source = write_scene(root / "source")
    context = make_context(root / "scene", "panel", root / "cache", source)
    ingest("panel", str(source), context)
    estimate_scene(context)
    process_scene(context)
    return context, write_twin(load_assets(context.scene), context, duration_s=0.5)


@pytest.fixture
def model(assembled):
    """The compiled twin of this test alone."""
    return mujoco.MjModel.from_xml_path(str(assembled[0].output("mjcf/scene.xml")))


def edit_joint(source, part, **changes):
    """Change what the file of a part's object says of its joint."""
    file = source / file_of(part)
    stated = read_json(file)
    (joint,) = (item for item in stated["joints"] if item["child_part"] == part.partition("/")[2])
    joint |= changes
    file.write_text(json.dumps(stated))


def file_of(part):
    return f"objects/{part.partition('/')[0]}/articulation.json"


def parts_of(made):
    """Joint and vertices of each part that moves."""
    parts, joints = made()
    for stated in joints:
        yield ArticulationJoint(**stated), np.concatenate([item.vertices for item in parts[stated["child_part"]]])


def test_what_a_hand_does_follows_from_joint_and_shape():
    found = {joint.child_part: use_of(joint, points) for made in (panel, mixer, cabinet, chest) for joint, points in parts_of(made)}
    assert found == {
        "red_button": "button",
        "green_button": "button",
        "knob": "knob",
        "blue_switch": "button",
        "dial": "knob",
        "door": "handle",
        "lower_drawer": "handle",
        "upper_drawer": "handle",
    }


@pytest.mark.parametrize("scale", [0.2, 1.0, 8.0])
def test_a_knob_is_one_at_any_size_and_a_door_never(scale):
    """A valve's wheel of half a metre is turned about its middle, the door of a doll's house is not."""
    for made, use in ((panel, "knob"), (cabinet, "handle")):
        for joint, points in parts_of(made):
            if joint.type == "revolute":
                origin = tuple(scale * np.asarray(joint.origin))
                assert use_of(joint.model_copy(update={"origin": origin}), scale * points) == use


def test_a_sound_scene_has_nothing_to_tell(source):
    assert {finding.code for finding in check_scene(str(source))} == {"scene.file_absent"}


@pytest.mark.parametrize(
    ("part", "changes", "field", "told"),
    [
        ("panel/red_button", {"axis": [0, -0.6, 0.8]}, "joints[red_button_push].axis", "out of the object"),
        ("panel/red_button", {"limits": [-0.002, 0.008]}, "joints[red_button_push].limits", "stands out"),
        ("panel/red_button", {"limits": [0, 0.001]}, "joints[red_button_push].limits", "2 mm or more"),
        ("panel/red_button", {"stiffness": 4000}, "joints[red_button_push].stiffness", "32 N where the button is all the way in"),
        ("panel/red_button", {"stiffness": -1}, "stiffness", "greater than 0"),
        ("panel/knob", {"axis": [0, 0.6, -0.8]}, "joints[knob_turn].axis", "counter-clockwise"),
        ("panel/knob", {"limits": [-3.1, 3.1]}, "joints[knob_turn].limits", "less than a whole turn"),
        ("panel/knob", {"stiffness": 2}, "joints[knob_turn].stiffness", "a button, springs back"),
        ("mixer/dial", {"axis": [0, 0, -1]}, "joints[dial_turn].axis", "out of the knob's face"),
        ("mixer/blue_switch", {"axis": [0, 0, 1]}, "joints[blue_switch_push].axis", "pushed, into its object"),
    ],
)
def test_a_button_or_knob_that_cannot_be_is_refused(source, part, changes, field, told):
    """Each with the file, the field, what was found and what is expected."""
    edit_joint(source, part, **changes)
    (finding,) = (item for item in check_scene(str(source)) if item.blocking)
    assert finding.code == "scene.field_invalid"
    assert (file_of(part) in finding.message, field in finding.message, told in finding.message) == (True, True, True), finding.message


def test_a_drawer_that_springs_back_is_refused(tmp_path):
    from tests.scene.cabinet_scene import write_scene as write_cabinet

    source = write_cabinet(tmp_path / "source")
    edit_joint(source, "chest/upper_drawer", stiffness=50)
    (finding,) = (item for item in check_scene(str(source)) if item.blocking)
    assert "field joints[upper_drawer_slide].stiffness is 50 of a part with a range of 180 mm" in finding.message


@pytest.mark.parametrize(("part", "scale", "told"), [("red_button", 0.1, "narrower than 8 mm"), ("knob", 0.3, "lower than 15 mm")])
def test_what_a_hand_would_miss_is_told(source, part, scale, told):
    """A pin instead of a cap, and a flat knob; about the middle of each."""
    from blueprint_pipeline.scene.mesh_files import build_glb
    from blueprint_pipeline.scene.surfaces import Surface

    surfaces = panel()[0][part]
    middle = np.concatenate([item.vertices for item in surfaces]).mean(axis=0)
    shrunk = [Surface(middle + scale * (item.vertices - middle), item.faces, item.uv, item.look) for item in surfaces]
    (source / f"objects/panel/parts/{part}.glb").write_bytes(build_glb(part, shrunk))
    (finding,) = (item for item in check_scene(str(source)) if item.code == "scene.no_handle")
    assert f"panel/{part}" in finding.message
    assert told in finding.message
    assert not finding.blocking


def test_faces_look_out_of_their_object():
    found = {joint.child_part: (joint, points) for made in (panel, mixer) for joint, points in parts_of(made)}
    parts = {**panel()[0], **mixer()[0]}
    leans = (0, -np.sin(TILT_RAD), np.cos(TILT_RAD))
    for name, outward in (("red_button", leans), ("knob", leans), ("blue_switch", (0, 0, 1)), ("dial", (0, 0, 1))):
        joint, points = found[name]
        offsets = np.cumsum([0, *(len(item.vertices) for item in parts[name][:-1])])
        faces = np.concatenate([item.faces + offset for item, offset in zip(parts[name], offsets, strict=True)])
        handle = find_handle(points, faces, joint)
        np.testing.assert_allclose(handle.outward, outward, atol=1e-9)
        assert handle.face_m @ np.array(outward) == pytest.approx((points @ np.array(outward)).max())


def test_the_twin_has_springs_only_where_they_are_stated(assembled, model):
    """The spring holds a button out by more than its friction and weight; a switch that stays has none."""
    joint = model.joint("panel/red_button_push")
    physics = load_physics(assembled[0].scene, BUTTON).joint
    assert (float(joint.stiffness[0]), physics.friction) == (STIFFNESS_N_M, SPRING_FRICTION_N)
    assert float(joint.qpos_spring[0]) == physics.relaxed_at
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    pull_n = float(model.body_mass[joint.bodyid[0]] * 9.81 * abs(data.xaxis[joint.id][2]))
    assert pull_n > 0.01
    assert STIFFNESS_N_M * -physics.relaxed_at == pytest.approx(HOLDS * (physics.friction + pull_n), rel=1e-3)
    assert float(model.joint("mixer/blue_switch_push").stiffness[0]) == 0.0
    assert load_physics(assembled[0].scene, "mixer/blue_switch").joint.relaxed_at == 0.0


def test_the_stage_has_the_same_springs(assembled):
    context, twin = assembled
    write_usd(twin.assets, context)
    stage = Usd.Stage.Open(str(context.output("usd/scene.usda")))
    validate_stage(stage, twin.assets)
    prim = stage.GetPrimAtPath("/World/objects/panel/joints/red_button_push")
    drive = UsdPhysics.DriveAPI(prim, "linear")
    assert drive.GetStiffnessAttr().Get() == STIFFNESS_N_M
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        drive.GetStiffnessAttr().Set(1.0)
    with pytest.raises(UsdInvalid, match="red_button_push of panel has a spring"):
        validate_stage(stage, twin.assets)


def test_buttons_come_back_and_knobs_stay(model):
    tests = {item.part: item for item in check_joints(model, model.qpos0, "panel").joints}
    assert {part: item.problem for part, item in tests.items() if item.problem} == {}
    assert tests[BUTTON].opened_to == pytest.approx(TRAVEL_M, rel=0.01)
    assert STIFFNESS_N_M * TRAVEL_M < tests[BUTTON].force < PUSH_N
    assert abs(tests[BUTTON].closed_to) < 0.01 * TRAVEL_M
    assert tests[KNOB].opened_to == pytest.approx(KNOB_TURN_RAD, rel=0.01)
    assert tests["mixer/blue_switch"].drift < 0.01 * TRAVEL_M


@pytest.mark.parametrize(
    ("change", "part", "told"),
    [
        (lambda model: model.dof_frictionloss.__setitem__(model.joint("panel/red_button_push").dofadr[0], 5.0), BUTTON, "springs back to"),
        (lambda model: model.jnt_stiffness.__setitem__(model.joint("panel/red_button_push").id, 2500.0), BUTTON, "N to push it in"),
        (lambda model: model.dof_frictionloss.__setitem__(model.joint("mixer/blue_switch_push").dofadr[0], 20.0), "mixer/blue_switch",
         "N to push it in"),
        (lambda model: model.dof_frictionloss.__setitem__(model.joint("mixer/blue_switch_push").dofadr[0], 0.0), "mixer/blue_switch",
         "does not close"),
    ],
)  # fmt: skip
def test_a_button_that_sticks_is_too_strong_or_falls_in_does_not_pass(model, change, part, told):
    change(model)
    problems = check_joints(model, model.qpos0, "panel").problems()
    assert list(problems) == [part]
    assert told in problems[part]
