"""Holes are measured as they collide and as they are drawn, and what fits in them is told from what does not."""

import mujoco
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprint_pipeline.scene.decompose import MAX_OVERFILL, decompose
from blueprint_pipeline.skill import holes
from blueprint_pipeline.skill.hole_words import hole_words
from blueprint_pipeline.skill.holes import CLOSED_M, WAYS, find_holes, fit
from tests.scene.peg_scene import CELL_M, FLOOR_M, HEIGHT_M, block, ngon, one_piece, round_hole, square_hole

SEAM_M = 2e-4
"""What pieces of a block that stand a hair apart take off a measure."""
RADII = st.floats(0.008, 0.025)
QUICK = settings(max_examples=15, deadline=None)


def mesh_of(row, make=block):
    (part,) = make(row)
    return trimesh.Trimesh(part.vertices, part.faces, process=False)


def model_of(drawn, pieces, turn_rad=0.0):
    """One free object of meshes: what is drawn of it, and what collides."""
    meshes = {"look": drawn.vertices, **{f"piece{index}": vertices for index, vertices in enumerate(pieces)}}
    faces = f' face="{" ".join(map(str, drawn.faces.ravel()))}"'
    asset = "".join(
        f'<mesh name="{name}" vertex="{" ".join(map(str, np.ravel(points)))}"{faces if name == "look" else ""} inertia="shell"/>'
        for name, points in meshes.items()
    )
    look = '<geom type="mesh" mesh="look" group="2" contype="0" conaffinity="0" density="0"/>'
    solid = "".join(f'<geom type="mesh" mesh="{name}" group="3"/>' for name in meshes if name != "look")
    body = f'<body name="block" euler="0 0 {turn_rad}"><freejoint/><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>{look}{solid}</body>'
    return mujoco.MjModel.from_xml_string(f'<mujoco><compiler angle="radian"/><asset>{asset}</asset><worldbody>{body}</worldbody></mujoco>')


def holes_of(row, turn_rad=0.0, make=block):
    """What is found in a block whose pieces are those of which it was built."""
    mesh = mesh_of(row, make)
    model = model_of(mesh, [part.vertices for part in mesh.split()], turn_rad)
    return find_holes(model, model.qpos0, "block")


def middle_of(hole):
    return (hole.outline_m - hole.floor_m)[:, :2]


@QUICK
@given(radius=RADII, clearance=st.floats(0.001, 0.006), turn=st.floats(-3.1, 3.1))
def test_a_round_peg_has_the_room_that_its_radius_leaves(radius, clearance, turn):
    """However the block stands; every turn of the peg is as good as any other."""
    (found,) = holes_of([round_hole(radius)], turn)
    assert found.depth_m == pytest.approx(HEIGHT_M - FLOOR_M, abs=SEAM_M)
    assert found.closed_m == pytest.approx(0.0, abs=1e-5)
    assert found.floor_m == pytest.approx((0, 0, FLOOR_M), abs=SEAM_M)
    told = fit(ngon(radius - clearance, 48), middle_of(found))
    assert told.clearance_m == pytest.approx(clearance, abs=2 * SEAM_M)
    assert len(told.turns_rad) == 8


@QUICK
@given(half=st.floats(0.008, 0.022), clearance=st.floats(0.001, 0.006), turn=st.floats(-0.7, 0.7))
def test_a_square_peg_goes_in_in_four_ways(half, clearance, turn):
    """By as much as the block is turned, and by quarter turns."""
    (found,) = holes_of([square_hole(half)])
    cosine, sine = np.cos(turn), np.sin(turn)
    told = fit(ngon(half - clearance, 4) @ np.array([[cosine, sine], [-sine, cosine]]), middle_of(found))
    assert told.clearance_m == pytest.approx(clearance, abs=0.03 * half + 2 * SEAM_M)
    away = (np.array(told.turns_rad) + turn) / (np.pi / 2)
    assert len(away) == 4
    assert np.abs(away - away.round()).max() < 0.05


@QUICK
@given(half=RADII, more=st.floats(1.1, 1.4))
def test_a_square_peg_does_not_fit_a_round_hole_of_its_width(half, more):
    """Its corners stand out; and what is wider than the hole has less than no room."""
    (found,) = holes_of([round_hole(half)])
    assert fit(ngon(half, 4), middle_of(found)).clearance_m < 0
    assert fit(ngon(half * more, 32), middle_of(found)).clearance_m == pytest.approx(half * (1 - more), abs=0.1 * half)


def test_holes_of_a_row_stand_in_the_order_of_their_places():
    found = holes_of([round_hole(0.0165), square_hole(0.0155), round_hole(0.012)])
    assert [hole.floor_m[0] for hole in found] == pytest.approx([-CELL_M, 0, CELL_M], abs=SEAM_M)
    assert all(hole.outline_m.shape == (WAYS, 3) for hole in found)


def through(_row):
    """A frame without a floor."""
    from tests.scene.cabinet_scene import WOOD, surface
    from tests.scene.peg_scene import around

    return [surface(WOOD, *around(round_hole(0.016), CELL_M / 2, 0, HEIGHT_M))]


