"""Meshes for drawing keep their looks, meshes for collision keep the shape open, and the cache gives the same bytes."""

import os
import subprocess
import sys

import numpy as np
import pytest
import trimesh
from PIL import Image

from blueprint_pipeline.scene import decimate as decimate_module
from blueprint_pipeline.scene import decompose as decompose_module
from blueprint_pipeline.scene.assets import load_surfaces
from blueprint_pipeline.scene.cutting import Work
from blueprint_pipeline.scene.decimate import MAX_TEXTURE_PX, decimate, shrink_texture, simplify
from blueprint_pipeline.scene.decompose import MAX_OVERFILL, decompose, measure_overfill, parts_to_cut
from blueprint_pipeline.scene.gltf import parse_glb
from blueprint_pipeline.scene.manifest import load_manifest
from blueprint_pipeline.scene.mesh_files import build_obj, parse_obj
from blueprint_pipeline.scene.process_meshes import (
    MAX_SCENE_TRIANGLES,
    MeshCache,
    MeshJob,
    MeshReport,
    build_visual,
    collision_folder,
    load_mesh_report,
    process_mesh,
    share_triangles,
)
from blueprint_pipeline.scene.surfaces import Look, Surface, merge_positions
from tests.scene.scene_files import SAMPLES, SCENES

GREY = Look((0.5, 0.5, 0.5, 1.0), 0.0, 0.5)


def surfaces_of(folder, name):
    path = folder / "objects" / name / "mesh.glb"
    return parse_glb(path.read_bytes(), name, str(path))


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


def test_convex_thing_is_one_hull():
    """A can needs one piece, and the piece is as large as the can."""
    mesh = merge_positions(surfaces_of(SCENES / "minimal_ok", "can"))
    pieces = decompose(mesh)
    assert (pieces.method, len(pieces.hulls)) == ("hull", 1)
    hull = trimesh.Trimesh(*pieces.hulls[0])
    assert hull.is_watertight
    assert hull.volume >= mesh.volume * 0.999
    assert np.allclose(hull.bounds, mesh.bounds)


def test_parts_are_one_hull_each():
    """A table is a top and four legs, with room for knees."""
    pieces = decompose(merge_positions(surfaces_of(SAMPLES / "tabletop_scanned", "table")))
    assert len(pieces.hulls) == 5
    assert pieces.overfill == 0


def test_flat_sheet_gets_a_thickness():
    """A picture on a wall collides."""
    sheet = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]], [[0, 1, 2], [0, 2, 3]])
    (vertices, faces), *_ = decompose(sheet).hulls
    assert trimesh.Trimesh(vertices, faces).volume > 0


def test_room_without_thickness_stays_open():
    """Floor and walls of one open sheet become slabs; where people and things are is free."""
    corners = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0], [0, 0, 2.5], [4, 0, 2.5], [4, 3, 2.5], [0, 3, 2.5]], dtype=float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [3, 2, 6], [3, 6, 7], [0, 3, 7], [0, 7, 4], [1, 5, 6], [1, 6, 2]])
    for winding in (faces, faces[:, ::-1]):
        pieces = decompose(trimesh.Trimesh(corners, winding, process=False).subdivide())
        assert len(pieces.hulls) == 4
        assert measure_overfill(pieces.hulls, np.array([[2, 1.5, 0.01], [2, 1.5, 1.2], [0.05, 0.05, 0.01]])) == 0
        floor = min((vertices for vertices, _ in pieces.hulls), key=lambda vertices: np.ptp(vertices[:, 2]))
        assert floor[:, 2].max() < 0.001


def test_closed_carton_is_filled_though_its_seams_are_open():
    """Its inside sees nothing of the world."""
    pieces = decompose(merge_positions(surfaces_of(SAMPLES / "tabletop_scanned", "milk_carton")))
    assert (pieces.method, len(pieces.hulls)) == ("hull", 1)


def test_vessel_stays_open(finished):
    """Things can be put into the ramekin; a hull around it would fail the same measure."""
    context, _ = finished
    mesh = merge_positions(load_surfaces(context.scene, load_manifest(context.scene).object("ramekin")))
    pieces = [parse_obj(context.scene.read_bytes(name)) for name in context.scene.files_under(collision_folder("ramekin"))]
    report = load_mesh_report(context.scene, "ramekin").collision
    assert report.method == "pieces"
    assert 6 <= len(pieces) == report.hulls <= 48
    assert report.gap_m < report.clearance_m
    assert report.overfill <= MAX_OVERFILL
    inside = np.array([[x, y, z] for x in (-0.015, 0, 0.015) for y in (-0.015, 0, 0.015) for z in (0.015, 0.03, 0.04)])
    inside += [*mesh.bounds[:, :2].mean(axis=0), mesh.bounds[0, 2]]
    assert measure_overfill(pieces, inside) == 0
    hull = mesh.convex_hull
    assert measure_overfill([(np.asarray(hull.vertices), np.asarray(hull.faces))], inside) > 0.9
    wall = np.vstack([vertices for vertices, _ in pieces])
    assert np.allclose([wall.min(axis=0), wall.max(axis=0)], mesh.bounds, atol=1e-3), "the rim is where it was"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (SAMPLES / "tabletop_scanned", "akita_black_bowl"),
        (SCENES / "kitchen_counter_yup", "cereal_bowl"),
        (SAMPLES / "tabletop_scanned", "dinner_plate"),
    ],
)
def test_bowls_and_plates_stay_open(folder, name):
    """Cut fine enough, and the same each time."""
    mesh = merge_positions(surfaces_of(folder, name))
    first, second = decompose(mesh), decompose(mesh)
    assert first.overfill <= MAX_OVERFILL
    assert len(first.hulls) <= 48
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first.hulls, second.hulls, strict=True))


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
    return MeshJob("can", source, surfaces)


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
    vertices, _ = parse_obj(process_mesh(MeshJob("can", job.source, larger), cache, 956)["collision/hull_000.obj"])
    assert np.ptp(vertices[:, 2]) == pytest.approx(0.088, abs=0.002)


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


