"""Every file of a scene is read strictly, and what is wrong with it is said by name."""

import json
import uuid

import fsspec
import numpy as np
import pytest

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.scene.checks import check_scene
from blueprint_pipeline.scene.source_errors import SourceNotFound, UnsafePath
from blueprint_pipeline.scene.source_folder import SourceFolder
from blueprint_pipeline.workspace.checksums import digest_files, list_files
from tests.scene.scene_files import edit_json, get_pose, read_json, set_pose

CAN = "objects/can"


def codes(scene):
    """Codes of the blocking findings."""
    return [finding.code for finding in check_scene(str(scene)) if finding.blocking]


def only(scene):
    """The one blocking finding."""
    blocking = [finding for finding in check_scene(str(scene)) if finding.blocking]
    assert len(blocking) == 1, blocking
    return blocking[0]


def test_source_may_be_any_fsspec_url(small):
    """An object store gives the same files."""
    url = f"memory://{uuid.uuid4()}/scene"
    fsspec.filesystem("memory").put(str(small) + "/", url.removeprefix("memory:/"), recursive=True)
    source = SourceFolder(url)
    assert source.names == set(list_files(small))
    assert all(source.read(name) == (small / name).read_bytes() for name in source.names)
    assert source.digests() == digest_files(small, list_files(small))
    assert check_scene(url) == []


def test_no_folder_is_said(tmp_path):
    """An address without anything behind it is refused, and so is an empty folder."""
    with pytest.raises(SourceNotFound, match="nowhere"):
        _ = SourceFolder(str(tmp_path / "nowhere")).names
    (tmp_path / "empty").mkdir()
    assert codes(tmp_path / "empty") == ["scene.source_not_found"]


def test_link_out_of_the_scene_is_refused(small, tmp_path):
    """A symbolic link could bring in any file of the machine."""
    (tmp_path / "secret").write_text("x")
    (small / "objects/can/extra.json").symlink_to(tmp_path / "secret")
    with pytest.raises(UnsafePath, match=r"extra\.json"):
        _ = SourceFolder(str(small)).names


@pytest.mark.parametrize(
    "file", ["scene_info.json", f"{CAN}/pose.json", f"{CAN}/bounds.json", f"{CAN}/material.json", "camera/intrinsics.json"]
)
def test_missing_file_is_named(small, file):
    """Each required file."""
    (small / file).unlink()
    finding = only(small)
    assert finding.code == "scene.file_missing"
    assert file in finding.message


@pytest.mark.parametrize("file", ["ATTRIBUTION.md", "source_image.png", "background/mesh.glb"])
def test_optional_file_is_a_remark(small, file):
    """A scene without it can be read; the lack is said. Without its background this one has nothing to stand on."""
    (small / file).unlink()
    findings = check_scene(str(small))
    assert "scene.file_absent" in [finding.code for finding in findings]
    assert any(finding.blocking for finding in findings) == (file == "background/mesh.glb")


@pytest.mark.parametrize(
    ("file", "field"),
    [
        ("scene_info.json", "meters_per_unit"),
        ("scene_info.json", "coordinate_frame"),
        (f"{CAN}/pose.json", "rotation_quaternion"),
        (f"{CAN}/pose.json", "is_floor_contact"),
        (f"{CAN}/bounds.json", "size"),
        (f"{CAN}/material.json", "material_type"),
        ("camera/extrinsics.json", "matrix"),
    ],
)
def test_missing_field_is_named(small, file, field):
    """File and field stand in the message."""
    edit_json(small / file, **{field: None})
    finding = only(small)
    assert finding.code == "scene.field_invalid"
    assert file in finding.message
    assert field in finding.message


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("scene_info.json", {"meters_per_unit": "0.01"}),
        ("scene_info.json", {"meters_per_unit": 0}),
        ("scene_info.json", {"meters_per_unit": -1.0}),
        ("scene_info.json", {"coordinate_frame": "x_up"}),
        (f"{CAN}/pose.json", {"is_floor_contact": "no"}),
        (f"{CAN}/pose.json", {"translation": [0, 0]}),
        (f"{CAN}/material.json", {"metallic": 2.0}),
        ("camera/intrinsics.json", {"width": 0}),
    ],
)
def test_wrong_value_is_refused(small, file, changes):
    """Words are no numbers, and numbers have bounds."""
    edit_json(small / file, **changes)
    assert codes(small) == ["scene.field_invalid"]