def open_at_a_side(row):
    """A block without one of the pieces about its hole."""
    from tests.scene.cabinet_scene import WOOD, box, surface
    from tests.scene.peg_scene import around

    half = CELL_M / 2
    return [surface(WOOD, box((-half, -half, 0), (half, half, FLOOR_M)), *around(row[0], half, FLOOR_M + 1e-4, HEIGHT_M)[1:])]


@pytest.mark.parametrize("make", [through, open_at_a_side])
def test_what_has_no_floor_or_a_gap_in_its_wall_is_no_hole(make):
    assert holes_of([square_hole(0.016)], make=make) == ()


def test_a_block_without_holes_has_none():
    assert holes_of([None, None]) == ()


@pytest.mark.parametrize(("half", "found"), [(0.018, 1), (0.021, 1), (0.024, 0), (0.03, 0)])
def test_what_is_most_of_an_object_is_its_opening_and_no_hole(half, found):
    """Of a square of 72 mm a hole takes up 25 or 34 %, a tub 44 or 69."""
    assert len(holes_of([square_hole(half)])) == found


def test_a_hole_that_a_hull_closes_is_closed_all_of_it():
    """One hull about the whole block: it is drawn open, and nothing goes in."""
    mesh = mesh_of([round_hole(0.016)])
    model = model_of(mesh, [mesh.convex_hull.vertices])
    (found,) = find_holes(model, model.qpos0, "block")
    assert found.closed_m == np.inf


def test_pieces_that_are_cut_are_measured_and_not_believed():
    """Cut out of one body, they count as open (the overfill is none), and stand into the holes by millimetres all the same."""
    mesh = mesh_of([round_hole(0.0165), square_hole(0.0155), round_hole(0.0165)], one_piece)
    mesh.merge_vertices()
    cut = decompose(mesh)
    assert cut.overfill <= MAX_OVERFILL
    model = model_of(mesh, [vertices for vertices, _ in cut.hulls])
    found = find_holes(model, model.qpos0, "block")
    assert len(found) == 3
    assert max(hole.closed_m for hole in found) > 2 * CLOSED_M


@pytest.mark.parametrize(
    ("middles", "words"),
    [
        ([(0, 0)], ("hole",)),
        ([(0, 0.1), (0, 0), (0, -0.1)], ("left hole", "middle hole", "right hole")),
        ([(0.1, 0), (0.0, 0.01)], ("back hole", "front hole")),
        ([(0, -0.1), (0.05, 0.0), (0, 0.1)], ("right hole", "middle hole", "left hole")),
        ([(0, 0.3), (0, 0.1), (0, -0.1), (0, -0.3)], ("leftmost hole", None, None, "rightmost hole")),
        ([(0, 0), (0.1, 0), (0, 0.1), (0.1, 0.1)], (None,) * 4),
    ],
    ids=["one", "a row", "two behind one another", "a bow", "four", "a square"],
)
def test_holes_are_called_as_the_viewer_sees_them(middles, words):
    """The first axis is away from the viewer, the second to the left."""
    assert hole_words(np.array(middles, dtype=float)) == words


@given(turn=st.floats(-3.1, 3.1))
def test_a_word_is_true_of_the_hole_that_it_names(turn):
    """Wherever a row of three is turned, left is left of the others, and the front before them."""
    middles = np.array([(np.cos(turn) * s, np.sin(turn) * s) for s in (-0.07, 0.0, 0.07)])
    words = hole_words(middles)
    along = {"left hole": middles[:, 1], "right hole": -middles[:, 1], "front hole": -middles[:, 0], "back hole": middles[:, 0]}
    told = [word for word in words if word in along]
    assert len(told) == 2
    assert words[1] == "middle hole"
    assert all(along[word].argmax() == words.index(word) for word in told)


def bowl_of(_row):
    """A bowl: its walls lean outwards, and its floor is much narrower than its rim."""
    from tests.scene.cabinet_scene import WOOD, box, surface

    low, high = ngon(0.03, 16), ngon(0.07, 16)
    sides = []
    for index in range(16):
        pair = [index, (index + 1) % 16]
        corners = [*np.column_stack([low[pair], [FLOOR_M] * 2]), *np.column_stack([high[pair], [HEIGHT_M] * 2])]
        sides.append(trimesh.convex.convex_hull(np.vstack([corners, np.array(corners) * (1.08, 1.08, 1.0)])))
    return [surface(WOOD, box((-0.032, -0.032, 0), (0.032, 0.032, FLOOR_M)), *sides)]


def test_a_bowl_whose_floor_is_narrow_has_no_hole(monkeypatch):
    """How wide it opens counts, not how wide it is where it is narrowest; without that it would have one."""
    assert holes_of([], make=bowl_of) == ()
    monkeypatch.setattr(holes, "MOST_SHARE", 1.0)
    assert len(holes_of([], make=bowl_of)) == 1
