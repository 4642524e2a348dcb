"""A scene for handing things over: a box of pasta and a baguette, long enough for two hands, beside a can and a carton.

``python -m tests.scene.handover_scene FOLDER`` writes it; the sample ``handover_table`` of the package was written so.
"""

import sys
from pathlib import Path

import numpy as np
import trimesh

from blueprint_pipeline.scene.surfaces import Look
from tests.scene.cabinet_scene import RED, TABLE_M, box, surface, write_object, write_room

BLUE, WHITE, BROWN = (
    Look((0.08, 0.16, 0.5, 1.0), 0.0, 0.6),
    Look((0.85, 0.85, 0.82, 1.0), 0.0, 0.8),
    Look((0.42, 0.2, 0.06, 1.0), 0.0, 0.9),
)
PASTA_M = (0.05, 0.2, 0.045)
"""Depth, width and height of the box."""


def baguette(length=0.21, width=0.05, height=0.05, side=0.034):
    """A loaf that lies on its flat side: upright sides, a round top, a little narrower at its ends."""
    angles = np.linspace(0, np.pi, 9)
    arc = np.column_stack([width / 2 * np.cos(angles), side + (height - side) * np.sin(angles)])
    outline = np.vstack([[width / 2, 0.0], arc, [-width / 2, 0.0]])
    rings = [(-length / 2, 0.7), (-length / 2 + 0.02, 1.0), (length / 2 - 0.02, 1.0), (length / 2, 0.7)]
    points = [(share * x, y, share * z) for y, share in rings for x, z in outline]
    return trimesh.convex.convex_hull(np.array(points))


def write_scene(scene):
    """The whole scene."""
    scene = Path(scene)
    can = trimesh.creation.cylinder(0.028, 0.11, sections=32)
    can.apply_translation((0, 0, 0.055))
    x, y, height = PASTA_M[0] / 2, PASTA_M[1] / 2, PASTA_M[2]
    things = {
        "pasta_box": ([surface(BLUE, box((-x, -y, 0), (x, y, height)))], (0.1, -0.1), "box", "blue pasta box", "paper"),
        "baguette": ([surface(BROWN, baguette())], (-0.12, -0.05), "baguette", "brown baguette", "bread"),
        "red_can": ([surface(RED, can)], (0.38, -0.2), "can", "red can", "metal"),
        "white_carton": (
            [surface(WHITE, box((-0.025, -0.025, 0), (0.025, 0.025, 0.13)))],
            (-0.36, 0.2),
            "carton",
            "white milk carton",
            "paper",
        ),
    }
    write_room(scene, "handover_table", tuple(things), (0.9, -1.5, 1.6), (0.0, 0.0, 0.8), table_size=(1.0, 0.7))
    for name, (surfaces, place, category, description, material) in things.items():
        words = {"category": category, "description": description, "material_type": material}
        write_object(scene, name, surfaces, (*place, TABLE_M), **words)
    return scene


if __name__ == "__main__":
    write_scene(sys.argv[1])