@pytest.mark.parametrize("version", ["2.0.0", "0.9.0", "1", "latest", "1.0"])
def test_unknown_version_is_refused(small, version):
    """Only 1.x.y is read."""
    edit_json(small / "scene_info.json", version=version)
    assert codes(small) == ["scene.unsupported_version"]


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        ("scene_info.json", '{"scene_id": "a", "scene_id": "b"}', "scene.json_invalid"),
        (f"{CAN}/bounds.json", '{"min": [NaN, 0, 0]}', "scene.json_invalid"),
        (f"{CAN}/bounds.json", "{,}", "scene.json_invalid"),
        (f"{CAN}/bounds.json", '{"min": [1e999, 0, 0]}', "scene.field_invalid"),
        (f"{CAN}/material.json", '["list"]', "scene.field_invalid"),
        (f"{CAN}/label.json", "\xff", "scene.json_invalid"),
        (f"{CAN}/pose.json", '{"translation": [0, 1e999, 0]}', "scene.pose_not_finite"),
        (f"{CAN}/pose.json", '{"translation": [0, -Infinity, 0]}', "scene.pose_not_finite"),
    ],
)
def test_loose_json_is_refused(small, file, text, code):
    """A name twice, bare NaN, syntax, numbers out of range, bytes that are no UTF-8."""
    (small / file).write_bytes(text.encode("latin-1"))
    finding = only(small)
    assert finding.code == code
    assert file in finding.message


@pytest.mark.parametrize("name", ["-x", "a b", "a.b", "ö", "World", "floor", "9lives", "x" * 65, "can;rm"])
def test_unusable_object_id_is_refused(small, name):
    """An id becomes a folder, a prim and a body."""
    (small / "objects/can").rename(small / "objects" / name)
    assert "scene.invalid_object_id" in codes(small)


def test_ids_that_differ_in_case_are_refused(small):
    """They would collide where case is ignored."""
    (small / "objects/Can").mkdir()
    for path in (small / "objects/can").iterdir():
        (small / "objects/Can" / path.name).write_bytes(path.read_bytes())
    assert codes(small)[0] == "scene.duplicate_object_id"


def test_no_objects_is_refused(small):
    """A room alone is no scene."""
    for folder in list((small / "objects").iterdir()):
        folder.rename(small / f"was_{folder.name}")
    assert codes(small) == ["scene.no_objects"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scale": [1.0, 1.0, -1.0]}, "scene.pose_scale_invalid"),
        ({"scale": [1.0, 0.0, 1.0]}, "scene.pose_scale_invalid"),
        ({"scale": [2.0, 1.0, 1.0]}, "scene.pose_inconsistent"),
        ({"rotation_quaternion": [1.0, 0.0, 0.0, 0.0]}, "scene.pose_inconsistent"),
        ({"rotation_quaternion": [2.0, 0.0, 0.0, 0.0]}, "scene.pose_not_rigid"),
        ({"translation": [0.0, 0.0, 0.5]}, "scene.pose_inconsistent"),
    ],
)
def test_pose_that_contradicts_itself_is_refused(small, changes, code):
    """Scale, quaternion (also in x y z w order) and translation must be those of the matrix."""
    edit_json(small / CAN / "pose.json", **changes)
    finding = only(small)
    assert finding.code == code
    assert "can" in finding.message


def test_quaternion_in_the_wrong_order_is_refused(small):
    """X y z w instead of w x y z."""
    w, x, y, z = read_json(small / CAN / "pose.json")["rotation_quaternion"]
    edit_json(small / CAN / "pose.json", rotation_quaternion=[x, y, z, w])
    assert only(small).code == "scene.pose_inconsistent"


def test_mirroring_matrix_is_refused(small):
    """A mirrored object is another object."""
    pose = read_json(small / CAN / "pose.json")
    matrix = np.asarray(pose["transform_matrix"]) @ np.diag([1, 1, -1, 1])
    edit_json(small / CAN / "pose.json", transform_matrix=matrix.tolist())
    assert only(small).code == "scene.pose_scale_invalid"


def test_last_row_must_be_affine(small):
    """A projective matrix is no pose."""
    matrix = np.asarray(read_json(small / CAN / "pose.json")["transform_matrix"])
    matrix[3, 0] = 0.1
    edit_json(small / CAN / "pose.json", transform_matrix=matrix.tolist())
    assert only(small).code == "scene.pose_not_rigid"


def test_scaled_pose_is_sound(small):
    """A mesh in other units with the scale that corrects it is no error."""
    matrix, _ = get_pose(small, "can")
    set_pose(small, "can", matrix, np.array([1.02, 0.98, 1.0]))
    assert codes(small) == []


