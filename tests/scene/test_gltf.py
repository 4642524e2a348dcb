"""Whatever glTF writers put into a file is read as the specification says, or refused by its name."""

import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.scene.gltf import parse_glb, read_glb
from blueprint_pipeline.scene.mesh_errors import MeshEmpty, MeshTooLarge, MeshUnreadable, MeshUnsupported
from blueprint_pipeline.scene.surfaces import merge_positions
from tests.scene.glb_files import KINDS, QUARTERS, SQUARE, SQUARE_FACES, WHOLE, GlbFile, container, picture_bytes, read, textured_square


def test_primitives_keep_the_order_of_the_file_in_every_process():
    """Node names are no order: writers leave them out, and readers make some up."""
    glb = GlbFile()
    for shade in (0.1, 0.7, 0.3, 0.9, 0.5):
        glb.square(glb.material(pbrMetallicRoughness={"baseColorFactor": [shade, 0, 0, 1]}))
    assert [surface.look.base_color[0] for surface in read(glb).surfaces] == [0.1, 0.7, 0.3, 0.9, 0.5]


def test_node_tree_places_meshes_parents_first():
    """Translation, rotation and scale of a parent hold for its children; a mirrored one keeps its outside outside."""
    glb = GlbFile(
        scenes=[{"nodes": [1]}],
        nodes=[{"mesh": 0, "matrix": [*np.diag([1.0, 1, -1, 1]).ravel()]}, {"children": [0], "translation": [0, 0, 5], "scale": [2, 2, 2]}],
    )
    glb.square()
    (surface,) = read(glb).surfaces
    assert surface.vertices.max(axis=0) == pytest.approx([2, 2, 5])
    assert merge_positions([surface]).face_normals[0] == pytest.approx([0, 0, -1])


@pytest.mark.parametrize(
    ("mode", "indices", "faces"),
    [(5, [0, 1, 3, 2], [[0, 1, 3], [1, 2, 3]]), (6, [0, 1, 2, 3], [[1, 2, 0], [2, 3, 0]]), (4, [0, 1, 2, 0, 2, 3], [[0, 1, 2], [0, 2, 3]])],
    ids=["strip", "fan", "list"],
)
def test_strips_and_fans_are_triangles(mode, indices, faces):
    """With the winding that the specification gives them."""
    glb = GlbFile()
    glb.primitive({"POSITION": glb.array(SQUARE)}, glb.array(np.array(indices, dtype=np.uint8)), mode=mode)
    (surface,) = read(glb).surfaces
    assert surface.faces.tolist() == faces
    assert (merge_positions([surface]).face_normals[:, 2] > 0.99).all()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"asset": {"version": "2.0"}}', "glTF as JSON text, not packed into one binary file"),
        (b"ply\nformat ascii 1.0\nend_header\n", "PLY"),
        (b"solid thing\nfacet normal 0 0 1\n", "STL as text"),
        (b"\0" * 80 + struct.pack("<I", 2) + b"\0" * 100, "binary STL"),
        (b"solid".ljust(80) + struct.pack("<I", 2) + b"\0" * 100, "binary STL"),
        (b"# made by hand\nmtllib a.mtl\no thing\nv 0 0 0\n", "Wavefront OBJ"),
        (b"\xef\xbb\xbf# comment\r\nv 0 0 0\r\n", "Wavefront OBJ"),
        (struct.pack("<4sII", b"glTF", 1, 20) + b"\0" * 8, "binary glTF 1.0, which is not read"),
    ],
    ids=["gltf", "ply", "stl text", "stl", "stl named solid", "obj", "obj with mark", "gltf 1"],
)
def test_mesh_of_another_format_is_refused_by_its_name(data, kind):
    """It is not damaged: its author exported another format under this name."""
    with pytest.raises(MeshUnreadable, match=f"mesh.glb is {kind}"):
        read_glb(data, "thing", "mesh.glb")


def test_value_that_is_not_finite_is_told_with_its_vertex():
    """Not as a wrong number of values."""
    glb = GlbFile()
    broken = SQUARE.copy()
    broken[2, 1] = np.inf
    glb.primitive({"POSITION": glb.array(broken)}, glb.array(SQUARE_FACES))
    with pytest.raises(MeshUnreadable, match="POSITION has 1 values that are not finite, first of vertex 2"):
        read(glb)


