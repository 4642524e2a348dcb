"""One and the same look in the source, in MuJoCo and in USD."""

import mujoco
import numpy as np
import pytest
import trimesh
from PIL import Image
from pxr import Usd, UsdGeom, UsdShade

from blueprint_pipeline.scene.assemble import load_assets
from blueprint_pipeline.scene.bake import bake, bake_onto
from blueprint_pipeline.scene.checks import check_scene
from blueprint_pipeline.scene.colors import to_display, to_linear
from blueprint_pipeline.scene.decimate import draw_with, simplify
from blueprint_pipeline.scene.gltf import parse_glb
from blueprint_pipeline.scene.mesh_files import build_glb
from blueprint_pipeline.scene.mjcf import BACKDROP, build_twin
from blueprint_pipeline.scene.process_meshes import MAX_OBJECT_TRIANGLES, build_visual
from blueprint_pipeline.scene.surfaces import Look, Surface, merge_positions
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, make_renderer
from tests.scene.finished_scene import run_all
from tests.scene.scene_files import SCENES, write_mesh

HALF = Look((0.2158, 0.5, 1.0, 1.0), 0.0, 0.5)


def sphere(look, subdivisions=2, colors=None, radius=0.04):
    ball = trimesh.creation.icosphere(subdivisions, radius)
    chosen = None if colors is None else colors(np.asarray(ball.vertices) / radius)
    return Surface(np.asarray(ball.vertices), np.asarray(ball.faces, dtype=np.int64), None, look, chosen)


def by_place(points):
    """A colour that follows the place, with alpha 1."""
    return np.column_stack([(points + 1) / 2, np.ones(len(points))])


def color_of(surface, face, weights):
    """Linear colour that is drawn at a place of a face, as a renderer samples it."""
    u, v = weights @ surface.uv[surface.faces[face]]
    texture = np.asarray(surface.look.texture)[..., :3] / 255
    rows, columns = texture.shape[:2]
    x, y = u * columns - 0.5, (1 - v) * rows - 0.5
    left, top = int(np.floor(x)), int(np.floor(y))
    found = np.zeros(3)
    for dy in (0, 1):
        for dx in (0, 1):
            share = (1 - abs(x - left - dx)) * (1 - abs(y - top - dy))
            found += share * to_linear(texture[min(max(top + dy, 0), rows - 1), min(max(left + dx, 0), columns - 1)])
    return found


@pytest.mark.parametrize("faces", [1, 2, 7, 320], ids=str)
def test_baked_colors_are_those_of_the_vertices(faces):
    """In the middle and at the corners of every face, without a neighbour's colour bleeding in."""
    ball = sphere(Look((1, 1, 1, 1), 0, 1), colors=by_place)
    part = Surface(ball.vertices, ball.faces[:faces], None, ball.look, ball.colors)
    baked = bake(part)
    for face in range(0, faces, 5):
        for weights in (np.full(3, 1 / 3), np.array([0.98, 0.01, 0.01]), np.array([0.01, 0.01, 0.98]), np.array([0.0, 0.5, 0.5])):
            expected = weights @ part.colors[part.faces[face], :3]
            assert color_of(baked, face, weights) == pytest.approx(expected, abs=0.06)


def test_decimated_colors_are_those_of_the_place():
    """A fine scan with vertex colours, drawn with few triangles."""
    fine = sphere(Look((1, 1, 1, 1), 0, 1), 5, by_place)
    drawn = draw_with(fine, 500)
    assert len(drawn.faces) <= 550
    centers = drawn.vertices[drawn.faces].mean(axis=1)
    for face in range(0, len(drawn.faces), 17):
        expected = by_place(centers[face][None] / 0.04)[0, :3]
        assert color_of(drawn, face, np.full(3, 1 / 3)) == pytest.approx(expected, abs=0.06)


def test_inner_wall_keeps_its_own_color():
    """A cup that is red outside and blue inside, its wall 2 mm thick."""
    red, blue = Look((1, 0, 0, 1), 0, 1), Look((0, 0, 1, 1), 0, 1)
    outer, inner = sphere(red, 4, radius=0.04), sphere(blue, 4, radius=0.038)
    inner = Surface(inner.vertices, inner.faces[:, ::-1], None, blue)
    solid = simplify(merge_positions([outer, inner]), 600)
    baked = bake_onto(np.asarray(solid.vertices), np.asarray(solid.faces), [outer, inner])
    outside = np.linalg.norm(np.asarray(solid.triangles_center), axis=1) > 0.0385
    found = np.array([color_of(baked, face, np.full(3, 1 / 3)) for face in range(len(solid.faces))])
    assert (found[outside, 0] > found[outside, 2]).mean() > 0.95
    assert (found[~outside, 2] > found[~outside, 0]).mean() > 0.95


