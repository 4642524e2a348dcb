"""Masses follow from volume, contents or sheet, and agree with closed forms."""

import tracemalloc

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from blueprint_pipeline.scene.mass import estimate_mass, is_closed, open_length, principal_axes
from blueprint_pipeline.scene.materials import Category, load_materials

WOOD = load_materials().materials["wood"]
METAL = load_materials().materials["metal"]
SOLID = Category(size_m=(0.1, 1), mass_kg=(0.1, 1), build="solid")
FILLED = Category(size_m=(0.1, 1), mass_kg=(0.1, 1), build="filled", apparent_density_kg_m3=500)
HOLLOW = Category(size_m=(0.1, 1), mass_kg=(0.1, 1), build="hollow", wall_m=0.001)


@given(st.tuples(*[st.floats(0.01, 1)] * 3), st.tuples(*[st.floats(-1, 1)] * 3))
def test_solid_box_agrees_with_the_closed_form(extents, center):
    """M = rho a b c, I = m/12 (b^2 + c^2); wherever it stands."""
    box = trimesh.creation.box(extents)
    box.apply_translation(center)
    found = estimate_mass(box, WOOD, SOLID)
    a, b, c = extents
    mass = WOOD.density_kg_m3 * a * b * c
    assert found.mass_kg == pytest.approx(mass)
    assert found.com_m == pytest.approx(np.asarray(center), abs=1e-9)
    assert np.diag(found.inertia_kg_m2) == pytest.approx(mass / 12 * np.array([b**2 + c**2, a**2 + c**2, a**2 + b**2]), rel=1e-6, abs=1e-15)


def test_thin_sphere_agrees_with_the_closed_form():
    """A sheet: m = rho t 4 pi r^2, I = 2/3 m r^2."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.1)
    found = estimate_mass(ball, METAL, HOLLOW)
    mass = METAL.density_kg_m3 * 0.001 * 4 * np.pi * 0.01
    assert found.mass_kg == pytest.approx(mass, rel=0.01)
    assert np.diag(found.inertia_kg_m2) == pytest.approx(np.full(3, 2 / 3 * mass * 0.01), rel=0.02)


def test_filled_container_has_the_density_of_its_contents():
    """Also where its mesh is open: then it is filled up to its mouth, and where that is not flat, its hull is."""
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    assert estimate_mass(box, METAL, FILLED).mass_kg == pytest.approx(0.5)
    torn, lidless = box.copy(), box.copy()
    torn.update_faces(np.arange(len(box.faces)) > 1)
    lidless.update_faces(box.face_normals[:, 2] < 0.5)
    for mesh, words, basis in ((torn, "hull", "hull"), (lidless, "mouths closed", "volume")):
        found = estimate_mass(mesh, METAL, FILLED)
        assert found.mass_kg == pytest.approx(0.5)
        assert words in found.method
        assert found.basis == basis


def test_open_mesh_is_a_shell_and_says_so():
    """A volume that is not closed is not used."""
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    box.update_faces(np.arange(len(box.faces)) > 1)
    assert not is_closed(box)
    assert open_length(box) > 0.1
    found = estimate_mass(box, WOOD, SOLID)
    assert "shell" in found.method
    assert found.mass_kg == pytest.approx(0.05 * WOOD.shell_thickness_m * WOOD.density_kg_m3)


def test_inside_out_mesh_weighs_the_same():
    """The winding tells the outside, not the mass."""
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    box.invert()
    assert estimate_mass(box, WOOD, SOLID).mass_kg == pytest.approx(0.65)


@given(st.tuples(*[st.floats(0.1, 10)] * 3), st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_principal_axes_give_the_inertia_back(moments, quat):
    """R diag(moments) R^T is the inertia, and R is a rotation."""
    turn = Rotation.from_quat(np.array(quat) / np.linalg.norm(quat)).as_matrix()
    inertia = turn @ np.diag(moments) @ turn.T
    found, axes = principal_axes(inertia)
    assert np.allclose(axes @ np.diag(found) @ axes.T, inertia)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert (np.diff(found) <= 1e-9).all()


def test_overlapping_parts_count_once():
    """Two crossed cylinders: the union, by Steinmetz' formula (16/3 r^3 in common), with the inertia of two that are one."""
    one, other = trimesh.creation.cylinder(0.03, 0.2, sections=96), trimesh.creation.cylinder(0.03, 0.2, sections=96)
    other.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    found = estimate_mass(trimesh.util.concatenate([one, other]), WOOD, SOLID)
    expected = (2 * np.pi * 0.03**2 * 0.2 - 16 / 3 * 0.03**3) * WOOD.density_kg_m3
    assert found.mass_kg == pytest.approx(expected, rel=0.01)
    assert "union" in found.method
    assert found.com_m == pytest.approx(np.zeros(3), abs=1e-4)


