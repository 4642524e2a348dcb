"""Checks fire on what is wrong, tell it in the words that people need, and leave sound scenes alone."""

import json

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from blueprint_pipeline.scene.checks import check_files, check_scene
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.scene.findings import validate_findings
from blueprint_pipeline.scene.gltf import parse_glb
from blueprint_pipeline.scene.ingest import ingest
from blueprint_pipeline.scene.mesh_files import build_glb
from blueprint_pipeline.scene.physical_checks import find_supports
from blueprint_pipeline.scene.source_folder import SourceFolder
from blueprint_pipeline.scene.surfaces import Look, Surface
from tests.scene.scene_files import (
    SAMPLES,
    SCENES,
    Z_TO_Y_UP,
    clone_object,
    copy_scene,
    edit_json,
    get_pose,
    make_context,
    move,
    seen_from,
    set_pose,
    write_mesh,
)

BROKEN = sorted(path.name for path in (SCENES / "broken").iterdir())
GREY = Look((0.5, 0.5, 0.5, 1.0), 0.0, 0.5)


def blocking(scene):
    return [finding for finding in check_scene(str(scene)) if finding.blocking]


def broken_scene(name, tmp_path):
    """A broken scene; the one whose ids differ only in case is made here, since not every file system can hold it."""
    if name != "duplicate_object_id_case":
        return SCENES / "broken" / name
    scene = copy_scene("minimal_ok", tmp_path / "scene")
    clone_object(scene, "can", "Can", (0.0, 0.1, 0.0))
    return scene


@pytest.mark.parametrize("name", BROKEN)
def test_broken_scene_gets_its_own_error(name, tmp_path):
    """Code and words are those that were asked for, and nothing half-written is left."""
    source = broken_scene(name, tmp_path)
    expected = json.loads((SCENES / "broken" / name / "expected.json").read_text())
    context = make_context(tmp_path / "workspace", "broken", tmp_path / "cache", source)
    with pytest.raises(SceneError) as caught:
        ingest("broken", str(source), context)
    assert caught.value.code == expected["error_code_hint"]
    for wanted in expected["message_must_mention"]:
        words = wanted if isinstance(wanted, list) else [wanted]
        assert any(word.lower() in caught.value.message.lower() for word in words), wanted
    assert [path for path in (tmp_path / "workspace").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "scene", [SCENES / "minimal_ok", SCENES / "kitchen_counter_yup", SAMPLES / "tabletop_scanned"], ids=lambda path: path.name
)
def test_sound_scene_has_no_finding(scene):
    """Real scenes, z up in metres and y up in centimetres; told is that a bottle is open."""
    found = [(finding.code, finding.where) for finding in check_scene(str(scene))]
    remarks = [("scene.mass_of_hull", "glass_bottle")]
    assert found == (remarks if scene.name == "kitchen_counter_yup" else [])


def turned(degrees):
    return Rotation.from_euler("z", degrees, degrees=True).as_matrix()


@pytest.mark.parametrize(
    ("turn", "units", "frame"),
    [
        (turned(37), 1.0, "z_up"),
        (turned(180), 100.0, "z_up"),
        (turned(-120), 1 / 0.0254, "z_up"),
        (Z_TO_Y_UP, 1.0, "y_up"),
        (Z_TO_Y_UP @ turned(75), 1000.0, "y_up"),
    ],
)
def test_the_same_scene_seen_from_elsewhere_is_sound(small, turn, units, frame):
    """Axes, units and heading change nothing; the supports are found in all of them."""
    seen_from(small, turn, units, frame)
    findings, scene = check_files(SourceFolder(str(small)))
    assert findings == []
    assert find_supports(scene).unsupported == {}


def test_wrong_frame_is_not_taken_for_sound(small):
    """A y-up scene that says z up has its things in the air or in each other."""
    seen_from(small, Z_TO_Y_UP, 1.0, "z_up")
    assert blocking(small)


@pytest.mark.parametrize("units", [100.0, 1000.0, 0.01, 1 / 0.0254])
def test_wrong_unit_is_refused_with_a_hint(small, units):
    """Coordinates in another unit than the file says: the message names a unit that would fit."""
    seen_from(small, np.eye(3), units, "z_up")
    edit_json(small / "scene_info.json", meters_per_unit=1.0)
    found = blocking(small)
    assert [finding.code for finding in found] == ["scene.implausible_scale"]
    if units in {100.0, 1000.0}:
        assert f"{1 / units:g}" in found[0].message


def test_one_object_of_the_wrong_scale_is_named(small):
    """A can of 80 cm among sound things."""
    matrix, _ = get_pose(small, "can")
    set_pose(small, "can", matrix, np.full(3, 10.0))
    found = blocking(small)
    assert found[0].code == "scene.implausible_scale"
    assert "can" in found[0].message
    assert "ramekin" not in found[0].message


@pytest.mark.parametrize(("gap", "fires"), [(0.001, False), (0.003, False), (0.01, True), (0.05, True), (1.0, True)])
def test_floating_object(small, gap, fires):
    """A few millimetres close when the scene settles; more is a defect."""
    move(small, "can", (0, 0, gap))
    assert [finding.code for finding in blocking(small)] == (["scene.object_unsupported"] if fires else [])


def test_beside_the_table_is_not_on_it(small):
    """Above nothing but the floor."""
    move(small, "can", (0.5, 0, 0))
    found = blocking(small)
    assert [finding.code for finding in found] == ["scene.object_unsupported"]
    assert "the floor" in found[0].message


