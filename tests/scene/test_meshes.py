"""Meshes for drawing keep their looks, and the cache gives the same bytes."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import trimesh
from PIL import Image

from blueprint_pipeline.scene import decimate as decimate_module
from blueprint_pipeline.scene.decimate import MAX_TEXTURE_PX, decimate, shrink_texture, simplify
from blueprint_pipeline.scene.gltf import parse_glb
from blueprint_pipeline.scene.mesh_files import build_obj, parse_obj
from blueprint_pipeline.scene.process_meshes import (
    MAX_SCENE_TRIANGLES,
    MeshCache,
    MeshJob,
    MeshReport,
    build_visual,
    find_mesh,
    load_mesh_report,
    process_mesh,
    share_triangles,
)
from blueprint_pipeline.scene.surfaces import Look, Surface, merge_positions
from tests.scene.scene_files import SAMPLES, SCENES, surfaces_of

GREY = Look((0.5, 0.5, 0.5, 1.0), 0.0, 0.5)


def colours_at(surface, points):
    """Colour of the texture at the point of a surface that is nearest to each point, shape (N, 3)."""
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    closest, _, face = trimesh.proximity.closest_point(mesh, points)
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[face], closest).clip(0, 1)
    uv = np.einsum("pk,pki->pi", weights / weights.sum(axis=1, keepdims=True), surface.uv[surface.faces[face]])
    picture = np.asarray(surface.look.texture, dtype=float)
    columns = np.clip((uv[:, 0] * picture.shape[1]).astype(int), 0, picture.shape[1] - 1)
    rows = np.clip(((1 - uv[:, 1]) * picture.shape[0]).astype(int), 0, picture.shape[0] - 1)
    return picture[rows, columns]


@pytest.mark.parametrize("name", ["akita_black_bowl", "dinner_plate", "ramekin"])
def test_decimated_surface_keeps_shape_and_colours(name):
    """Few triangles, within a millimetre, no tear, and the same colour at the same place (a smeared seam would show)."""
    surface = surfaces_of(SAMPLES / "tabletop_scanned", name)[0]
    thin = decimate(surface, 2000)
    assert 1900 <= len(thin.faces) <= 2600
    before, after = merge_positions([surface]), merge_positions([thin])
    points, faces = trimesh.sample.sample_surface(before, 1500, seed=1)
    distance = trimesh.proximity.closest_point(after, points)[1]
    assert distance.max() < 1.5e-3
    assert after.volume == pytest.approx(before.volume, rel=0.03)
    lifted = points + 2e-4 * before.face_normals[faces]  # the other side of a thin wall is farther away
    difference = np.abs(colours_at(surface, lifted) - colours_at(thin, lifted)).mean(axis=1)
    assert np.median(difference) < 20
    assert (difference > 120).mean() < 0.06


def test_surface_with_few_triangles_is_left_alone():
    """Nothing is lost where nothing is saved."""
    surface = surfaces_of(SCENES / "minimal_ok", "can")[0]
    assert decimate(surface, 5000) is surface
    mesh = merge_positions([surface])
    assert simplify(mesh, 5000) is mesh


def test_plain_surface_is_decimated_too():
    """Without texture coordinates."""
    ball = trimesh.creation.icosphere(subdivisions=4)
    thin = decimate(Surface(np.asarray(ball.vertices), np.asarray(ball.faces), None, GREY), 300)
    assert len(thin.faces) <= 320
    assert merge_positions([thin]).is_watertight


def test_something_is_left_of_many_small_parts(monkeypatch):
    """Where edges cannot save enough, and a coarse grid swallows every part, the fewest triangles that were found are drawn."""
    rng = np.random.default_rng(2)
    spots = [trimesh.creation.icosphere(subdivisions=2, radius=0.002) for _ in range(24)]
    for spot in spots:
        spot.apply_translation(rng.uniform(-1, 1, 3))
    many = trimesh.util.concatenate(spots)
    assert 0 < len(simplify(many, 20).faces) < len(many.faces) / 2
    monkeypatch.setattr(decimate_module, "_AGGRESSIONS", ())
    assert len(simplify(many, 20).faces) == len(many.faces), "where nothing fewer was found, that is what is drawn"


def test_surface_without_an_area_is_not_drawn():
    """A look whose triangles are all lines; the rest of the object is."""
    ball = trimesh.creation.icosphere(subdivisions=2)
    lines = np.repeat(np.arange(60), 3).reshape(-1, 3)
    flat = Surface(np.asarray(ball.vertices), lines, None, Look((1, 0, 0, 1), 0, 1))
    files = build_visual("thing", [flat, Surface(np.asarray(ball.vertices), np.asarray(ball.faces), None, GREY)], 30)
    assert len(parse_glb(files["visual.glb"], "thing", "visual.glb")) == 1


def test_texture_is_made_small_and_its_background_does_not_bleed():
    """A white chart on black stays white up to its border."""
    picture = Image.new("RGB", (1024, 1024))
    picture.paste((255, 255, 255), (0, 0, 512, 1024))
    uv = np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]])
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    surface = Surface(corners, np.array([[0, 1, 2], [0, 2, 3]]), uv, Look((1, 1, 1, 1), 0, 1, picture))
    texture = shrink_texture(surface).look.texture
    assert max(texture.size) == MAX_TEXTURE_PX
    assert np.asarray(texture).min() > 250


def test_repeating_texture_is_kept_whole():
    """Coordinates beyond 0..1 use all of it."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    surface = Surface(np.eye(3), np.array([[0, 1, 2]]), np.array([[0.0, 0], [3, 0], [0, 3]]), Look((1, 1, 1, 1), 0, 1, picture))
    assert shrink_texture(surface).look.texture.tobytes() == picture.tobytes()


