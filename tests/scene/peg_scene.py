"""A scene to insert in: a block with three holes on a table, and pegs that fit some of them, beside a can and a carton.

``python -m tests.scene.peg_scene FOLDER`` writes it; the sample ``peg_table`` of the package was written so.
"""

import sys
from pathlib import Path

import numpy as np
import trimesh
from manifold3d import CrossSection, Manifold

from blueprint_pipeline.scene.surfaces import Look
from tests.scene.cabinet_scene import GREEN, RED, TABLE_M, WHITE, WOOD, box, surface, write_object, write_room

BLUE = Look((0.05, 0.12, 0.6, 1.0), 0.0, 0.5)
CELL_M, FLOOR_M, HEIGHT_M = 0.072, 0.012, 0.05
"""Of a block: a square about each hole, its floor, and its top."""
_SIDES, _APART_M = 16, 1e-4
"""Of a round hole, and the gap between two pieces of a block, which no one sees: each piece is a closed part of its own."""


def ngon(radius, sides, turn=0.0):
    """Corners of a regular polygon whose sides touch a circle."""
    angles = turn + (np.arange(sides) + 0.5) * 2 * np.pi / sides
    return radius / np.cos(np.pi / sides) * np.column_stack([np.cos(angles), np.sin(angles)])


def prism(corners, low, high):
    """A convex outline (k, 2) between two heights, a little smaller than it is."""
    middle = corners.mean(axis=0)
    size = np.linalg.norm(corners - middle, axis=1, keepdims=True)
    inner = middle + (corners - middle) * (1 - _APART_M / size)
    return trimesh.convex.convex_hull(np.vstack([np.column_stack([inner, np.full(len(inner), z)]) for z in (low, high)]))


def around(hole, half, low, high):
    """What is left of a square about a convex hole (k, 2) about the origin: a convex piece a side of the hole."""

    def outward(corner):
        return corner * half / np.abs(corner).max()

    pieces = []
    for first, second in zip(hole, np.roll(hole, -1, axis=0), strict=True):
        corners = [first, outward(first), outward(second), second]
        middle = np.sign(outward(first) + outward(second)) * half
        if not np.isclose(np.abs(outward(first) - outward(second)).min(), 0):  # a corner of the square lies between
            corners.insert(2, middle)
        pieces.append(prism(np.array(corners), low, high))
    return pieces


def block(holes):
    """A block with a row of holes along x: each a polygon (k, 2), or ``None`` for none."""
    half, pieces = CELL_M / 2, []
    for index, hole in enumerate(holes):
        x = (index - (len(holes) - 1) / 2) * CELL_M
        cell = [box((-half, -half, FLOOR_M), (half, half, HEIGHT_M))] if hole is None else around(hole, half, FLOOR_M, HEIGHT_M)
        for piece in cell:
            piece.apply_translation((x, 0, 0))
        pieces += cell
    long = len(holes) * half
    return [surface(WOOD, box((-long, -half, 0), (long, half, FLOOR_M - _APART_M)), *pieces)]


def one_piece(holes):
    """The same block as one body without seams, as a modelling program makes it: its collision pieces have to be cut."""
    half = CELL_M / 2
    solid = Manifold.cube((len(holes) * CELL_M, CELL_M, HEIGHT_M)).translate((-len(holes) * half, -half, 0))
    for index, hole in enumerate(holes):
        place = ((index - (len(holes) - 1) / 2) * CELL_M, 0, FLOOR_M)
        solid -= CrossSection([hole]).extrude(HEIGHT_M).translate(place)
    mesh = solid.to_mesh()
    return [surface(WOOD, trimesh.Trimesh(mesh.vert_properties[:, :3], mesh.tri_verts))]


def round_hole(radius):
    """A hole that a round peg fits in."""
    return ngon(radius, _SIDES)


def square_hole(half):
    """A hole that a square peg fits in."""
    return ngon(half, 4)


def round_peg(look, radius, height=0.095):
    """A peg that stands."""
    made = trimesh.creation.cylinder(radius=radius, height=height, sections=48)
    made.apply_translation((0, 0, height / 2))
    return [surface(look, made)]


def square_peg(look, half, height=0.095):
    """The same with a square outline."""
    return [surface(look, box((-half, -half, 0), (half, half, height)))]


def write_scene(scene, make_block=block):
    """The whole scene."""
    scene = Path(scene)
    pegs = {
        "red_peg": (round_peg(RED, 0.0135), (-0.3, -0.12), "red round peg"),
        "green_peg": (round_peg(GREEN, 0.0145), (-0.2, 0.18), "green round peg"),
        "blue_peg": (square_peg(BLUE, 0.0125), (0.28, -0.15), "blue square peg"),
    }
    holes = [round_hole(0.0165), square_hole(0.0155), round_hole(0.0165)]
    carton = [surface(WHITE, box((-0.025, -0.025, 0), (0.025, 0.025, 0.11)))]
    others = {
        "wooden_block": (make_block(holes), (0.02, -0.02), "block", "wooden block with holes"),
        "red_can": (round_peg(RED, 0.03, 0.1), (0.32, 0.16), "can", "red can"),
        "white_carton": (carton, (-0.38, 0.1), "carton", "white milk carton"),
    }
    names = (*pegs, *others)
    write_room(scene, "peg_table", names, (0.4, -1.1, 1.5), (0.0, 0.0, 0.76), table_size=(0.96, 0.68))
    for name, (surfaces, place, description) in pegs.items():
        write_object(scene, name, surfaces, (*place, TABLE_M), category="peg", description=description, material_type="wood")
    for name, (surfaces, place, category, description) in others.items():
        material = "wood" if name == "wooden_block" else "metal" if name == "red_can" else "paper"
        write_object(scene, name, surfaces, (*place, TABLE_M), category=category, description=description, material_type=material)
    return scene


if __name__ == "__main__":
    write_scene(sys.argv[1])