@pytest.mark.parametrize("matrix", [np.diag([-100.0, 100.0, 1.0]), np.diag([0.0, 0.0, 1.0]), np.diag([100.0, 100.0, 2.0])])
def test_camera_must_be_a_pinhole(small, matrix):
    """Focal lengths are above 0, the last row is 0 0 1."""
    edit_json(small / "camera/intrinsics.json", matrix=matrix.tolist())
    assert codes(small) == ["scene.camera_invalid"]


def test_camera_pose_must_be_rigid(small):
    """A scaled extrinsic matrix is refused."""
    matrix = np.asarray(read_json(small / "camera/extrinsics.json")["matrix"])
    matrix[:3, :3] *= 2
    edit_json(small / "camera/extrinsics.json", matrix=matrix.tolist())
    assert codes(small) == ["scene.camera_invalid"]


@pytest.mark.parametrize("block", [np.diag([1.0, 1.0, -1.0]), np.zeros((3, 3)), np.diag([1.0, 1.0, 0.0])])
def test_a_mirrored_or_singular_camera_is_a_finding(small, block):
    """It is no rotation, and no position of the eye is taken from it."""
    matrix = np.asarray(read_json(small / "camera/extrinsics.json")["matrix"])
    matrix[:3, :3] = block
    edit_json(small / "camera/extrinsics.json", matrix=matrix.tolist())
    assert codes(small) == ["scene.camera_invalid"]


def articulation(**changes):
    joint = {"name": "lid", "type": "revolute", "axis": [1, 0, 0], "origin": [0, 0, 0], "limits": [0, 1], "child_part": "lid"}
    return {
        "object_id": "can",
        "base_part": "body",
        "origin": "authored",
        "parts": {"body": "mesh.glb", "lid": "mesh.glb"},
        "joints": [joint],
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"parts": {"body": "mesh.glb", "lid": "../../../../etc/passwd"}}, "scene.unsafe_path"),
        ({"parts": {"body": "/etc/passwd", "lid": "mesh.glb"}}, "scene.unsafe_path"),
        ({"parts": {"body": "mesh.glb", "lid": "none.glb"}}, "scene.file_missing"),
        ({"parts": {"body": "mesh.glb"}}, "scene.field_invalid"),
    ],
)
def test_parts_stay_in_the_objects_folder(small, changes, code):
    """Paths within a file cannot lead out of the scene."""
    (small / CAN / "articulation.json").write_text(json.dumps(articulation(**changes)))
    assert codes(small) == ([] if code is None else [code])


def test_all_findings_are_told_at_once(small):
    """What is wrong in one file does not hide what is wrong in another."""
    (small / CAN / "mesh.glb").unlink()
    edit_json(small / "objects/ramekin/pose.json", is_floor_contact=None)
    edit_json(small / "scene_info.json", version="7.0.0")
    assert sorted(codes(small)) == ["scene.field_invalid", "scene.mesh_missing", "scene.unsupported_version"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"version": ' + "9" * 5000 + "}", "digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"version": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
    ids=["5000 digits", "open brackets", "deep"],
)
@pytest.mark.parametrize("file", ["scene_info.json", f"{CAN}/pose.json", f"{CAN}/bounds.json", "camera/extrinsics.json"])
def test_extreme_json_is_a_finding(small, file, text, problem):
    """What a parser itself cannot take is named like every other fault of the file."""
    (small / file).write_text(text)
    assert problem in only(small).message


@pytest.mark.parametrize("number", ["9" * 400, "1e999", "-1e999"])
@pytest.mark.parametrize(
    ("file", "field"), [(f"{CAN}/pose.json", "translation"), (f"{CAN}/bounds.json", "min"), ("camera/extrinsics.json", "matrix")]
)
def test_number_beyond_a_double_is_a_finding(small, file, field, number):
    """It would be infinite in every later calculation."""
    value = read_json(small / file)
    text = json.dumps({**value, field: "HERE"}).replace('"HERE"', json.dumps(value[field]).replace("1", number, 1).replace("0", number, 1))
    (small / file).write_text(text)
    assert any(file in finding.message for finding in check_scene(str(small)) if finding.blocking)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("https://127.0.0.1:9/scene", "scene.source_unreachable"),
        ("nope://bucket/scene", "scene.source_refused"),
        ("https://[bad/scene", "scene.source_refused"),
    ],
)
def test_source_that_cannot_be_read_is_an_error_of_the_tree(source, code):
    """A closed port may open later; an address that no file system reads will not."""
    with pytest.raises(BlueprintError) as caught:
        _ = SourceFolder(source).names
    assert caught.value.code == code
    assert caught.value.retryable is (code == "scene.source_unreachable")