def test_triangle_budget_holds_where_every_triangle_is_a_chart():
    """Seams everywhere: there is no edge to save, so shape and picture are made anew. Crumbs, too."""
    ball = trimesh.creation.icosphere(5, 0.05)
    corners = np.asarray(ball.triangles).reshape(-1, 3)
    uv = np.random.default_rng(0).random((len(corners), 2))
    picture = Image.new("RGB", (64, 64), (200, 30, 30))
    torn = Surface(corners, np.arange(len(corners)).reshape(-1, 3), uv, Look((1, 1, 1, 1), 0, 1, picture))
    crumbs = Surface(corners + np.repeat(ball.face_normals * 0.01, 3, axis=0), torn.faces, None, HALF)
    for surfaces in ([torn], [crumbs], [torn, crumbs]):
        (surface, *_) = drawn = parse_glb(build_visual("a", surfaces, MAX_OBJECT_TRIANGLES)["visual.glb"], "a", "b")
        assert sum(len(item.faces) for item in drawn) <= 1.1 * MAX_OBJECT_TRIANGLES
        assert surface.look.texture is None or np.abs(np.asarray(surface.look.texture)[:8, :8].mean(axis=(0, 1)) - (200, 30, 30)).max() < 8


def test_many_textures_take_no_more_memory_than_a_few():
    """Of one object."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8))
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    surfaces = []
    for index in range(32):
        other = picture.copy()
        other.putpixel((0, 0), (index, 0, 0))
        surfaces.append(Surface(square + index, np.array([[0, 1, 2], [0, 2, 3]]), square[:, :2] * 3, Look((1, 1, 1, 1), 0, 1, other)))
    drawn = parse_glb(build_visual("a", surfaces, 1000)["visual.glb"], "a", "b")
    assert sum(surface.look.texture.width * surface.look.texture.height for surface in drawn) <= 4 * 512 * 512


def test_display_and_linear_values_are_inverse():
    """And half the light is 188 of 255."""
    values = np.linspace(0, 1, 300)
    assert to_linear(to_display(values)) == pytest.approx(values, abs=1e-12)
    assert to_display(np.array([0.5]))[0] * 255 == pytest.approx(187.5, abs=0.1)


@pytest.fixture(scope="module")
def dressed(tmp_path_factory, mesh_cache):
    """The small scene with a plain can, and a ramekin that lets light through."""
    import shutil

    source = tmp_path_factory.mktemp("dressed") / "source"
    shutil.copytree(SCENES / "minimal_ok", source)
    for name, look in (("can", HALF), ("ramekin", Look((1.0, 1.0, 1.0, 0.4), 0.0, 0.5))):
        (surface,) = parse_glb((source / f"objects/{name}/mesh.glb").read_bytes(), name, "mesh.glb")
        write_mesh(source, name, [Surface(surface.vertices, surface.faces, None, look)])
    return run_all(source.parent / "scene", source, mesh_cache)[0]


def test_a_plain_color_is_the_same_in_both_twins(dressed):
    """MuJoCo draws display values, USD linear ones: 0.2158 of the light is 128 of 255 on the display."""
    model = mujoco.MjModel.from_xml_path(str(dressed.input("mjcf/scene.xml")))
    assert model.mat("can_visual").rgba == pytest.approx([0.502, 0.7354, 1.0, 1.0], abs=1e-3)
    stage = Usd.Stage.Open(str(dressed.input("usd/scene.usda")))
    shader = UsdShade.Shader(stage.GetPrimAtPath("/World/objects/can/Looks/visual_0/surface"))
    assert tuple(shader.GetInput("diffuseColor").Get()) == pytest.approx(HALF.base_color[:3], abs=1e-4)
    assert not shader.GetInput("opacity")


def test_a_camera_that_looks_out_of_the_scene_sees_a_photographers_paper(dressed):
    """Plain grey everywhere, no brighter below, and never black: what a camera sees where the reconstruction ends."""
    model = mujoco.MjModel.from_xml_path(str(dressed.input("mjcf/scene.xml")))
    camera = model.camera("scene")
    camera.pos[:], camera.quat[:] = (0.0, 0.0, 50.0), (np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = make_renderer(model, 64, 48, choose_backend("auto"))
    try:
        renderer.look(data, camera.id)
        sky = renderer.draw()[:20].astype(int)
    finally:
        renderer.close()
    assert np.ptp(sky, axis=2).max() <= 1, "grey has no colour"
    assert (np.diff(sky.mean(axis=(1, 2))) <= 0.5).all(), "darker below"
    lighter, darker = (255 * grey[0] for grey in BACKDROP)
    assert darker - 1 <= sky.min() <= sky.max() <= lighter + 1


def test_a_twin_without_looks_has_no_backdrop(dressed):
    """It is never drawn, and is made faster."""
    assets = load_assets(dressed.scene)
    drawn, bare = (build_twin(assets, is_drawn=is_drawn)["scene.xml"] for is_drawn in (True, False))
    assert b'type="skybox"' in drawn
    assert b'type="skybox"' not in bare


def test_light_passes_in_both_twins(dressed):
    """What is transparent in the source is so in MuJoCo and USD."""
    model = mujoco.MjModel.from_xml_path(str(dressed.input("mjcf/scene.xml")))
    assert model.mat("ramekin_visual").rgba[3] == pytest.approx(0.4)
    stage = Usd.Stage.Open(str(dressed.input("usd/scene.usda")))
    shader = UsdShade.Shader(stage.GetPrimAtPath("/World/objects/ramekin/Looks/visual_0/surface"))
    assert shader.GetInput("opacity").Get() == pytest.approx(0.4)


def open_cup(look):
    """A cylinder without a lid and without thickness."""
    cup = trimesh.creation.cylinder(0.035, 0.08, sections=32)
    cup.update_faces(cup.face_normals[:, 2] < 0.5)
    cup.apply_translation((0, 0, 0.04))
    return Surface(np.asarray(cup.vertices), np.asarray(cup.faces, dtype=np.int64), None, look)


def test_open_bag_is_drawn_on_both_sides(small, tmp_path, mesh_cache):
    """MuJoCo draws no backs, so these are drawn as faces of their own; USD says so by its attribute."""
    write_mesh(small, "can", [open_cup(Look((0.0, 1.0, 0.0, 1.0), 0.0, 1.0))])
    context, _ = run_all(tmp_path / "scene", small, mesh_cache)
    model = mujoco.MjModel.from_xml_path(str(context.input("mjcf/scene.xml")))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    mesh = model.mesh("can_visual").id
    assert model.mesh_facenum[mesh] == 2 * len(open_cup(HALF).faces)
    normals = model.mesh_normal[model.mesh_normaladr[mesh] :][: model.mesh_normalnum[mesh]]
    assert (np.linalg.norm(normals, axis=1) > 0.5).all(), "normals of the two sides do not cancel"
    stage = Usd.Stage.Open(str(context.input("usd/scene.usda")))
    assert UsdGeom.Mesh(stage.GetPrimAtPath("/World/objects/can/visual_0")).GetDoubleSidedAttr().Get()
    assert not UsdGeom.Mesh(stage.GetPrimAtPath("/World/objects/ramekin/visual_0")).GetDoubleSidedAttr().Get()


def add_to_background(scene, surface):
    """One more part of the background."""
    file = scene / "background/mesh.glb"
    file.write_bytes(build_glb("background", [*parse_glb(file.read_bytes(), "background", "mesh.glb"), surface]))


def picture_of(context):
    """What the scene's camera sees, in colours, without light from anywhere but the camera."""
    model = mujoco.MjModel.from_xml_path(str(context.input("mjcf/scene.xml")))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    with make_renderer(model, 160, 120, choose_backend("auto")) as renderer:
        renderer.look(data, model.camera("scene").id)
        return renderer.draw().astype(int)


