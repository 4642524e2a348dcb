"""What is drawn of a room is solid: walls, shelves and scans of them, with their doors and windows open."""

import numpy as np
import pytest
import trimesh
from manifold3d import CrossSection, triangulate

from blueprint_pipeline.scene.hulls import gaps_outside
from blueprint_pipeline.scene.room import decompose_room
from blueprint_pipeline.scene.slabs import MAX_SLABS, THICKNESS_M

EYE = np.array([0.1, -0.2, 1.4])
SIZE = (4.0, 3.0, 2.5)


def room_shell():
    """Floor, walls and ceiling, without thickness, normals outwards."""
    shell = trimesh.creation.box(SIZE)
    shell.apply_translation((0, 0, SIZE[2] / 2))
    return shell


def seen_from(mesh, eye, count=400):
    """Points of a mesh that the eye sees, and the directions in which it sees them."""
    rng = np.random.default_rng(7)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    places, rays, _ = mesh.ray.intersects_location(np.tile(eye, (count, 1)), directions, multiple_hits=False)
    return places, directions[rays]


def window_wall():
    """A wall 4 m long, 2.5 m high, in the plane y = 1.5, with a window of 0.9 x 1.2 m: outline, and middle of the window."""
    outline = CrossSection.square((4.0, 2.5)) - CrossSection.square((0.9, 1.2)).translate((1.2, 0.9))
    return outline, np.array([1.65 - 2.0, 1.5, 1.5])


@pytest.mark.parametrize("inverted", [False, True])
def test_a_room_without_thickness_is_solid_behind_what_the_eye_sees(inverted):
    """Whatever the winding says: nothing stands before a wall, and whoever goes through it meets a slab."""
    shell = room_shell()
    if inverted:
        shell.invert()
    pieces = decompose_room(shell, EYE)
    assert len(pieces.hulls) == 5  # no floor: that is the plane's
    places, directions = seen_from(shell, EYE)
    above = places[:, 2] > 0.01
    places, directions = places[above], directions[above]
    assert (gaps_outside(pieces.hulls, places - 0.01 * directions) > 0).all()
    inwards = np.sign(EYE - places) * np.isclose(np.abs(places - [0, 0, SIZE[2] / 2]), np.array(SIZE) / 2, atol=1e-6)
    deep_m = np.where(places[:, 2:] > SIZE[2] - 1e-6, 0.001, 0.9 * THICKNESS_M)  # a ceiling is thin: it may be a shelf seen from below
    assert (gaps_outside(pieces.hulls, places - deep_m * inwards) == 0).all()


@pytest.mark.parametrize("kind", ["sheet", "thick"])
def test_a_window_stays_open(kind):
    """A hand passes through it, and not beside it."""
    outline, middle = window_wall()
    if kind == "thick":
        made = outline.extrude(0.1).to_mesh64()
        wall = trimesh.Trimesh(made.vert_properties[:, :3], made.tri_verts)
    else:
        polygons = outline.to_polygons()
        flat = np.vstack(polygons)
        wall = trimesh.Trimesh(np.column_stack([flat, np.zeros(len(flat))]), triangulate(polygons))
    wall.vertices = np.column_stack([wall.vertices[:, 0] - 2, 1.5 + wall.vertices[:, 2], wall.vertices[:, 1]])
    hulls = decompose_room(wall, EYE).hulls
    opening = middle + np.array([[x, y, z] for x in (-0.43, 0, 0.43) for y in (-0.1, 0.005, 0.05, 0.1) for z in (-0.58, 0, 0.58)])
    assert (gaps_outside(hulls, opening) > 0).all()
    beside = np.array([[x, 1.505, z] for x in (-1.9, -1.0, 0.3, 1.9) for z in (0.1, 1.5, 2.4)])
    assert (gaps_outside(hulls, beside) == 0).all()


