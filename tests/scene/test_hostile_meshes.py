"""Meshes that no reconstruction should give: cutting ends within its bounds, and its figures are true."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from manifold3d import Manifold
from scipy.spatial import cKDTree

from blueprint_pipeline.scene import decompose as decompose_module
from blueprint_pipeline.scene import solidify as solidify_module
from blueprint_pipeline.scene.cutting import Cutter, WorkBudget, bodies_of, merge
from blueprint_pipeline.scene.decimate import simplify
from blueprint_pipeline.scene.decompose import MAX_OVERFILL, decompose, measure_gap, measure_overfill
from blueprint_pipeline.scene.mass import with_small_holes_closed
from blueprint_pipeline.scene.solidify import solidify
from tests.scene.shapes import beads


def separate(corners):
    """Triangles (F, 3, 3) that share no vertex."""
    return trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3), process=False)


def soup(rng, count):
    """Triangles of any size anywhere."""
    return separate(rng.uniform(-0.1, 0.1, (count, 1, 3)) + rng.normal(scale=rng.uniform(0.001, 0.1), size=(count, 3, 3)))


def slivers(rng, count):
    """Triangles a thousand times longer than wide."""
    along, across = (way / np.linalg.norm(way, axis=1, keepdims=True) for way in rng.normal(size=(2, count, 3)))
    start = rng.uniform(-0.1, 0.1, (count, 3))
    return separate(np.stack([start, start + 0.2 * along, start + 2e-4 * across], axis=1))


def bodies(rng, count):
    """Closed bodies, some inside out, many within one another."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]]) * rng.uniform(5e-4, 0.02)
    vertices = corners + rng.uniform(-0.1, 0.1, (count, 1, 3))
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]) + 4 * np.arange(count)[:, None, None]
    turned = rng.random(count) < 0.2
    faces[turned] = faces[turned][:, :, ::-1]
    return trimesh.Trimesh(vertices.reshape(-1, 3), faces.reshape(-1, 3), process=False)


def flat(rng, count):
    """Triangles of one plane."""
    return separate(rng.uniform(-0.1, 0.1, (count, 3, 3)) * [1, 1, 0])