def test_cuts_are_bounded_whatever_the_number_of_parts():
    """Forty cups in one mesh: those whose hulls cover most are cut, the others keep their hulls; the measure tells."""
    cups = []
    for index in range(40):
        cup = trimesh.creation.cylinder(0.02 + 0.001 * index, 0.05, sections=12)
        cup.update_faces(cup.face_normals[:, 2] < 0.5)
        cup.apply_translation((0.2 * index, 0, 0))
        cups.append(cup)
    points = np.array([[0.2 * index, y, 0.0] for index in range(40) for y in np.linspace(0, 0.0005 * index, index + 1)])
    assert sorted(parts_to_cut(cups, points)) == list(range(8, 40))


def open_cylinder():
    """A bag without thickness: a cylinder without its lid."""
    bag = trimesh.creation.cylinder(0.09, 0.2, sections=48)
    bag.update_faces(bag.face_normals[:, 2] < 0.5)
    bag.remove_unreferenced_vertices()
    return bag


def crumpled(faces=4000):
    """A ball of sharp folds that touch one another, of separate triangles: nothing about it is closed or convex."""
    rng = np.random.default_rng(4)
    centers = rng.normal(size=(faces, 1, 3))
    corners = centers / np.linalg.norm(centers, axis=2, keepdims=True) * 0.1 + rng.normal(scale=0.012, size=(faces, 3, 3))
    return trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * faces).reshape(-1, 3), process=False)


def cups(count=28):
    """A basket of so many cups with thick walls, in one mesh."""
    parts = [trimesh.creation.annulus(0.016, 0.02, 0.06, sections=24) for _ in range(count)]
    for index, part in enumerate(parts):
        part.apply_translation((0.05 * (index % 7), 0.05 * (index // 7), 0))
    return trimesh.util.concatenate(parts)


@pytest.fixture
def splits(monkeypatch):
    """Triangles of the pieces that were split, counted at the library's door."""
    found = []

    class Counting(Work):
        def spend(self, piece):
            before = self.left
            super().spend(piece)
            found.append(before - self.left)

    monkeypatch.setattr(decompose_module, "Work", Counting)
    return found


@pytest.mark.parametrize(("make", "limit"), [(open_cylinder, 3_000_000), (crumpled, 3_000_000), (cups, 9_000_000)])
def test_work_is_bounded_in_triangles(splits, make, limit):
    """Whatever the mesh: seconds follow from it, and no machine stops earlier than another."""
    pieces = decompose(make())
    assert sum(splits[:-1]) <= limit  # the last split may go beyond it, none follows
    assert len(pieces.hulls) <= 256


def test_bag_without_thickness_stays_open():
    """A ring is as empty as its halves: only a look ahead finds the cuts. The wall is where it was."""
    bag = open_cylinder()
    pieces = decompose(bag)
    assert pieces.overfill <= 0.005
    assert pieces.gap_m < 0.003
    assert len(pieces.hulls) <= 16
    corners = np.vstack([vertices for vertices, _ in pieces.hulls])
    assert np.allclose([corners.min(axis=0), corners.max(axis=0)], bag.bounds, atol=1e-3), "no thicker than it was"


def test_every_part_of_a_basket_is_true():
    """A part may not use up what all of them may overfill."""
    pieces = decompose(cups(6))
    assert pieces.overfill <= MAX_OVERFILL
    assert len(pieces.hulls) >= 6 * 6


def test_beads_that_overlap_are_one_ring():
    """Their volumes count what they share twice: taken for convex, the ring was one hull over its own middle."""
    beads = []
    for turn in np.arange(70) * 2 * np.pi / 70:
        bead = trimesh.creation.icosphere(subdivisions=1, radius=0.03)
        bead.apply_translation([0.2 * np.cos(turn), 0.2 * np.sin(turn), 0.0])
        beads.append(bead)
    pieces = decompose(trimesh.util.concatenate(beads))
    assert len(pieces.hulls) > 6
    assert pieces.overfill <= MAX_OVERFILL
    assert pieces.gap_m < pieces.clearance_m
    assert measure_overfill(pieces.hulls, np.zeros((1, 3))) == 0.0, "its middle is free"


def test_used_up_work_ends_the_cutting(monkeypatch):
    """The pieces are those that were reached; the report says how true they are."""
    monkeypatch.setattr(decompose_module, "_WORK", 20_000)
    pieces = decompose(open_cylinder())
    assert pieces.overfill > MAX_OVERFILL


_PRINT_DIGEST = """
import hashlib
from blueprint_pipeline.scene.decompose import decompose
from tests.scene.test_meshes import cups, open_cylinder
digest = hashlib.sha256()
for mesh in (open_cylinder(), cups(3)):
    for vertices, faces in decompose(mesh).hulls:
        digest.update(vertices.tobytes() + faces.tobytes())
print(digest.hexdigest())
"""


def test_number_of_threads_does_not_show():
    """One thread on one processor, and as many as there are: the same bytes."""
    found = set()
    for threads, processors in (("1", {min(os.sched_getaffinity(0))}), ("2", os.sched_getaffinity(0))):
        command = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {processors!r})" + _PRINT_DIGEST]
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)}
        found.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1


def test_decomposition_writes_nothing_to_the_terminal(capfd):
    """JSON logs and tables stand there."""
    pieces = decompose(trimesh.creation.annulus(0.03, 0.04, 0.05, sections=12))
    assert pieces.method == "pieces"
    assert capfd.readouterr() == ("", "")