def test_what_no_scene_shows_is_told():
    """Meshes of other scenes, cameras, and attributes of an application."""
    glb = GlbFile(
        scenes=[{"nodes": [0]}, {"nodes": [1]}], nodes=[{"mesh": 0}, {"mesh": 0}, {"camera": 0}], cameras=[{"type": "perspective"}]
    )
    glb.primitive({"POSITION": glb.array(SQUARE), "_FEATURE_ID_0": glb.array(np.zeros(4, dtype=np.float32))}, glb.array(SQUARE_FACES))
    hidden = "meshes in no scene, or in another one than the file shows: 1"
    assert read(glb).losses == ("attribute _FEATURE_ID_0", hidden, "cameras")


def test_triangles_without_indices_are_read():
    """Vertices in turn."""
    glb = GlbFile()
    glb.primitive({"POSITION": glb.array(SQUARE[[0, 1, 2]])})
    assert read(glb).surfaces[0].faces.tolist() == [[0, 1, 2]]


def test_sparse_accessor_replaces_what_it_names():
    """With a base, and without one (zeros)."""
    for base in (True, False):
        glb = GlbFile()
        position = glb.array(SQUARE)
        rows, values = glb.view(np.array([2], dtype=np.uint16).tobytes()), glb.view(np.array([[3, 3, 0]], dtype=np.float32).tobytes())
        sparse = {"count": 1, "indices": {"bufferView": rows, "componentType": 5123}, "values": {"bufferView": values}}
        glb.tree["accessors"][position]["sparse"] = sparse
        if not base:
            del glb.tree["accessors"][position]["bufferView"]
            sparse["count"] = 1
        glb.primitive({"POSITION": position}, glb.array(SQUARE_FACES))
        if base:
            assert read(glb).surfaces[0].vertices[2].tolist() == [3, 3, 0]
        else:
            with pytest.raises(MeshEmpty, match="area"):
                read(glb)


def test_quantized_and_interleaved_positions_are_read():
    """Normalized integers, rows further apart than they are long (KHR_mesh_quantization)."""
    glb = GlbFile(extensionsRequired=["KHR_mesh_quantization"], extensionsUsed=["KHR_mesh_quantization"])
    rows = np.zeros((4, 4), dtype=np.int16)
    rows[:, :3] = np.round(SQUARE * 32767)
    glb.tree["accessors"].append(
        {"bufferView": glb.view(rows.tobytes(), byteStride=8), "componentType": 5122, "normalized": True, "count": 4, "type": "VEC3"}
    )
    glb.primitive({"POSITION": 0}, glb.array(SQUARE_FACES))
    assert read(glb).surfaces[0].vertices == pytest.approx(SQUARE)


def test_draco_is_read():
    """Draco's own encoder as the other side."""
    import DracoPy

    glb = GlbFile(extensionsRequired=["KHR_draco_mesh_compression"], extensionsUsed=["KHR_draco_mesh_compression"])
    data = DracoPy.encode(SQUARE, SQUARE_FACES.reshape(-1, 3).astype(np.uint32), quantization_bits=14)
    glb.tree["accessors"] = [{"componentType": 5126, "count": 4, "type": "VEC3"}, {"componentType": 5123, "count": 6, "type": "SCALAR"}]
    compressed = {"bufferView": glb.view(data), "attributes": {"POSITION": 0}}
    glb.primitive({"POSITION": 0}, 1, extensions={"KHR_draco_mesh_compression": compressed})
    (surface,) = read(glb).surfaces
    assert merge_positions([surface]).area == pytest.approx(1, abs=1e-3)
    for data in (b"", b"DRACO" + bytes(40)):
        broken = GlbFile(**{**glb.tree, "bufferViews": []})
        compressed["bufferView"] = broken.view(data)
        with pytest.raises(MeshUnreadable, match="Draco"):
            read(broken)


@pytest.mark.parametrize("name", ["EXT_meshopt_compression", "KHR_texture_basisu", "EXT_mesh_gpu_instancing", "MSFT_lod", "ACME_secret"])
def test_required_extension_that_is_not_read_is_refused_by_name(name):
    """Not "damaged", not "without an area"."""
    glb = GlbFile(extensionsRequired=[name], extensionsUsed=[name])
    glb.square()
    with pytest.raises(MeshUnsupported, match=name) as caught:
        read(glb)
    assert caught.value.feature == name