@pytest.mark.parametrize("seed", range(2))
def test_a_scan_is_solid_within_its_noise(seed):
    """Some mm of noise, 100 000 triangles, no ceiling, turned anyhow: nearly all of it collides, in a bounded number of slabs."""
    rng = np.random.default_rng(seed)
    scan = room_shell().subdivide_to_size(0.06)
    scan.update_faces(scan.triangles_center[:, 2] < SIZE[2] - 0.01)
    scan.vertices += rng.normal(0, 0.004, scan.vertices.shape)
    turn = trimesh.transformations.rotation_matrix(rng.uniform(0, np.pi), (0, 0, 1))
    scan.apply_transform(turn)
    pieces = decompose_room(scan, turn[:3, :3] @ EYE)
    assert 4 <= len(pieces.hulls) <= MAX_SLABS
    assert pieces.solid_share > 0.99
    assert pieces.overfill < 0.01
    free = (rng.uniform(-0.45, 0.45, (500, 3)) * SIZE + [0, 0, SIZE[2] / 2]) @ turn[:3, :3].T
    assert (gaps_outside(pieces.hulls, free) > 0).all()


def test_a_floor_alone_is_the_planes():
    """A thin box under z = 0 makes no pieces, and nothing of it is called open."""
    floor = trimesh.creation.box((4, 3, 0.02))
    floor.apply_translation((0, 0, -0.01))
    pieces = decompose_room(floor, EYE)
    assert pieces.hulls == []
    assert pieces.solid_share == 1.0


def test_a_table_that_stands_on_the_floor_is_one_solid_a_part():
    """Its legs end at z = 0, where faces are left out of shells and not out of solids."""
    top = trimesh.creation.box((1.2, 0.8, 0.04))
    top.apply_translation((0, 0, 0.72))
    legs = []
    for x, y in ((-0.5, -0.3), (-0.5, 0.3), (0.5, -0.3), (0.5, 0.3)):
        leg = trimesh.creation.box((0.05, 0.05, 0.7))
        leg.apply_translation((x, y, 0.35))
        legs.append(leg)
    pieces = decompose_room(trimesh.util.concatenate([top, *legs]), EYE)
    assert len(pieces.hulls) == 5
    assert gaps_outside(pieces.hulls, np.array([[0, 0, 0.72], [0.5, 0.3, 0.35]])).tolist() == [0, 0]
    assert gaps_outside(pieces.hulls, np.array([[0, 0, 0.35]]))[0] > 0.2


def test_what_no_slab_holds_is_counted():
    """A cloud of single triangles is more than slabs can be: the share that collides says so."""
    rng = np.random.default_rng(0)
    middles = rng.uniform((-2, -2, 1), (2, 2, 5), (3000, 1, 3))
    cloud = trimesh.Trimesh((middles + rng.normal(0, 0.1, (3000, 3, 3))).reshape(-1, 3), np.arange(9000).reshape(-1, 3))
    pieces = decompose_room(cloud, EYE)
    assert len(pieces.hulls) == MAX_SLABS
    assert pieces.solid_share < 0.8
    assert pieces.gap_m > THICKNESS_M


@pytest.mark.parametrize("turned", [False, True])
def test_a_surface_that_stands_twice_is_one(turned):
    """A wall drawn from both sides, or twice from one: it is solid, and no slab stands before what the eye sees."""
    shell = room_shell().subdivide_to_size(0.5)
    twice = trimesh.Trimesh(shell.vertices, np.vstack([shell.faces, shell.faces[:, ::-1] if turned else shell.faces]), process=False)
    pieces = decompose_room(twice, EYE)
    assert pieces.solid_share == 1.0
    places, directions = seen_from(shell, EYE)
    places, directions = places[places[:, 2] > 0.01], directions[places[:, 2] > 0.01]
    assert (gaps_outside(pieces.hulls, places - 0.01 * directions) > 0).all()


def test_a_sky_takes_no_slab_from_the_room():
    """A dome of 1 km around it, of more triangles than there may be slabs."""
    sky = trimesh.creation.icosphere(3, 1000.0)
    pieces = decompose_room(trimesh.util.concatenate([room_shell(), sky]), EYE)
    assert len(pieces.hulls) == 5
    assert pieces.solid_share == 1.0


def test_every_picket_of_a_fence_is_solid():
    """Closed and convex, 2 cm wide, and more than the parts that may be cut into pieces."""
    pickets = [trimesh.creation.box((0.02, 0.02, 1.0)) for _ in range(60)]
    for picket, x in zip(pickets, np.linspace(-1.9, 1.9, 60), strict=True):
        picket.apply_translation((x, 1.0, 0.5))
    pieces = decompose_room(trimesh.util.concatenate([room_shell(), *pickets]), EYE)
    assert pieces.solid_share == 1.0
    assert len(pieces.hulls) == 65