def duplicated(rng, count):
    """Every triangle several times, in both windings."""
    corners = rng.uniform(-0.1, 0.1, (max(1, count // 6), 3, 3))
    return separate(np.concatenate([corners, corners, corners[:, ::-1]]))


@settings(max_examples=10)
@given(kind=st.sampled_from([soup, slivers, bodies, flat, duplicated]), count=st.integers(1, 400), seed=st.integers(0, 2**32 - 1))
def test_any_mesh_is_cut_within_bounds(kind, count, seed):
    """Few hulls that have a volume; the overfill is that of these hulls, and no place of the surface is farther off than the gap."""
    mesh = kind(np.random.default_rng(seed), count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decompose_module, "_WORK", 60_000)
        pieces = decompose(mesh)
    assert 1 <= len(pieces.hulls) <= 256
    assert all(trimesh.Trimesh(*hull, process=False).volume > 0 for hull in pieces.hulls)
    surface = np.asarray(trimesh.sample.sample_surface(mesh, 500, seed=1)[0])
    assert measure_gap(pieces.hulls, surface) <= pieces.gap_m + 0.02 * mesh.scale, "what 3000 points cannot miss"
    free = decompose_module._free_points(simplify(mesh, decompose_module._FACES), pieces.clearance_m)
    assert pieces.overfill == measure_overfill(pieces.hulls, free)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@given(ratio=st.floats(1e-6, 1.0), count=st.integers(1, 10), seed=st.integers(0, 2**32 - 1))
def test_points_cover_every_triangle(scale, ratio, count, seed):
    """However thin it is; a thin one takes as many as it is long."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-1, 1, (count, 3, 3))
    corners[:, 2] = corners[:, 0] + (corners[:, 2] - corners[:, 0]) * ratio
    mesh, step = separate(corners * scale), 0.02 * scale
    points = solidify_module._covering_points(mesh, step)
    places = trimesh.sample.sample_surface(mesh, 500, seed=0)[0] if mesh.area > 0 else mesh.vertices
    assert cKDTree(points).query(places)[0].max() <= step
    spacing = solidify_module._SPACING * step
    longest = mesh.edges_unique_length.max() / spacing
    assert len(points) <= mesh.area / spacing**2 + count * (3 * longest + 4), "a row more than its height gives, a point more in each"


def test_points_are_bounded(monkeypatch):
    """A layer has larger cells where it would take too many; what it is off by says so. One that still has too many is none."""
    mesh = soup(np.random.default_rng(0), 60)
    fine = solidify(mesh, mesh, 40)
    monkeypatch.setattr(solidify_module, "_MAX_POINTS", 2000)
    coarse = solidify(mesh, mesh, 40)
    assert coarse.off_m > 1.4 * fine.off_m
    monkeypatch.setattr(solidify_module, "_MAX_POINTS", 100)
    assert solidify(mesh, mesh, 40) is None
    assert len(decompose(mesh).hulls) == 1


@pytest.mark.parametrize("make", [Manifold, lambda: Manifold.cube((-1.0, 1.0, 1.0))], ids=["nothing", "an error"])
def test_layer_that_failed_leaves_the_hull(monkeypatch, make):
    """The library reports what went wrong, and raises nothing: the overfill tells."""
    bag = trimesh.creation.cylinder(0.09, 0.2, sections=48)
    bag.update_faces(bag.face_normals[:, 2] < 0.5)
    monkeypatch.setattr(Manifold, "level_set", staticmethod(lambda *_: make()))
    pieces = decompose(bag)
    assert len(pieces.hulls) == 1
    assert pieces.overfill > MAX_OVERFILL
    assert pieces.gap_m < 1e-9


def test_bodies_that_are_inside_out_are_not_lost():
    """Beads of one mesh, some turned: each is there, and a hollow within one stays filled."""
    ring = beads(64, 0.008)
    for bead in ring[::8]:
        bead.invert()
    hollow = ring[1].copy()
    hollow.vertices = (hollow.vertices + hollow.centroid) / 2
    hollow.invert()
    mesh = trimesh.util.concatenate([*ring, hollow])
    assert solidify(mesh, mesh, 40).solid.volume() == pytest.approx(64 * ring[1].volume, rel=1e-6)
    pieces = decompose(mesh)
    assert pieces.gap_m < pieces.clearance_m


def test_cuts_that_make_the_gap_smaller_are_kept(monkeypatch):
    """Pieces of few vertices leave a wide gap: equally open, more of them leave less."""
    monkeypatch.setattr(decompose_module, "_PIECE_VERTICES", 8)
    ring = trimesh.creation.torus(0.1, 0.03, major_sections=64, minor_sections=32)
    steps = decompose_module._STEPS
    monkeypatch.setattr(decompose_module, "_STEPS", steps[:1])
    coarse = decompose(ring)
    assert coarse.overfill <= MAX_OVERFILL
    assert coarse.gap_m > coarse.clearance_m
    monkeypatch.setattr(decompose_module, "_STEPS", steps)
    fine = decompose(ring)
    assert fine.overfill <= MAX_OVERFILL
    assert fine.gap_m < 0.8 * coarse.gap_m


def test_thousands_of_bodies_are_few_pieces():
    """As many as may be merged; each body is found as the library finds it."""
    mesh = bodies(np.random.default_rng(3), 1200)
    cutter = Cutter(solidify(mesh, mesh, 40).solid, WorkBudget(300_000))
    cutter.cut(64)
    assert len(cutter.pieces) <= 192
    assert len(merge(cutter.pieces, 16)) <= 16


def test_bodies_are_those_of_the_library():
    """The same volumes."""
    solid = Manifold.compose([Manifold.cube((1.0, 1.0, 1.0 + index)).translate((3.0 * index, 0, 0)) for index in range(5)])
    assert sorted(body.volume() for body in bodies_of(solid)) == pytest.approx(sorted(body.volume() for body in solid.decompose()))
    assert bodies_of(Manifold.cube())[0].volume() == pytest.approx(1.0)


def test_pieces_without_a_hull_are_left_out():
    """An empty one would be merged first, for it adds nothing."""
    cube = Manifold.cube((1.0, 1.0, 1.0))
    assert [hull.volume() for hull in merge([Manifold(), cube, Manifold()], 1)] == [pytest.approx(1.0)]
    assert merge([Manifold()], 1) == []


def test_many_holes_are_closed_at_once():
    """Each fan has its own middle: a hundred thousand triangles alone are as many holes."""
    mesh = slivers(np.random.default_rng(0), 100_000)
    closed = with_small_holes_closed(mesh)
    middles = closed.vertices[len(mesh.vertices) :]
    assert len(middles) == 100_000
    assert np.allclose(np.sort(middles, axis=0), np.sort(mesh.triangles_center, axis=0))