def test_union_has_the_inertia_of_the_solid():
    """A box made of two that overlap by half."""
    parts = [trimesh.creation.box((0.1, 0.06, 0.04)) for _ in range(2)]
    parts[1].apply_translation((0.05, 0, 0))
    whole = trimesh.creation.box((0.15, 0.06, 0.04))
    whole.apply_translation((0.025, 0, 0))
    found, expected = (estimate_mass(mesh, WOOD, SOLID) for mesh in (trimesh.util.concatenate(parts), whole))
    assert found.mass_kg == pytest.approx(expected.mass_kg, rel=0.01)
    assert found.inertia_kg_m2 == pytest.approx(expected.inertia_kg_m2, rel=0.02, abs=1e-7)


def test_parts_that_stand_apart_are_summed():
    """A table's legs do not overlap its top."""
    parts = [trimesh.creation.box((0.1, 0.1, 0.1)) for _ in range(3)]
    for index, part in enumerate(parts):
        part.apply_translation((0.2 * index, 0, 0))
    found = estimate_mass(trimesh.util.concatenate(parts), WOOD, SOLID)
    assert found.mass_kg == pytest.approx(3 * 0.65)
    assert "union" not in found.method


def test_wall_with_two_skins_is_as_heavy_as_it_is_thick():
    """A kettle whose mesh has an inner skin too is not counted twice."""
    outer, inner = trimesh.creation.icosphere(4, 0.1), trimesh.creation.icosphere(4, 0.099)
    inner.invert()
    found = estimate_mass(trimesh.util.concatenate([outer, inner]), METAL, HOLLOW)
    assert found.mass_kg == pytest.approx(METAL.density_kg_m3 * 0.001 * 4 * np.pi * 0.0995**2, rel=0.02)


def test_sheet_with_two_sides_encloses_nothing():
    """Both windings of an open sheet are no volume."""
    sheet = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]], [[0, 1, 2], [0, 2, 3], [2, 1, 0], [3, 2, 0]], process=False)
    assert not is_closed(sheet)


def test_decal_does_not_make_a_box_a_shell():
    """Closed parts are solid, open ones are sheets."""
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    decal = trimesh.Trimesh([[0, 0, 0.06], [0.05, 0, 0.06], [0.05, 0.05, 0.06]], [[0, 1, 2]])
    found = estimate_mass(trimesh.util.concatenate([box, decal]), WOOD, SOLID)
    assert found.mass_kg == pytest.approx(0.65 + 0.00125 * WOOD.shell_thickness_m * WOOD.density_kg_m3)
    assert "open parts" in found.method


@pytest.mark.parametrize(
    "corners", [[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 0.5], [1, 0, 0.5], [1, 1, 0.5], [0, 1, 0.5]]], ids=["triangle", "square"]
)
@pytest.mark.filterwarnings("error")
def test_flat_mesh_of_a_filled_thing_is_a_sheet(corners):
    """A hull around it would hold nothing: no mass, and no centre."""
    mesh = trimesh.Trimesh(corners, [[0, index, index + 1] for index in range(1, len(corners) - 1)], process=False)
    found = estimate_mass(mesh, WOOD, FILLED)
    assert found.mass_kg == pytest.approx(mesh.area * WOOD.shell_thickness_m * WOOD.density_kg_m3)
    assert "shell thickness" in found.method
    assert np.isfinite(found.com_m).all()
    moments, _ = principal_axes(found.inertia_kg_m2)
    assert moments[1] + moments[2] > moments[0] * (1 + 1e-12), "its thickness makes it a body"


def split_top(box):
    """The box, its top of four times as many triangles as the sides that it meets."""
    top = box.face_normals[:, 2] > 0.5
    fine = trimesh.Trimesh(box.vertices, box.faces[top], process=False).subdivide()
    found = trimesh.util.concatenate([trimesh.Trimesh(box.vertices, box.faces[~top], process=False), fine])
    found.merge_vertices()
    return found


def test_slit_along_an_edge_is_no_mouth():
    """Sides that meet have other vertices along their edge: nothing is open there."""
    box = trimesh.creation.box((0.1, 0.08, 0.06))
    found = estimate_mass(split_top(box), WOOD, SOLID)
    assert found.mass_kg == pytest.approx(WOOD.density_kg_m3 * box.volume)
    assert found.basis == "volume"