def test_what_has_no_area_makes_no_slab():
    """A triangle of a thousandth of a millimetre is all that stands."""
    speck = trimesh.Trimesh([[0, 1.5, 1], [1e-6, 1.5, 1], [0, 1.5, 1 + 1e-6]], [[0, 1, 2]], process=False)
    assert decompose_room(speck, EYE).hulls == []


def test_triangles_that_nearly_meet_are_a_wall():
    """A scan of which every triangle has its own corners, a hundredth of a millimetre off its neighbours'."""
    scan = room_shell().subdivide_to_size(0.06)
    corners = np.asarray(scan.triangles).reshape(-1, 3)
    corners = corners + np.random.default_rng(0).normal(0, 1e-5, corners.shape)
    pieces = decompose_room(trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False), EYE)
    assert pieces.solid_share > 0.9


def board(size, middle):
    """A box at a place."""
    made = trimesh.creation.box(size)
    made.apply_translation(middle)
    return made


@pytest.mark.parametrize("thick_m", [0.006, 0.01, 0.018])
def test_a_thin_shelf_on_a_wall_is_no_thicker_than_it_is_drawn(thick_m):
    """Both sides have slabs; neither comes out of the other."""
    shelf = board((1.0, 0.3, thick_m), (0, 1.35, 1.1))
    shelf.update_faces(shelf.triangles_center[:, 1] < 1.49)  # joined to the wall
    scene = trimesh.util.concatenate([room_shell(), shelf])
    hulls = decompose_room(scene, EYE).hulls
    places = np.array([[x, y, 0.0] for x in (-0.45, 0, 0.45) for y in (1.22, 1.35, 1.45)])
    for beyond_m in (0.001, 0.005):
        for side in (-1, 1):
            places[:, 2] = 1.1 + side * (thick_m / 2 + beyond_m)
            assert (gaps_outside(hulls, places) > 0).all()
    places[:, 2] = 1.1 + thick_m / 2 - 0.0005
    assert (gaps_outside(hulls, places) == 0).all()


def test_what_is_seen_from_below_is_hardly_higher_than_it_is_drawn():
    """Something may stand on it."""
    corners = np.array([[-0.5, 0.9, 1.8], [0.5, 0.9, 1.8], [0.5, 1.3, 1.8], [-0.5, 1.3, 1.8]])
    sheet = trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]])
    hulls = decompose_room(sheet, EYE).hulls
    assert gaps_outside(hulls, np.array([[0, 1.1, 1.8025]]))[0] > 0
    assert gaps_outside(hulls, np.array([[0, 1.1, 1.801]]))[0] == 0


@pytest.mark.parametrize("x_m", [-5.0, 0.0, 4.0])
def test_a_missing_face_costs_no_solid_wherever_it_stands(x_m):
    """The volume is that of the closed mesh."""
    counter = board((0.6, 0.6, 0.9), (x_m, 0, 0.45)).subdivide().subdivide()
    counter.update_faces(np.arange(len(counter.faces)) != int(np.argmax(counter.face_normals[:, 0])))
    pieces = decompose_room(counter, np.array([x_m, -2.0, 1.5]))
    assert len(pieces.hulls) == 1
    assert gaps_outside(pieces.hulls, np.array([[x_m, 0, 0.45]]))[0] == 0


def test_a_triangle_without_an_area_makes_nothing():
    """Alone, and beside a table."""
    line = trimesh.Trimesh(np.array([[0, 0, 1.0], [0.1, 0, 1.0], [0.2, 0, 1.0]]), [[0, 1, 2]], process=False)
    assert decompose_room(line, EYE).hulls == []
    both = trimesh.util.concatenate([board((1, 1, 0.05), (0, 1, 0.7)), line])
    assert len(decompose_room(both, EYE).hulls) == 1


def test_a_floor_joined_to_its_walls_is_not_counted(monkeypatch):
    """Without any slab nothing of a room is solid but the foot of its walls, which the plane holds."""
    monkeypatch.setattr("blueprint_pipeline.scene.room.make_slabs", lambda *_: [])
    assert decompose_room(room_shell(), EYE).solid_share < 0.02
