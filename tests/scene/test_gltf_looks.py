"""Looks of glTF files: colours, pictures and where they lie, as the specification says; what cannot be read is refused."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from blueprint_pipeline.scene.mesh_errors import MeshTooLarge, MeshUnreadable, MeshUnsupported, TextureUnreadable
from blueprint_pipeline.scene.surfaces import Look
from tests.scene.glb_files import QUARTERS, SQUARE, SQUARE_FACES, SQUARE_UV, WHOLE, GlbFile, picture_bytes, read, textured_square


def color_at(surface, x, y):
    """Display colour that is drawn at a place of the square."""
    corners = surface.vertices[surface.faces][:, :, :2]
    for index, corner in enumerate(corners):
        weights = np.linalg.solve(np.vstack([corner.T, np.ones(3)]), [x, y, 1])
        if (weights >= -1e-9).all():
            u, v = weights @ surface.uv[surface.faces[index]]
            pixels = np.asarray(surface.look.texture)
            return tuple(int(value) for value in pixels[int((1 - v) * len(pixels)) % len(pixels), int(u * len(pixels)) % len(pixels)][:3])
    raise AssertionError((x, y))


def test_vertex_colors_are_kept():
    """As floats and as normalized bytes; all alike they are a plain colour; beyond 0..1 they are cut."""
    for colors in (np.eye(4, 3, dtype=np.float32), (np.eye(4, 4) * 255).astype(np.uint8)):
        glb = GlbFile()
        glb.square(COLOR_0=colors)
        if colors.dtype == np.uint8:
            glb.tree["accessors"][1]["normalized"] = True
        (surface,) = read(glb).surfaces
        assert surface.colors[:3, :3] == pytest.approx(np.eye(3))
    glb = GlbFile()
    glb.square(COLOR_0=np.full((4, 3), 0.25, dtype=np.float32))
    assert read(glb).surfaces[0].look.base_color == (0.25, 0.25, 0.25, 1.0)


def test_without_a_material_the_stated_color_holds():
    """That of material.json; else white."""
    glb = GlbFile()
    glb.square()
    assert read(glb).surfaces[0].look.base_color == (1, 1, 1, 1)
    red = Look((0.8, 0.1, 0.1, 1.0), 0.0, 0.5)
    assert read(glb, default=red).surfaces[0].look == red


def test_picture_lies_on_the_square_as_it_stands_in_the_file():
    """The upper left quarter is red."""
    (surface,) = read(textured_square(picture_bytes(QUARTERS))).surfaces
    found = [color_at(surface, x, y) for x, y in ((0.25, 0.75), (0.75, 0.75), (0.25, 0.25), (0.75, 0.25))]
    assert found == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ({"offset": [0.5, 0]}, (0, 255, 0)),
        ({"offset": [0, 0.5]}, (0, 0, 255)),
        ({"scale": [2, 2], "offset": [0.1, -0.1]}, (0, 255, 0)),
        ({"rotation": np.pi / 2, "offset": [0, 1]}, (0, 0, 255)),
    ],
    ids=["along u", "along v", "scale", "rotation"],
)
def test_texture_transform_moves_the_picture(transform, expected):
    """What is drawn at u, v = 0.25, 0.25 (there the picture is red). The rotation turns coordinates against the clock, v down.

    Source: KHR_texture_transform, and the sample viewer of Khronos, whose sign of the rotation TextureTransformTest shows.
    """
    info = {"extensions": {"KHR_texture_transform": transform}}
    (surface,) = read(textured_square(picture_bytes(QUARTERS), info)).surfaces
    assert color_at(surface, 0.25, 0.75) == expected


@pytest.mark.parametrize("info", [{"texCoord": 1}, {"extensions": {"KHR_texture_transform": {"texCoord": 1}}}], ids=["core", "extension"])
def test_second_coordinates_are_used_where_the_material_says_so(info):
    """The first set would show one pixel."""
    attributes = {"TEXCOORD_0": np.zeros((4, 2), dtype=np.float32), "TEXCOORD_1": SQUARE_UV}
    (surface,) = read(textured_square(picture_bytes(QUARTERS), info, attributes)).surfaces
    assert color_at(surface, 0.75, 0.25) == (255, 255, 0)
    (none,) = read(textured_square(picture_bytes(QUARTERS), {"texCoord": 3}, attributes)).surfaces
    assert none.look.texture is None
    assert "TEXCOORD_3" in read(textured_square(picture_bytes(QUARTERS), {"texCoord": 3}, attributes)).losses[0]


def test_webp_is_read_and_its_extension_is_honoured():
    """As the only picture of a texture."""
    glb = textured_square(picture_bytes(QUARTERS, "WEBP"), texture={"extensions": {"EXT_texture_webp": {"source": 0}}})
    del glb.tree["textures"][0]["source"]
    assert color_at(read(glb).surfaces[0], 0.25, 0.75) == (255, 0, 0)


def test_factor_times_picture_is_linear_light():
    """Half the light of a white texel is 188 of 255 on the display, not 127."""
    glb = textured_square(picture_bytes(np.full((4, 4, 3), 255)))
    glb.tree["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [0.5, 0.5, 0.5, 1]
    look = read(glb).surfaces[0].look
    assert look.base_color == (1, 1, 1, 1)
    assert np.asarray(look.texture)[0, 0].tolist() == [188, 188, 188]


@pytest.mark.parametrize(("mode", "expected"), [("OPAQUE", None), ("MASK", [0, 255]), ("BLEND", [60, 200])])
def test_alpha_is_kept_as_the_material_says(mode, expected):
    """Opaque materials have none; a mask is all or nothing."""
    pixels = np.full((2, 2, 4), 60, dtype=np.uint8)
    pixels[:, 1, 3] = 200
    look = read(textured_square(picture_bytes(pixels), alphaMode=mode)).surfaces[0].look
    assert look.is_opaque == (expected is None)
    assert expected is None or sorted(set(np.asarray(look.texture)[..., 3].ravel().tolist())) == expected
    glb = GlbFile()
    glb.square(glb.material(pbrMetallicRoughness={"baseColorFactor": [1, 1, 1, 0.25]}, alphaMode=mode))
    assert read(glb).surfaces[0].look.base_color[3] == {"OPAQUE": 1, "MASK": 0, "BLEND": 0.25}[mode]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width, height):
    """A PNG that claims a size and holds little."""
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:40],
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"GIF89a" + bytes(100),
        b"",
        b"<svg/>",
        WHOLE[:16] + b"\xff" * 8 + WHOLE[24:100],
    ],
    ids=["half", "header only", "no header", "gif", "empty", "svg", "header of rubbish"],
)
def test_picture_that_cannot_be_read_is_refused(data):
    """Never plain white."""
    with pytest.raises((TextureUnreadable, MeshTooLarge), match="image 0"):
        read(textured_square(data))


def test_ktx2_is_refused_by_its_extension():
    """Though a writer forgot to name it."""
    with pytest.raises(MeshUnsupported, match="KHR_texture_basisu"):
        read(textured_square(b"\xabKTX 20\xbb\r\n\x1a\n" + bytes(80)))
    glb = textured_square(WHOLE)
    glb.tree["textures"][0] = {"extensions": {"KHR_texture_basisu": {"source": 0}}}
    with pytest.raises(MeshUnsupported, match="KHR_texture_basisu"):
        read(glb)


@pytest.mark.parametrize("size", [(12_000, 12_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)])
def test_size_of_a_picture_is_read_before_its_pixels(size):
    """A bomb costs nothing."""
    tracemalloc.start()
    with pytest.raises((MeshTooLarge, TextureUnreadable), match="image 0"):
        read(textured_square(png_header(*size)))
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_large_picture_is_kept_small():
    """What is drawn has far fewer pixels."""
    (surface,) = read(textured_square(picture_bytes(np.zeros((4100, 4100, 3))))).surfaces
    assert surface.look.texture.width * surface.look.texture.height <= 2048 * 2048


def test_vertex_colors_without_a_material_are_not_tinted_by_the_stated_one():
    """They are the colour of the thing; what material.json says is their mean, perhaps, and would darken them."""
    glb = GlbFile()
    glb.square(COLOR_0=np.tile(np.array([[1.0, 0.5, 0.0]], dtype=np.float32), (4, 1)))
    (surface,) = read(glb, default=Look((0.8, 0.1, 0.1, 1.0), 0.3, 0.7)).surfaces
    assert surface.look == Look((1.0, 0.5, 0.0, 1.0), 0.3, 0.7)


@pytest.mark.parametrize(("mode", "expected"), [("OPAQUE", [1.0, 1.0]), ("BLEND", [0.2, 0.6]), ("MASK", [0.0, 1.0])])
def test_alpha_of_vertices_is_kept_as_the_material_says(mode, expected):
    """Also where nothing else about the look lets light through."""
    glb = GlbFile()
    alpha = np.array([0.2, 0.2, 0.6, 0.6], dtype=np.float32)
    colors = np.column_stack([np.full((4, 3), 0.5, dtype=np.float32), alpha])
    glb.square(glb.material(alphaMode=mode), COLOR_0=colors)
    (surface,) = read(glb).surfaces
    found = np.full(4, surface.look.base_color[3]) if surface.colors is None else surface.colors[:, 3]
    assert found[[0, 2]] == pytest.approx(expected)


@pytest.mark.parametrize("normalized", [True, False])
def test_integer_colors_are_shares(normalized):
    """Some writers forget to say so; as plain numbers nearly all of them would be white."""
    glb = GlbFile()
    colors = np.tile(np.array([[255, 128, 0]], dtype=np.uint8), (4, 1))
    glb.primitive({"POSITION": glb.array(SQUARE), "COLOR_0": glb.array(colors, normalized=normalized)}, glb.array(SQUARE_FACES))
    (surface,) = read(glb).surfaces
    assert surface.look.base_color == pytest.approx((1.0, 128 / 255, 0.0, 1.0))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GIF89a" + bytes(30), "is GIF, which is not read"),
        (b"\0\0\0 ftypavif" + bytes(30), "is AVIF"),
        (b"<!DOCTYPE html>", "is XML or HTML"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"", "is empty"),
        (b"?" * 40, "is of an unknown format"),
    ],
)
def test_picture_of_another_format_is_refused_by_its_name(data, words):
    """In the same words each time: no address of a buffer."""
    messages = set()
    for _ in range(2):
        with pytest.raises(TextureUnreadable, match=words) as caught:
            read(textured_square(data))
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_texture_without_a_picture_is_named():
    """It is no extension that could be left out."""
    glb = textured_square(WHOLE)
    glb.tree["textures"][0] = {}
    with pytest.raises(MeshUnreadable, match="texture 0 names no picture"):
        read(glb)


def test_pictures_of_many_materials_take_no_more_memory_than_those_of_a_few(monkeypatch):
    """Each has its own colour, and so its own copy of the picture that they share."""
    monkeypatch.setattr("blueprint_pipeline.scene.gltf_images.MAX_LOOK_PIXELS", 64 * 64)
    glb = GlbFile()
    texture = glb.picture(WHOLE)
    for number in range(16):
        pbr = {"baseColorTexture": {"index": texture}, "baseColorFactor": [number / 16, 1, 1, 1]}
        glb.square(glb.material(pbrMetallicRoughness=pbr), TEXCOORD_0=SQUARE_UV)
    pictures = [surface.look.texture for surface in read(glb).surfaces]
    assert len(pictures) == 16
    assert sum(picture.width * picture.height for picture in pictures) <= 64 * 64
