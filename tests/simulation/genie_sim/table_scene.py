"""A table as high as the robot of Genie Sim wants it, with a can and a box on it."""

from pathlib import Path

import trimesh

from blueprint_pipeline.scene.mesh_files import build_glb
from tests.scene.cabinet_scene import GREEN, RED, TABLE_M, box, surface, table, write_camera, write_json, write_object

SCENE_ID = "table"


def write_table_scene(scene):
    """Its source, as 3D-RE-GEN lays one out."""
    scene = Path(scene)
    info = {"scene_id": SCENE_ID, "image_size": [320, 240], "coordinate_frame": "z_up", "meters_per_unit": 1.0, "confidence": 1.0}
    info |= {"version": "1.0.0", "environment_type": "office", "reconstruction_method": "authored", "generated_at": "2026-11-30T00:00:00Z"}
    write_json(scene / "scene_info.json", info)
    write_camera(scene, (0.9, -1.5, 1.6), (0.0, 0.1, 0.85))
    (scene / "background").mkdir(parents=True, exist_ok=True)
    (scene / "background/mesh.glb").write_bytes(build_glb("background", table()))
    can = trimesh.creation.cylinder(0.03, 0.1, sections=32)
    can.apply_translation((0, 0, 0.05))
    carton = box((-0.03, -0.025, 0), (0.03, 0.025, 0.09))
    words = {"category": "can", "description": "red can", "material_type": "metal"}
    write_object(scene, "red_can", [surface(RED, can)], (-0.15, -0.2, TABLE_M), **words)
    words = {"category": "box", "description": "green box", "material_type": "paper"}
    write_object(scene, "green_box", [surface(GREEN, carton)], (0.15, -0.15, TABLE_M), **words)
    rows = [f"| {name} | made for a test | authored for this scene | - | CC0 1.0 |" for name in ("red_can", "green_box", "background")]
    text = "\n".join(["# Attribution", "", "| id | what | source package | original | licence |", "|---|---|---|---|---|", *rows, ""])
    (scene / "ATTRIBUTION.md").write_text(text, encoding="utf-8")
    return scene
