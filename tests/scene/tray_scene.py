"""A scene for two hands: a tray with a handle at each end on a table, beside a can and a carton that one hand takes.

``python -m tests.scene.tray_scene FOLDER`` writes it; the sample ``tray_table`` of the package was written so.
"""

import sys
from pathlib import Path

import trimesh

from blueprint_pipeline.scene.mesh_files import build_glb
from blueprint_pipeline.scene.surfaces import Look
from tests.scene.cabinet_scene import METAL, RED, TABLE_M, bar, box, surface, table, write_camera, write_json, write_object

BLUE, WHITE = Look((0.08, 0.16, 0.5, 1.0), 0.0, 0.6), Look((0.85, 0.85, 0.82, 1.0), 0.0, 0.8)
TRAY_M = (0.2, 0.3)
"""Depth and width."""


def tray(depth=TRAY_M[0], width=TRAY_M[1], wall=0.008, rim=0.022, handle=0.075):
    """A tray with a low rim, and a bar that stands over each of its short sides."""
    x, y = depth / 2, width / 2
    sides = [
        box((-x, -y, 0), (x, y, wall)),
        box((-x, -y, wall), (-x + wall, y, rim)),
        box((x - wall, -y, wall), (x, y, rim)),
        box((-x + wall, -y, wall), (x - wall, -y + wall, rim)),
        box((-x + wall, y - wall, wall), (x - wall, y, rim)),
    ]
    bars, radius = [], 0.007
    for end in (-y + wall / 2, y - wall / 2):
        feet = [(-0.055, end, rim - 0.004), (0.055, end, rim - 0.004)]
        tops = [(-0.055, end, handle), (0.055, end, handle)]
        bars += [bar(feet[0], tops[0], radius), bar(feet[1], tops[1], radius), bar(tops[0], tops[1], radius)]
    return [surface(BLUE, *sides), surface(METAL, *bars)]


def write_scene(scene):
    """The whole scene."""
    scene = Path(scene)
    info = {"scene_id": "tray_table", "image_size": [320, 240], "coordinate_frame": "z_up", "meters_per_unit": 1.0, "confidence": 1.0}
    info |= {"version": "1.0.0", "environment_type": "kitchen", "reconstruction_method": "authored", "generated_at": "2026-11-30T00:00:00Z"}
    write_json(scene / "scene_info.json", info)
    write_camera(scene, (0.9, -1.5, 1.6), (0.0, 0.0, 0.8))
    (scene / "background").mkdir(parents=True, exist_ok=True)
    (scene / "background/mesh.glb").write_bytes(build_glb("background", table(1.0, 0.7)))
    can = trimesh.creation.cylinder(0.028, 0.11, sections=32)
    can.apply_translation((0, 0, 0.055))
    carton = box((-0.025, -0.025, 0), (0.025, 0.025, 0.13))
    things = {
        "blue_tray": (tray(), (0.0, -0.05), "tray", "blue tray with two handles", "wood"),
        "red_can": ([surface(RED, can)], (0.38, -0.2), "can", "red can", "metal"),
        "white_carton": ([surface(WHITE, carton)], (-0.36, 0.2), "carton", "white milk carton", "paper"),
    }
    for name, (surfaces, place, category, description, material) in things.items():
        words = {"category": category, "description": description, "material_type": material}
        write_object(scene, name, surfaces, (*place, TABLE_M), **words)
    rows = [f"| {name} | boxes, bars and cylinders | authored for this scene | - | CC0 1.0 |" for name in things]
    head = ["# Attribution", "", "| id | what | source package | original | licence |", "|---|---|---|---|---|"]
    background = "| background | table, floor and walls of boxes | authored for this scene | - | CC0 1.0 |"
    (scene / "ATTRIBUTION.md").write_text("\n".join([*head, *rows, background, ""]), encoding="utf-8")
    return scene


if __name__ == "__main__":
    write_scene(sys.argv[1])