def test_stack_is_supported_and_a_floating_stack_is_not(small):
    """What stands on something that floats, floats."""
    clone_object(small, "can", "can_2", (0, 0, 0.0805))
    assert blocking(small) == []
    move(small, "can", (0, 0, 0.1))
    move(small, "can_2", (0, 0, 0.1))
    assert [finding.where for finding in blocking(small)] == ["can", "can_2"]


@pytest.mark.parametrize(("depth", "fires"), [(0.001, False), (0.0015, False), (0.004, True), (0.03, True)])
def test_object_sunk_into_the_table(small, depth, fires):
    """Up to 2 mm is what touching reconstructions overlap."""
    move(small, "can", (0, 0, -depth))
    assert ("scene.objects_interpenetrate" in [finding.code for finding in blocking(small)]) == fires


def test_object_below_the_floor_is_refused(small):
    """The floor is at z = 0, whatever the background draws."""
    move(small, "can", (0.5, 0, -0.41))
    assert "the floor" in "".join(finding.message for finding in blocking(small) if finding.code == "scene.objects_interpenetrate")


@pytest.mark.parametrize("offset", [(0.02, 0, 0), (0, 0, 0.03), (0.01, 0.01, 0.01), (0, 0, 0)])
def test_two_of_a_kind_in_one_place_are_refused(small, offset):
    """Also where one is exactly in the other's place."""
    clone_object(small, "can", "can_2", offset)
    assert any(finding.code == "scene.objects_interpenetrate" for finding in blocking(small))


def test_thin_walls_that_cross_are_refused(small):
    """Two ramekins one half in the other: no vertex lies deep within a wall, and still they cannot be there."""
    clone_object(small, "ramekin", "ramekin_2", (0.03, 0, 0))
    assert any(finding.code == "scene.objects_interpenetrate" for finding in blocking(small))


def ball(radius):
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    return [Surface(np.asarray(mesh.vertices), np.asarray(mesh.faces), None, GREY)]


def test_thing_in_a_vessel_is_sound(small):
    """A ball on the inner bottom of the ramekin lies within its hull, and does not touch its walls."""
    matrix, _ = get_pose(small, "ramekin")
    write_mesh(small, "can", ball(0.015))
    (small / "objects/can/label.json").write_text('{"category": "fruit"}')
    lowered = np.eye(4)
    lowered[:3, 3] = matrix[:3, 3]
    for height in np.arange(0.0, 0.03, 0.0005):
        lowered[2, 3] = matrix[2, 3] + 0.015 + height
        set_pose(small, "can", lowered, np.ones(3))
        if not blocking(small):
            break
    assert 0.001 < height < 0.012, "it rests on the inner bottom, some millimetres above the table"
    assert blocking(small) == []


def test_thing_wholly_inside_another_is_refused(small):
    """No surfaces cross; it is inside all the same."""
    matrix, _ = get_pose(small, "can")
    write_mesh(small, "ramekin", ball(0.01))
    (small / "objects/ramekin/label.json").write_text('{"category": "fruit"}')
    inside = np.eye(4)
    inside[:3, 3] = matrix[:3, 3] + [0, 0, 0.04]
    set_pose(small, "ramekin", inside, np.ones(3))
    assert any(finding.code == "scene.objects_interpenetrate" for finding in blocking(small))


@pytest.mark.parametrize("inverted", [False, True])
def test_a_room_that_is_closed_around_all_is_no_body(small, inverted):
    """Floor, walls and ceiling without thickness, however wound: what stands in the room is not inside a thing."""
    file = small / "background/mesh.glb"
    shell = trimesh.creation.box((6, 5, 3))
    shell.apply_translation((0, 0, 1.5))
    if inverted:
        shell.invert()
    room = Surface(np.asarray(shell.vertices), np.asarray(shell.faces), None, GREY)
    file.write_bytes(build_glb("background", [*parse_glb(file.read_bytes(), "background", "mesh.glb"), room]))
    assert blocking(small) == []


@pytest.mark.parametrize("field", ["min", "max", "center", "size"])
def test_bounds_of_another_mesh_are_refused(small, field):
    """Each of the four statements counts."""
    bounds = json.loads((small / "objects/can/bounds.json").read_text())
    edit_json(small / "objects/can/bounds.json", **{field: [value + 0.02 for value in bounds[field]]})
    found = blocking(small)
    assert [finding.code for finding in found] == ["scene.bounds_mismatch"]
    assert field in found[0].message


def test_first_finding_is_raised_and_names_the_others(small):
    """One error, with the rest in brief."""
    (small / "objects/can/mesh.glb").unlink()
    edit_json(small / "objects/ramekin/bounds.json", size=None)
    with pytest.raises(
        SceneError, match=r"mesh\.glb.*Also found: scene\.field_invalid \(objects/ramekin/bounds\.json\)\. Source: gs://scenes/small\."
    ):
        validate_findings(check_scene(str(small)), "gs://scenes/small")


def test_remarks_do_not_block(small):
    """A finding without an error is told, not raised."""
    (small / "source_image.png").unlink()
    findings = check_scene(str(small))
    assert [(finding.code, finding.blocking) for finding in findings] == [("scene.file_absent", False)]
    assert findings[0].as_dict()["where"] == "source_image.png"
    validate_findings(findings, "small")