def test_wall_within_a_thing_makes_no_volume():
    """Two rooms with one wall between them: the triangles enclose no volume that could be told from them."""
    rooms = [trimesh.creation.box((0.1, 0.1, 0.1)) for _ in range(2)]
    rooms[1].apply_translation((0.1, 0, 0))
    both = trimesh.util.concatenate(rooms)
    both.merge_vertices()
    wall = np.isclose(both.triangles_center[:, 0], 0.05)
    wall[: len(rooms[0].faces)] = False
    found = estimate_mass(trimesh.Trimesh(both.vertices, both.faces[~wall], process=False), WOOD, SOLID)
    assert found.basis == "sheet"


def test_parts_that_share_a_vertex_are_parts():
    """Two boxes within each other, with a corner in common, count once."""
    large, small = trimesh.creation.box((0.1, 0.1, 0.1)), trimesh.creation.box((0.09, 0.09, 0.09))
    small.apply_translation((0.005, 0.005, 0.005))
    both = trimesh.util.concatenate([large, small])
    both.merge_vertices()
    assert estimate_mass(both, WOOD, SOLID).mass_kg == pytest.approx(0.65, rel=0.01)


def test_thousands_of_parts_are_measured_in_little_memory():
    """The boxes of parts are compared where they can meet, not each with each."""
    count = 3000
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    places = np.array([(index % 60, index // 60, 0) for index in range(count)])
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    vertices = (corners * 0.9 + places[:, None]).reshape(-1, 3)
    grains = trimesh.Trimesh(vertices, (faces + 4 * np.arange(count)[:, None, None]).reshape(-1, 3), process=False)
    tracemalloc.start()
    found = estimate_mass(grains, WOOD, SOLID)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.mass_kg == pytest.approx(count * 0.9**3 / 6 * WOOD.density_kg_m3)
    assert peak < count**2


BOTTLE = trimesh.creation.revolve(np.array([[0, 0], [0.035, 0], [0.035, 0.12], [0.013, 0.16], [0.013, 0.22], [0, 0.22]]), sections=48)


def inner_skin(mesh, scale):
    skin = mesh.copy()
    skin.apply_translation(-mesh.centroid)
    skin.apply_scale(scale)
    skin.apply_translation(mesh.centroid)
    skin.invert()
    return skin


@pytest.mark.parametrize(
    "mesh",
    [
        trimesh.Trimesh(BOTTLE.vertices, BOTTLE.faces[BOTTLE.triangles_center[:, 2] > 1e-6], process=False),
        trimesh.util.concatenate([BOTTLE, inner_skin(BOTTLE, 0.93)]),
    ],
    ids=["without its bottom", "with the inside of its glass"],
)
def test_filled_container_is_measured_by_its_outside(mesh):
    """Neither its hull, which is wider at the neck, nor the glass alone."""
    assert estimate_mass(mesh, WOOD, FILLED).mass_kg == pytest.approx(500 * BOTTLE.volume, rel=0.01)


def test_filled_container_that_cannot_be_closed_is_measured_by_its_hull():
    """Its mouth has another thing in it."""
    rng = np.random.default_rng(3)
    soup = trimesh.Trimesh(rng.random((300, 3)), np.arange(300).reshape(-1, 3), process=False)
    found = estimate_mass(soup, WOOD, FILLED)
    assert found.basis == "hull"
    assert found.mass_kg == pytest.approx(500 * soup.convex_hull.volume)


@pytest.mark.parametrize(
    ("inwards", "top_m"), [(False, np.inf), (False, 0.08), (True, 0.08)], ids=["closed, outwards", "open, outwards", "open, inwards"]
)
def test_second_skin_of_a_hollow_thing_weighs_nothing(inwards, top_m):
    """Area times wall is that of the wall, not of both of its skins."""
    outer = trimesh.creation.icosphere(3, 0.1)
    inner = trimesh.Trimesh(outer.vertices * 0.95, outer.faces[:, ::-1] if inwards else outer.faces, process=False)
    kept = outer.triangles_center[:, 2] < top_m
    both = trimesh.util.concatenate([trimesh.Trimesh(mesh.vertices, mesh.faces[kept], process=False) for mesh in (outer, inner)])
    expected = METAL.density_kg_m3 * HOLLOW.wall_m * outer.area_faces[kept].sum()
    assert estimate_mass(both, METAL, HOLLOW).mass_kg == pytest.approx(expected)