def test_obj_survives_the_round_trip():
    """To a tenth of a micrometre; with texture coordinates too."""
    vertices, faces = np.array([[0.1234567, -1, 0], [1, 0, -0.0], [0, 1, 2.5]]), np.array([[0, 1, 2]])
    for uv in (None, np.array([[0.0, 0], [1, 0], [0, 1]])):
        found, triangles = parse_obj(build_obj(vertices, faces, uv))
        assert found == pytest.approx(vertices, abs=1e-7)
        assert (triangles == faces).all()
    assert b"-0 " not in build_obj(vertices, faces)


def test_triangles_are_shared_fairly():
    """Small objects keep all; large ones share what is left; the scene's bound holds."""
    counts = {"a": 12_000, "b": 8_000, "c": 300, "d": 3_400, "e": 5_000, "f": 9_000, "g": 9_000}
    most = share_triangles(counts)
    assert sum(min(count, most) for count in counts.values()) <= MAX_SCENE_TRIANGLES
    assert most > 300
    assert share_triangles({"a": 100}) >= 100


@pytest.fixture
def job():
    source = (SCENES / "minimal_ok/objects/can/mesh.glb").read_bytes()
    surfaces = parse_glb(source, "can", "mesh.glb")
    return MeshJob("can", sha256(source).hexdigest(), surfaces)


def test_cache_gives_the_same_bytes_and_mends_itself(job, tmp_path):
    """Found again by content; a damaged entry is made again."""
    cache = MeshCache(tmp_path)
    files = process_mesh(job, cache, 500)
    assert set(files) == {"visual.glb", "collision/hull_000.obj", "meshes.json"}
    entries = sorted(path.name for path in tmp_path.iterdir())
    assert process_mesh(job, cache, 500) == files
    for path in tmp_path.rglob("*.obj"):
        path.write_bytes(b"damaged")
    assert process_mesh(job, cache, 500) == files
    assert process_mesh(job, MeshCache(tmp_path / "other"), 500) == files
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "other") == entries


def test_other_parameters_are_other_entries(job, tmp_path):
    """Fewer triangles, or another scale, are not found under the old key."""
    cache = MeshCache(tmp_path)
    process_mesh(job, cache, 956)
    assert MeshReport.model_validate_json(process_mesh(job, cache, 850)["meshes.json"]).visual.triangles_after <= 850
    larger = [surface.moved(np.eye(3) * 1.1) for surface in job.surfaces]
    vertices, _ = parse_obj(process_mesh(MeshJob("can", job.source_sha256, larger), cache, 956)["collision/hull_000.obj"])
    assert np.ptp(vertices[:, 2]) == pytest.approx(0.088, abs=0.002)


def test_another_look_is_another_entry(job, tmp_path):
    """A mesh without a material is drawn as material.json says: other figures there are another picture."""
    cache = MeshCache(tmp_path)
    process_mesh(job, cache, 500)
    rough = [replace(surface, look=replace(surface.look, roughness=0.123)) for surface in job.surfaces]
    assert find_mesh(replace(job, surfaces=rough), cache, 500) is None


def test_report_tells_what_was_done(finished):
    """Measured, per object; the background is a table, whose top and legs are solids."""
    context, results = finished
    can, background = (load_mesh_report(context.scene, name) for name in ("can", "background"))
    assert can.collision.hulls == 1
    assert background.collision.hulls == 5
    assert results["process_meshes"].hulls > 8


@pytest.mark.parametrize("torn", [b"", b'{"visual.glb": "12', b"[]", b"{}", b"\xff", b'{"visual.glb": 3}'])
def test_torn_cache_entry_is_made_again(job, tmp_path, torn):
    """A full disk or a lost machine may leave an index that is cut off."""
    cache = MeshCache(tmp_path)
    files = process_mesh(job, cache, 500)
    for index in tmp_path.glob("*/index.json"):
        index.write_bytes(torn)
    assert process_mesh(job, cache, 500) == files