def is_green(picture):
    return (picture[..., 1] > picture[..., 0] + 20) & (picture[..., 1] > picture[..., 2] + 20)


@pytest.mark.parametrize("inside_out", [False, True], ids=["as it should be", "the other way round"])
def test_a_room_is_seen_from_inside(small, tmp_path, mesh_cache, inside_out):
    """Whichever way the file winds its walls: MuJoCo draws no backs, and a wall is not to be seen through."""
    room = trimesh.creation.box((3, 3, 5))
    room.apply_translation((0, 0, 2.5))
    green = Look((0.0, 0.6, 0.0, 1.0), 0.0, 1.0)
    faces = np.asarray(room.faces, dtype=np.int64)
    add_to_background(small, Surface(np.asarray(room.vertices), faces if inside_out else faces[:, ::-1], None, green))
    context, _ = run_all(tmp_path / "scene", small, mesh_cache)
    told = [finding.where for finding in check_scene(str(small)) if finding.code == "scene.mesh_mended"]
    assert told == (["background"] if inside_out else [])
    assert is_green(picture_of(context)).mean() > 0.5


@pytest.mark.parametrize("turned", [False, True])
def test_an_open_wall_is_drawn_on_both_sides(small, tmp_path, mesh_cache, turned):
    """A wall of one sheet behind the table: its front is seen however it is wound."""
    ahead, across = np.array([-0.6, 0.8, 0.0]), np.array([0.8, 0.6, 0.0])
    corners = np.array([ahead + side * across + height * np.array([0, 0, 1]) for side, height in ((-3, 0), (3, 0), (3, 3), (-3, 3))])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    add_to_background(small, Surface(corners, faces[:, ::-1] if turned else faces, None, Look((0.0, 0.6, 0.0, 1.0), 0.0, 1.0)))
    context, _ = run_all(tmp_path / "scene", small, mesh_cache)
    assert is_green(picture_of(context)).mean() > 0.1


def test_alpha_of_a_picture_survives_the_round_trip():
    """As RGBA, blended."""
    pixels = np.full((4, 4, 4), 100, dtype=np.uint8)
    uv = np.array([[0.0, 0], [1, 0], [0, 1]])
    surface = Surface(np.eye(3), np.array([[0, 1, 2]]), uv, Look((1, 1, 1, 1), 0, 1, Image.fromarray(pixels)))
    (found,) = parse_glb(build_glb("a", [surface]), "a", "b")
    assert found.look.texture.mode == "RGBA"
    assert (np.asarray(found.look.texture) == pixels).all()