def test_what_is_not_drawn_is_listed():
    """Extensions that are used, maps, emission, points, morph targets, animations."""
    glb = GlbFile(extensionsUsed=["KHR_lights_punctual", "KHR_materials_clearcoat"], animations=[{}])
    picture = glb.picture(picture_bytes(QUARTERS))
    glb.square(glb.material(normalTexture={"index": picture}, emissiveFactor=[1, 0, 0], extensions={"KHR_materials_clearcoat": {}}))
    glb.primitive({"POSITION": 0}, mode=0)
    glb.tree["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": 0}]
    losses = ", ".join(read(glb).losses)
    for word in ("KHR_lights_punctual", "KHR_materials_clearcoat", "normal map", "emission", "points", "morph", "animations"):
        assert word in losses
    plain = GlbFile()
    plain.square(plain.material())
    assert read(plain).losses == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: tree["accessors"][0].update(count=10**9), "elements"),
        (lambda tree: tree["accessors"][0].update(count=5), "ends at byte"),
        (lambda tree: tree["accessors"][0].update(byteOffset=2**31), "byteOffset"),
        (lambda tree: tree["accessors"][0].update(type="VEC2"), "POSITION has 2 components"),
        (lambda tree: tree["accessors"][0].update(type="MAT4"), "MAT4"),
        (lambda tree: tree["accessors"][1].update(componentType=5126), "no vertex indices"),
        (lambda tree: tree["accessors"].pop(), "accessor 1"),
        (lambda tree: tree["nodes"].append({"children": [1]}) or tree["scenes"][0]["nodes"].append(1), "stands twice"),
        (lambda tree: tree["nodes"][0].update(children=[0]), "stands twice"),
        (lambda tree: tree["nodes"][0].update(mesh=7), "mesh 7"),
        (lambda tree: tree["nodes"][0].update(rotation=[0, 0, 0, 0]), "rotation"),
        (lambda tree: tree["nodes"][0].update(scale=[1e200, 1, 1], translation=[1e308, 0, 0]), "beyond"),
        (lambda tree: tree["nodes"][0].update(translation=[0, 1e13, 0]), "beyond"),
        (lambda tree: tree.update(scene=4), "scene 4"),
        (lambda tree: tree["bufferViews"][0].update(buffer=3), "buffer 3"),
        (lambda tree: tree["bufferViews"][0].update(byteStride=4), "ends at byte"),
        (lambda tree: tree.update(buffers=[{"byteLength": 10**8}]), "truncated"),
        (lambda tree: tree.update(buffers=[{"byteLength": 4, "uri": "data:;base64,%%"}]), "base64"),
        (lambda tree: tree.update(meshes={"primitives": 3}), "meshes"),
        (lambda tree: tree.update(asset=7), "asset"),
        (lambda tree: tree["meshes"][0]["primitives"][0].update(mode=9), "mode"),
        (lambda tree: tree["meshes"][0]["primitives"][0].update(material=0), "material 0"),
    ],
)
def test_contradictions_are_named(change, words):
    """Each with the part of the file that is wrong."""
    glb = GlbFile()
    glb.square()
    change(glb.tree)
    data = container({"buffers": [{"byteLength": len(glb.data)}], **glb.tree}, bytes(glb.data))
    with pytest.raises((MeshUnreadable, MeshTooLarge, MeshEmpty), match=words):
        parse_glb(data, "thing", "mesh.glb")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def damaged(draw):
    """A whole file with a few values of its tree replaced by anything."""
    glb = textured_square(WHOLE[:200], alphaMode="MASK")
    glb.tree["extensionsUsed"] = ["KHR_texture_transform"]
    for _ in range(draw(st.integers(1, 3))):
        owner = glb.tree
        while True:
            key = draw(st.sampled_from(sorted(owner) if isinstance(owner, dict) else range(len(owner))))
            if isinstance(owner[key], dict | list) and owner[key] and draw(st.integers(0, 3)):
                owner = owner[key]
                continue
            owner[key] = draw(JSON)
            break
    return container({**glb.tree, "buffers": [{"byteLength": len(glb.data)}]}, bytes(glb.data))


@pytest.fixture(scope="module")
def _imported():
    """Reading a file once imports what readers import late: that is no part of any later file's time."""
    assert not isinstance(outcome(textured_square(WHOLE).build()), str)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
