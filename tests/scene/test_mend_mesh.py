"""Faces that stand twice, or face inwards, are put in order, and it is told."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from blueprint_pipeline.scene.gltf import parse_glb
from blueprint_pipeline.scene.mass import estimate_mass, is_closed
from blueprint_pipeline.scene.materials import load_categories, load_materials
from blueprint_pipeline.scene.mend_mesh import mend_surfaces
from blueprint_pipeline.scene.surfaces import WHITE, Look, Surface, merge_positions
from tests.scene.scene_files import SCENES

CERAMIC = load_materials().materials["ceramic"]
RAMEKIN = load_categories().categories["ramekin"]
RNG = np.random.default_rng(7)


def surface_of(mesh):
    return Surface(np.asarray(mesh.vertices, dtype=float), np.asarray(mesh.faces, dtype=np.int64), None, WHITE)


def flipped(faces, share):
    return np.where((RNG.random(len(faces)) < share)[:, None], faces[:, ::-1], faces)


@pytest.fixture(params=["ramekin", "can"])
def whole(request):
    data = (SCENES / f"minimal_ok/objects/{request.param}/mesh.glb").read_bytes()
    (surface,) = parse_glb(data, request.param, "mesh.glb")
    return surface


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda faces: np.vstack([faces, faces]), "twice"),
        (lambda faces: np.vstack([faces, faces[:, ::-1]]), "twice"),
        (lambda faces: np.vstack([faces, faces[:, [1, 2, 0]], faces[:, ::-1]]), "twice"),
        (lambda faces: faces[:, ::-1], "outside inside"),
        (lambda faces: flipped(faces, 0.02), "outside inside"),
        (lambda faces: flipped(faces, 0.4), "outside inside"),
        (lambda faces: np.vstack([flipped(faces, 0.3), faces]), "twice"),
        (lambda faces: faces[RNG.random(len(faces)) > 0.003], None),
    ],
    ids=["doubled", "both windings", "three times", "inside out", "2 % flipped", "40 % flipped", "flipped and doubled", "0.3 % missing"],
)
def test_mass_of_a_damaged_mesh_is_that_of_the_whole_one(whole, damage, words):
    """Within 5 %, and the surface faces outwards again."""
    expected = estimate_mass(merge_positions([whole]), CERAMIC, RAMEKIN).mass_kg
    mended = mend_surfaces([replace(whole, faces=damage(whole.faces))])
    mesh = merge_positions(mended.surfaces)
    assert estimate_mass(mesh, CERAMIC, RAMEKIN).mass_kg == pytest.approx(expected, rel=0.05)
    assert mesh.volume > 0
    assert is_closed(mesh)
    assert mended.changes == () if words is None else words in " ".join(mended.changes)


def test_whole_mesh_is_left_alone(whole):
    """The same faces, and nothing to tell."""
    mended = mend_surfaces([whole])
    assert mended.changes == ()
    assert mended.surfaces[0].faces is whole.faces


RED = replace(WHITE, base_color=(1.0, 0.0, 0.0, 1.0))


@pytest.mark.parametrize(
    "copy",
    [
        lambda surface: replace(surface, look=RED),
        lambda surface: replace(surface, faces=surface.faces[:, ::-1], look=RED),
        lambda surface: surface,
        lambda surface: replace(surface, faces=surface.faces[:, ::-1]),
    ],
    ids=["another look", "another look on the back", "the same mesh twice", "its back as a second primitive"],
)
@pytest.mark.parametrize("first", [0, 1], ids=["as it is", "copy first"])
def test_mass_of_a_mesh_that_stands_twice_is_that_of_one(whole, copy, first):
    """Whatever the look and the winding of the second one, it adds nothing; faces that are drawn keep to their side."""
    expected = estimate_mass(merge_positions([whole]), CERAMIC, RAMEKIN).mass_kg
    mended = mend_surfaces([whole, copy(whole)] if first == 0 else [copy(whole), whole])
    mesh = merge_positions(mended.surfaces)
    assert estimate_mass(mesh, CERAMIC, RAMEKIN).mass_kg == pytest.approx(expected, rel=0.01)
    assert is_closed(mesh)
    assert mesh.volume > 0
    kept = [len(surface.faces) for surface in mended.surfaces]
    assert kept == ([len(whole.faces)] * (2 if copy(whole).look == RED else 1))


@pytest.mark.parametrize("is_welded", [False, True], ids=["each body with its vertices", "one vertex a place"])
def test_bodies_that_touch_along_edges_stay_as_they_are(is_welded):
    """A shelf of boards: along an edge of two of them there are four faces, and none of these is inside out."""
    boards = [
        trimesh.creation.box(extents, trimesh.transformations.translation_matrix(at))
        for extents, at in (((0.8, 0.3, 0.02), (0, 0, 0.01)), ((0.02, 0.3, 0.26), (0.39, 0, 0.13)), ((0.8, 0.02, 0.26), (0, 0.14, 0.13)))
    ]
    shelf = trimesh.util.concatenate(boards)
    if is_welded:
        shelf.merge_vertices()
    assert mend_surfaces([surface_of(shelf)]).changes == ()
    turned = shelf.faces.copy()
    turned[:12] = turned[:12, ::-1]
    if not is_welded:
        assert mend_surfaces([surface_of(trimesh.Trimesh(shelf.vertices, turned, process=False))]).changes[0].startswith("12 of 36 faces")


def test_cavity_stays_a_cavity_where_all_is_inside_out():
    """A file that mirrors everything turns cavities, too."""
    outer, inner = trimesh.creation.icosphere(radius=1.0), trimesh.creation.icosphere(radius=0.8)
    outer.invert()
    found = merge_positions(mend_surfaces([surface_of(outer), surface_of(inner)]).surfaces)
    assert found.volume == pytest.approx(abs(outer.volume) - inner.volume)


def test_cavity_stays_a_cavity():
    """A shell within a shell, facing inwards, is hollow; beside it, it is inside out."""
    outer, inner = trimesh.creation.icosphere(radius=1.0), trimesh.creation.icosphere(radius=0.8)
    inner.invert()
    hollow = mend_surfaces([surface_of(outer), surface_of(inner)])
    assert hollow.changes == ()
    inner.apply_translation((5, 0, 0))
    beside = mend_surfaces([surface_of(outer), surface_of(inner)])
    assert merge_positions(beside.surfaces).volume == pytest.approx(outer.volume - inner.volume)


def test_a_room_faces_inwards():
    """A closed shell around the eye is a room; what stands in it, and what the eye sees from outside, faces outwards."""
    room, box = trimesh.creation.box((6, 6, 3)), trimesh.creation.box((1, 1, 1))
    room.apply_translation((0, 0, 1.5))
    box.apply_translation((0, 0, 0.5))
    box.invert()
    eye_m = np.array([2.0, 0.0, 1.5])
    mended = mend_surfaces([surface_of(room), surface_of(box)], eye_m)
    inwards, outwards = (merge_positions([surface]).volume for surface in mended.surfaces)
    assert (inwards, outwards) == (pytest.approx(-room.volume), pytest.approx(-box.volume))
    assert outwards > 0
    assert mend_surfaces(mended.surfaces, eye_m).changes == ()
    assert merge_positions(mend_surfaces([surface_of(room)], eye_m + 10).surfaces).volume == pytest.approx(room.volume)


def test_walls_with_two_sides_stay():
    """The outside of a house is no room, though the eye is within it."""
    outside, inside = trimesh.creation.box((6.4, 6.4, 3.4)), trimesh.creation.box((6, 6, 3))
    inside.invert()
    assert mend_surfaces([surface_of(outside), surface_of(inside)], np.zeros(3)).changes == ()


def test_open_shell_takes_the_side_of_most_of_it():
    """No volume tells its outside."""
    sheet = trimesh.creation.box((1, 1, 1)).subdivide()
    sheet.update_faces(sheet.face_normals[:, 2] < 0.5)
    mended = mend_surfaces([replace(surface_of(sheet), faces=flipped(np.asarray(sheet.faces), 0.2))])
    assert (merge_positions(mended.surfaces).face_normals @ [0, 0, 1] < 0.5).all()


def test_two_looks_on_two_sides_are_both_kept():
    """Paper that is red in front and blue behind."""
    corners, face = np.eye(3), np.array([[0, 1, 2]])
    red, blue = (Surface(corners, faces, None, Look(color, 0, 1)) for faces, color in ((face, (1, 0, 0, 1)), (face[:, ::-1], (0, 0, 1, 1))))
    assert sum(len(surface.faces) for surface in mend_surfaces([red, blue]).surfaces) == 2


def test_one_sided_strip_is_not_turned():
    """A Moebius strip has no outside."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    edge = [
        np.column_stack([(2 + s * np.cos(turn / 2)) * np.cos(turn), (2 + s * np.cos(turn / 2)) * np.sin(turn), s * np.sin(turn / 2)])
        for s in (-0.5, 0.5)
    ]
    vertices = np.vstack(edge)
    faces = []
    for i in range(20):
        a, b = (i, i + 20), ((i + 1) % 20, (i + 1) % 20 + 20)
        b = b if i < 19 else b[::-1]
        faces += [[a[0], b[0], b[1]], [a[0], b[1], a[1]]]
    assert mend_surfaces([Surface(vertices, np.array(faces), None, WHITE)]).changes == ()
