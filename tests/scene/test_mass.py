"""Masses follow from volume, contents or sheet, and agree with closed forms."""

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
    """Also where its mesh is open: then its hull is filled."""
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    assert estimate_mass(box, METAL, FILLED).mass_kg == pytest.approx(0.5)
    box.update_faces(np.arange(len(box.faces)) > 1)
    found = estimate_mass(box, METAL, FILLED)
    assert found.mass_kg == pytest.approx(0.5)
    assert "hull" in found.method


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