@pytest.mark.usefixtures("_imported")
def test_any_tree_is_read_or_refused(data):
    """In our own error tree, and soon."""
    file = damaged(data.draw)  # before the clock: drawing takes longer than reading
    began = time.process_time()
    assert outcome(file)
    assert time.process_time() - began < 2


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    """As a file, as a tree, as a picture."""
    for made in (data, container(data), textured_square(data).build()):
        assert outcome(made)


def outcome(data):
    """Surfaces, or the message of our own error."""
    try:
        return parse_glb(data, "thing", "mesh.glb")
    except BlueprintError as error:
        return error.message


def test_what_no_triangle_uses_is_no_part_of_the_shape():
    """A vertex that is left over lies anywhere, or nowhere."""
    glb = GlbFile()
    left_over = np.array([[900, 0, 0], [np.nan, 0, 0]], dtype=np.float32)
    glb.primitive({"POSITION": glb.array(np.vstack([left_over, SQUARE]))}, glb.array(SQUARE_FACES + np.uint16(2)))
    (surface,) = read(glb).surfaces
    assert np.array_equal(surface.vertices, SQUARE)
    assert surface.faces.ravel().tolist() == SQUARE_FACES.tolist()


@pytest.mark.parametrize("where", ["node", "mesh"])
def test_morph_target_moves_the_shape_by_its_weight(where):
    """As every viewer shows the file; that it could move otherwise is told."""
    glb = GlbFile()
    glb.square()
    glb.tree["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": glb.array(SQUARE)}, {"POSITION": glb.array(SQUARE)}]
    (glb.tree["nodes"] if where == "node" else glb.tree["meshes"])[0]["weights"] = [0.5, 0.0]
    content = read(glb)
    assert np.allclose(content.surfaces[0].vertices, 1.5 * SQUARE)
    assert content.losses == ("morph targets",)


def test_other_attributes_and_primitives_without_a_shape_are_told():
    """A second set of colours is not drawn."""
    glb = GlbFile()
    glb.square(COLOR_1=np.ones((4, 3), dtype=np.float32), NORMAL=SQUARE, TANGENT=np.ones((4, 4), dtype=np.float32))
    glb.primitive({"NORMAL": 0}, 1)
    content = read(glb)
    assert content.losses == ("attribute COLOR_1", "triangles without positions")
    assert len(content.surfaces) == 1


def test_instances_are_refused_though_the_file_does_not_declare_them():
    """Else one of them would be all that is left."""
    glb = GlbFile(nodes=[{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": {}}}}])
    glb.square()
    with pytest.raises(MeshUnsupported, match="EXT_mesh_gpu_instancing"):
        read(glb)


def empty_accessor(glb, count):
    glb.tree["accessors"].append({"componentType": KINDS["float32"], "type": "VEC3", "count": count})
    return len(glb.tree["accessors"]) - 1


@pytest.mark.parametrize("indices", [SQUARE_FACES, SQUARE_FACES[:0]], ids=["triangles", "none"])
def test_accessor_that_is_named_often_is_read_once(indices):
    """A file of some kilobytes may name an accessor of a gigabyte any number of times."""
    glb = GlbFile()
    glb.square()
    shared, chosen = empty_accessor(glb, 1_000_000), glb.array(indices)
    for _ in range(300):
        glb.primitive({"POSITION": shared}, chosen)
    started = time.process_time()
    surfaces = read(glb).surfaces
    assert time.process_time() - started < 5
    assert sum(len(surface.vertices) for surface in surfaces) <= 4 + 300 * 4


def test_file_of_many_large_accessors_is_refused(monkeypatch):
    """Each alone would be read."""
    monkeypatch.setattr("blueprint_pipeline.scene.gltf_document.MAX_FILE_ELEMENTS", 10_000)
    glb = GlbFile()
    for _ in range(11):
        glb.primitive({"POSITION": empty_accessor(glb, 1_000)}, glb.array(SQUARE_FACES))
    with pytest.raises(MeshTooLarge, match="11000 elements or more"):
        read(glb)


def test_mesh_of_many_nodes_is_counted_in_each(monkeypatch):
    """Instances cost a file a few bytes, and a scene all of their triangles."""
    monkeypatch.setattr("blueprint_pipeline.scene.gltf.MAX_TRIANGLES", 99)
    glb = GlbFile(nodes=[{"mesh": 0} for _ in range(50)], scenes=[{"nodes": list(range(50))}])
    glb.square()
    with pytest.raises(MeshTooLarge, match="100 triangles"):
        read(glb)
