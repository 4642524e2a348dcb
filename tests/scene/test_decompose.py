"""Meshes for collision keep the shape open, in few pieces and bounded work, the same everywhere."""

import os
import subprocess
import sys

import numpy as np
import pytest
import trimesh

from blueprint_pipeline.scene import decompose as decompose_module
from blueprint_pipeline.scene.assets import load_bodies
from blueprint_pipeline.scene.cutting import WorkBudget
from blueprint_pipeline.scene.decompose import MAX_OVERFILL, decompose, measure_overfill, parts_to_cut
from blueprint_pipeline.scene.manifest import load_manifest
from blueprint_pipeline.scene.mesh_files import parse_obj
from blueprint_pipeline.scene.process_meshes import (
    collision_folder,
    load_mesh_report,
)
from blueprint_pipeline.scene.surfaces import merge_positions
from tests.scene.scene_files import SAMPLES, SCENES, surfaces_of
from tests.scene.shapes import beads, crumpled, cups, open_cylinder


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
    mesh = merge_positions(load_bodies(context.scene, load_manifest(context.scene).object("ramekin"))["ramekin"])
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


@pytest.fixture
def splits(monkeypatch):
    """Triangles of the pieces that were split, counted at the library's door."""
    found = []

    class Counting(WorkBudget):
        def spend(self, piece):
            before = self.left
            super().spend(piece)
            found.append(before - self.left)

    monkeypatch.setattr(decompose_module, "WorkBudget", Counting)
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
    pieces = decompose(trimesh.util.concatenate(beads(70, 0.03)))
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
from tests.scene.shapes import cups, open_cylinder
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
