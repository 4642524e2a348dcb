"""What an import loses, mends or assumes is told before it happens, with the object and the reason."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image

from blueprint_pipeline.scene.checks import check_scene
from blueprint_pipeline.scene.surfaces import Look, Surface
from tests.scene.glb_files import picture_bytes, textured_square
from tests.scene.scene_files import clone_object, edit_json, get_pose, set_pose, write_mesh

GREY, RED = Look((0.5, 0.5, 0.5, 1.0), 0.0, 0.5), Look((0.5, 0.0, 0.0, 1.0), 0.0, 0.5)


def surface_of(mesh, look=GREY):
    return Surface(np.asarray(mesh.vertices, dtype=float), np.asarray(mesh.faces, dtype=np.int64), None, look)


def cylinder(radius=0.033, height=0.08):
    made = trimesh.creation.cylinder(radius, height, sections=24)
    made.apply_translation((0, 0, height / 2))
    return made


def findings(scene, code):
    return [finding for finding in check_scene(str(scene)) if finding.code == code]


def test_large_object_is_told_to_stay(small):
    """A laptop of 25 l was static, and nobody said so."""
    write_mesh(small, "can", [surface_of(trimesh.creation.box((0.3, 0.3, 0.3)))])
    edit_json(small / "objects/can/label.json", category="unknown", description="a crate")
    (finding,) = findings(small, "scene.no_target")
    assert finding.where == "can"
    assert "27 l" in finding.message
    assert "20 l" in finding.message
    assert not finding.blocking


@pytest.mark.parametrize("gap_m", [0.0001, 0.0, -0.0005])
def test_object_that_bears_another_is_told(small, gap_m):
    """A can on a can, a little above it, flush, or a little within it."""
    write_mesh(small, "can", [surface_of(cylinder())])
    clone_object(small, "can", "upper", (0, 0, 0.08 + gap_m))
    lower, upper = findings(small, "scene.no_target")
    assert (lower.where, upper.where) == ("can", "upper")
    assert "upper stands on it" in lower.message
    assert "it stands on can" in upper.message


@pytest.mark.parametrize(
    ("look", "alpha", "is_told"),
    [
        (Look((1.0, 0.0, 0.0, 0.0), 0.0, 0.5), None, True),
        (Look((1.0, 0.0, 0.0, 0.1), 0.0, 0.5), None, False),
        (Look((1.0, 1.0, 1.0, 1.0), 0.0, 0.5, Image.new("RGBA", (4, 4), (9, 9, 9, 0))), None, True),
        (Look((1.0, 1.0, 1.0, 0.99), 0.0, 0.5), 0.0, True),
    ],
    ids=["plain", "a little", "picture", "vertices"],
)
def test_object_of_which_nothing_is_seen_is_told(small, look, alpha, is_told):
    """It stands in the way, and no picture shows it."""
    made = surface_of(cylinder(), look)
    uv = None if look.texture is None else np.zeros((len(made.vertices), 2))
    colors = None if alpha is None else np.column_stack([np.linspace(0, 1, len(made.vertices))] * 3 + [np.full(len(made.vertices), alpha)])
    write_mesh(small, "can", [replace(made, uv=uv, colors=colors)])
    found = [finding.message for finding in findings(small, "scene.no_target")]
    assert ["nothing of it is seen" in message for message in found] == ([True] if is_told else [])


def test_object_on_the_floor_is_told(small):
    """No support, no robot beside it."""
    write_mesh(small, "can", [surface_of(cylinder())])
    matrix, scale = get_pose(small, "can")
    matrix[:3, 3] = (0.9, 0.9, 0.0)
    set_pose(small, "can", matrix, scale)
    (finding,) = findings(small, "scene.no_target")
    assert finding.where == "can"
    assert "on the floor" in finding.message


def test_open_mesh_is_told_to_weigh_as_a_shell(small):
    """Where the kind of thing is solid."""
    cup = cylinder()
    cup.update_faces(cup.face_normals[:, 2] < 0.5)
    write_mesh(small, "ramekin", [surface_of(cup)])
    (finding,) = findings(small, "scene.mass_of_shell")
    assert finding.where == "ramekin"
    assert "shell" in finding.message


def test_flat_mesh_of_a_filled_thing_is_told_to_weigh_as_a_shell(small):
    """A can that is one square has no contents."""
    square = trimesh.Trimesh(
        [[-0.03, -0.03, 0], [0.03, -0.03, 0], [0.03, 0.03, 0], [-0.03, 0.03, 0]], [[0, 1, 2], [0, 2, 3]], process=False
    )
    write_mesh(small, "can", [surface_of(square)])
    (finding,) = findings(small, "scene.mass_of_shell")
    assert (finding.where, finding.blocking) == ("can", False)


def test_parts_of_several_looks_are_told_to_be_one_material(small):
    """A hammer's handle counts as steel."""
    head, handle = trimesh.creation.box((0.03, 0.03, 0.02)), trimesh.creation.box((0.02, 0.02, 0.02))
    head.apply_translation((0, 0, 0.01))
    handle.apply_translation((0, 0, 0.0301))
    write_mesh(small, "ramekin", [surface_of(head), surface_of(handle, RED)])
    (finding,) = findings(small, "scene.one_material")
    assert "2 parts and 2 looks" in finding.message
    assert "ceramic" in finding.message


def test_implausible_mass_blocks_the_check_as_it_blocks_the_import(small):
    """Nothing that the next stage refuses is sound."""
    edit_json(small / "objects/ramekin/material.json", material_type="foam")
    (finding,) = findings(small, "scene.physics_implausible")
    assert finding.blocking
    assert finding.where == "ramekin"


@pytest.mark.parametrize("name", ["can", "background"])
def test_what_is_lost_of_a_mesh_is_told(small, name):
    """Of objects and of the background."""
    path = small / ("background" if name == "background" else f"objects/{name}") / "mesh.glb"
    glb = textured_square(picture_bytes(np.zeros((2, 2, 3))), emissiveFactor=[1, 1, 1])
    path.write_bytes(glb.build())
    if name == "can":
        set_pose(small, name, *get_pose(small, name))
    (finding,) = findings(small, "scene.mesh_reduced")
    assert finding.where == name
    assert "emission" in finding.message


def test_what_is_mended_of_a_mesh_is_told(small):
    """Inside out."""
    inverted = cylinder()
    inverted.invert()
    write_mesh(small, "can", [surface_of(inverted)])
    (finding,) = findings(small, "scene.mesh_mended")
    assert (finding.where, finding.blocking) == ("can", False)
    assert "outside inside" in finding.message


def test_scene_without_objects_says_so(small):
    """In words that a person looks for."""
    shutil.rmtree(small / "objects")
    (small / "objects").mkdir()
    (finding,) = findings(small, "scene.no_objects")
    assert "no object" in finding.message
    assert "empty" in finding.message
