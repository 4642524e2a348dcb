"""Meshes are read whole or refused by name."""

import json
import struct

import numpy as np
import pytest
from PIL import Image

from blueprint_pipeline.scene.gltf import parse_glb
from blueprint_pipeline.scene.mesh_errors import MeshEmpty, MeshUnreadable
from blueprint_pipeline.scene.mesh_files import build_glb
from blueprint_pipeline.scene.surfaces import Look, Surface, merge_looks, merge_positions
from tests.scene.scene_files import SCENES

GREY = Look((0.5, 0.5, 0.5, 1.0), 0.0, 0.5)
TRIANGLE = Surface(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 2]]), None, GREY)


def glb(tree: dict, data: bytes = b"") -> bytes:
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


@pytest.mark.parametrize("cut", [0, 10, 19, 200, -1])
def test_truncated_file_is_refused(cut):
    """Wherever it is cut."""
    data = (SCENES / "minimal_ok/objects/can/mesh.glb").read_bytes()
    with pytest.raises(MeshUnreadable, match="truncated"):
        parse_glb(data[:cut], "can", "mesh.glb")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"x" * 100, "begin"), (b"glTF" + struct.pack("<5I", 1, 100, 0, 0, 0) + b"x" * 100, "is binary glTF 1.0")],
    ids=["unknown", "gltf 1"],
)
def test_another_format_is_refused(data, words):
    """Not binary glTF 2.0."""
    with pytest.raises(MeshUnreadable, match=words):
        parse_glb(data, "can", "mesh.glb")


def read_or_refuse(data):
    """Surfaces of a GLB, or the message that refuses it."""
    try:
        return parse_glb(data, "can", "mesh.glb"), ""
    except (MeshUnreadable, MeshEmpty) as error:
        return None, error.message


def test_every_damaged_byte_is_refused_or_read():
    """Bytes changed at random places give a BlueprintError, or surfaces; nothing else comes out."""
    whole = (SCENES / "minimal_ok/objects/ramekin/mesh.glb").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, 3000, size=4):
            data[place] = rng.integers(256)
        surfaces, refusal = read_or_refuse(bytes(data))
        assert surfaces or "can" in refusal


@pytest.mark.parametrize("uri", ["../../etc/passwd", "https://example.org/x.bin", "buffer.bin"])
def test_reference_to_another_file_is_refused(uri):
    """A mesh must be self-contained."""
    tree = {"asset": {"version": "2.0"}, "buffers": [{"byteLength": 4, "uri": uri}]}
    with pytest.raises(MeshUnreadable, match="refers to another file"):
        parse_glb(glb(tree), "can", "mesh.glb")


def test_mesh_without_triangles_is_refused():
    """Nothing in it, or triangles without an area."""
    with pytest.raises(MeshEmpty, match="no triangle"):
        parse_glb(glb({"asset": {"version": "2.0"}, "scenes": [{"nodes": []}], "scene": 0}), "can", "mesh.glb")
    flat = Surface(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([[0, 1, 2]]), None, GREY)
    with pytest.raises(MeshEmpty, match="area"):
        parse_glb(build_glb("can", [flat]), "can", "mesh.glb")


def test_vertices_that_are_not_finite_are_refused():
    """NaN in the binary chunk."""
    data = build_glb("can", [TRIANGLE])
    broken = data.replace(struct.pack("<3f", 1, 0, 0), struct.pack("<3f", float("nan"), 0, 0))
    with pytest.raises(MeshUnreadable):
        parse_glb(broken, "can", "mesh.glb")


def test_glb_survives_the_round_trip():
    """Vertices, faces, texture coordinates and looks are read back as written; the bytes are the same each time."""
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    textured = Surface(
        TRIANGLE.vertices, TRIANGLE.faces, np.array([[0.0, 0], [1, 0], [0.25, 0.75]]), Look((1, 1, 1, 1), 0.25, 0.75, picture)
    )
    data = build_glb("thing", [TRIANGLE, textured])
    assert data == build_glb("thing", [TRIANGLE, textured])
    plain, looked = parse_glb(data, "thing", "x.glb")
    assert np.allclose(plain.vertices, TRIANGLE.vertices)
    assert plain.look.base_color == pytest.approx(GREY.base_color, abs=0.01)
    assert looked.uv == pytest.approx(textured.uv)
    assert (looked.look.metallic, looked.look.roughness) == (0.25, 0.75)
    assert looked.look.texture.tobytes() == picture.tobytes()


def test_equal_looks_become_one_surface():
    """The parts of a table with one wood are drawn at once."""
    other = Surface(TRIANGLE.vertices + 2, TRIANGLE.faces, None, Look((1, 0, 0, 1), 0.0, 0.5))
    merged = merge_looks([TRIANGLE, other, TRIANGLE])
    assert [len(surface.faces) for surface in merged] == [2, 1]


def test_seams_are_closed_for_geometry():
    """A textured can is watertight once vertices at the same place are one."""
    surfaces = parse_glb((SCENES / "minimal_ok/objects/can/mesh.glb").read_bytes(), "can", "mesh.glb")
    assert merge_positions(surfaces).is_watertight


def test_mirroring_keeps_the_outside_outside():
    """Faces are turned when the map mirrors."""
    surfaces = parse_glb((SCENES / "minimal_ok/objects/can/mesh.glb").read_bytes(), "can", "mesh.glb")
    mirrored = merge_positions([surface.moved(np.diag([1.0, 1.0, -1.0])) for surface in surfaces])
    assert mirrored.volume == pytest.approx(merge_positions(surfaces).volume)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b'{"buffers": null, "images": 3}'], ids=["deep", "5000 digits", "no lists"]
)
def test_extreme_header_is_refused(text):
    """What a parser itself cannot take is a damaged file too."""
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    with pytest.raises((MeshUnreadable, MeshEmpty), match="can"):
        parse_glb(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks, "can", "mesh.glb")
