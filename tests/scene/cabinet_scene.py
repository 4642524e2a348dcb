"""A scene of boxes and bars that opens: a chest of two drawers and a cabinet with a door on a table, beside a can and a carton.

``python -m tests.scene.cabinet_scene FOLDER`` writes it; the sample ``cabinet_table`` of the package was written so.
"""

import json
import sys
from pathlib import Path

import numpy as np
import trimesh

from blueprint_pipeline.scene.mesh_files import build_glb
from blueprint_pipeline.scene.surfaces import Look, Surface

TABLE_M = 0.72
"""Height of its top."""
DRAWER_TRAVEL_M, DOOR_TURN_RAD = 0.18, 1.6
_ROOM_M = 3.0
"""Half its side."""
_WALL_M = 0.012
_GAP_M = 0.002
_STANDOFF_M = 0.04
_BAR_M = 0.006
WOOD, WHITE, METAL, RED, GREEN = (
    Look((0.45, 0.28, 0.15, 1.0), 0.0, 0.7),
    Look((0.8, 0.8, 0.78, 1.0), 0.0, 0.6),
    Look((0.3, 0.3, 0.32, 1.0), 0.6, 0.4),
    Look((0.7, 0.08, 0.06, 1.0), 0.1, 0.5),
    Look((0.1, 0.45, 0.15, 1.0), 0.0, 0.8),
)


def box(low, high):
    """A box from corner to corner."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    made = trimesh.creation.box(high - low)
    made.apply_translation((low + high) / 2)
    return made


def bar(start, end, radius=_BAR_M):
    """A round bar."""
    return trimesh.creation.cylinder(radius=radius, segment=[start, end], sections=16)


def surface(look, *meshes):
    """Meshes as one surface."""
    joined = trimesh.util.concatenate(meshes)
    return Surface(np.asarray(joined.vertices, dtype=float), np.asarray(joined.faces, dtype=np.int64), None, look)


def handle(first, second, outward=(0.0, -1.0, 0.0)):
    """A bar between two points of a front, standing off it on two posts."""
    way = _STANDOFF_M * np.asarray(outward)
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    inset = 0.1 * (second - first)
    posts = [bar(first + inset, first + inset + way), bar(second - inset, second - inset + way)]
    return surface(METAL, bar(first + way, second + way), *posts)


def shell(width, depth, height):
    """A cabinet without its front: its back at y = 0, its open side at y = -depth, on z = 0, x from the middle."""
    half, wall = width / 2, _WALL_M
    return [
        box((-half, -depth, 0), (half, 0, wall)),
        box((-half, -depth, height - wall), (half, 0, height)),
        box((-half, -depth, wall), (-half + wall, 0, height - wall)),
        box((half - wall, -depth, wall), (half, 0, height - wall)),
        box((-half + wall, -wall, wall), (half - wall, 0, height - wall)),
    ]


def drawer(width, depth, low, high):
    """A drawer between two heights, its front flush with the open side, and its bar."""
    half, wall, back = width / 2 - _WALL_M - _GAP_M, 0.008, -_WALL_M - _GAP_M
    low, high = low + _GAP_M, high - _GAP_M
    sides = [
        box((-half, -depth + wall, low), (half, back, low + wall)),
        box((-half, -depth + wall, low + wall), (-half + wall, back, high - 0.02)),
        box((half - wall, -depth + wall, low + wall), (half, back, high - 0.02)),
        box((-half + wall, back - wall, low + wall), (half - wall, back, high - 0.02)),
        box((-half, -depth, low), (half, -depth + wall, high)),
    ]
    middle = (low + high) / 2
    return [surface(WHITE, *sides), handle((-0.06, -depth, middle), (0.06, -depth, middle))]


def chest(width=0.34, depth=0.28, height=0.28):
    """Two drawers, one above the other: surfaces by part, and joints."""
    middle = height / 2
    shelf = box((-width / 2 + _WALL_M, -depth, middle - _WALL_M / 2), (width / 2 - _WALL_M, -_WALL_M, middle + _WALL_M / 2))
    parts = {
        "body": [surface(WOOD, *shell(width, depth, height), shelf)],
        "lower_drawer": drawer(width, depth, _WALL_M, middle - _WALL_M / 2),
        "upper_drawer": drawer(width, depth, middle + _WALL_M / 2, height - _WALL_M),
    }
    slides = [
        {
            "name": f"{part}_slide",
            "type": "prismatic",
            "axis": [0, -1, 0],
            "origin": [0, 0, 0],
            "limits": [0, DRAWER_TRAVEL_M],
            "child_part": part,
        }
        for part in ("lower_drawer", "upper_drawer")
    ]
    return parts, slides


def cabinet(width=0.3, depth=0.24, height=0.34):
    """A cabinet with a door whose hinge is on its left, seen from the front: surfaces by part, and joints."""
    half, thick = width / 2, 0.014
    front = -depth - _GAP_M
    door = box((-half, front - thick, 0.004), (half, front, height - 0.002))
    at = half - 0.035
    parts = {
        "body": [surface(WOOD, *shell(width, depth, height))],
        "door": [surface(WHITE, door), handle((at, front - thick, 0.12), (at, front - thick, 0.24))],
    }
    hinge = {
        "name": "door_hinge",
        "type": "revolute",
        "axis": [0, 0, -1],
        "origin": [-half, front - thick / 2, 0],
        "limits": [0, DOOR_TURN_RAD],
        "child_part": "door",
    }
    return parts, [hinge]


def write_object(scene, name, surfaces, position, *, category, description, material_type, floor=False):
    """Write an object that stands upright at a position."""
    folder = scene / "objects" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mesh.glb").write_bytes(build_glb(name, surfaces))
    points = np.vstack([part.vertices for part in surfaces]) + position
    low, high = points.min(axis=0), points.max(axis=0)
    matrix = np.eye(4)
    matrix[:3, 3] = position
    pose = {"transform_matrix": matrix.tolist(), "translation": list(position), "rotation_quaternion": [1, 0, 0, 0], "scale": [1, 1, 1]}
    bounds = {"min": low, "max": high, "center": (low + high) / 2, "size": high - low}
    material = {"base_color": list(surfaces[0].look.base_color[:3]), "metallic": 0.0, "roughness": 0.6, "material_type": material_type}
    write_json(folder / "pose.json", {**pose, "is_floor_contact": floor})
    write_json(folder / "bounds.json", {key: np.round(value, 6).tolist() for key, value in bounds.items()})
    write_json(folder / "material.json", material)
    write_json(folder / "label.json", {"category": category, "description": description})
    return folder


def write_articulated(scene, name, parts, joints, position, **words):
    """Write an object whose parts move."""
    folder = write_object(scene, name, [item for surfaces in parts.values() for item in surfaces], position, **words)
    (folder / "parts").mkdir(exist_ok=True)
    for part, surfaces in parts.items():
        (folder / "parts" / f"{part}.glb").write_bytes(build_glb(part, surfaces))
    files = {part: f"parts/{part}.glb" for part in parts}
    stated = {"object_id": name, "base_part": next(iter(parts)), "origin": "authored", "parts": files, "joints": joints}
    write_json(folder / "articulation.json", stated)
    return folder


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def table(width=1.3, depth=0.8):
    """A table on four legs, in a room without a ceiling."""
    x, y = width / 2, depth / 2
    ends = [(side * (x - 0.05), end * (y - 0.04)) for side in (-1, 1) for end in (-1, 1)]
    legs = [box((x - 0.03, y - 0.03, 0), (x + 0.03, y + 0.03, TABLE_M - 0.04)) for x, y in ends]
    top = box((-x, -y, TABLE_M - 0.04), (x, y, TABLE_M))
    floor = box((-_ROOM_M, -_ROOM_M, -0.02), (_ROOM_M, _ROOM_M, 0.0))
    beside = [((-1, -1), (-1, 1)), ((1, -1), (1, 1)), ((-1, -1), (1, -1)), ((-1, 1), (1, 1))]
    walls = [box((*(_ROOM_M * np.array(a) - 0.02), 0), (*(_ROOM_M * np.array(b) + 0.02), 2.6)) for a, b in beside]
    floor_look, wall_look = Look((0.5, 0.5, 0.5, 1.0), 0.0, 0.9), Look((0.72, 0.7, 0.64, 1.0), 0.0, 0.9)
    return [surface(WOOD, top, *legs), surface(floor_look, floor), surface(wall_look, *walls)]


def write_camera(scene, eye, target, *, width=320, height=240, fovy_rad=0.8):
    """A camera that looks from one point at another."""
    eye, target = np.asarray(eye, dtype=float), np.asarray(target, dtype=float)
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    rows = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rows, -rows @ eye
    focal = height / 2 / np.tan(fovy_rad / 2)
    pinhole = [[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]
    write_json(scene / "camera/extrinsics.json", {"matrix": matrix.tolist(), "width": width, "height": height})
    write_json(scene / "camera/intrinsics.json", {"matrix": pinhole, "width": width, "height": height})


def write_can_and_box(scene, can_at, box_at):
    """A red can and a green box on the table, free to move."""
    can = trimesh.creation.cylinder(0.03, 0.1, sections=32)
    can.apply_translation((0, 0, 0.05))
    carton = box((-0.03, -0.025, 0), (0.03, 0.025, 0.09))
    write_object(scene, "red_can", [surface(RED, can)], (*can_at, TABLE_M), category="can", description="red can", material_type="metal")
    write_object(
        scene, "green_box", [surface(GREEN, carton)], (*box_at, TABLE_M), category="box", description="green box", material_type="paper"
    )


def write_room(scene, scene_id, objects, eye, target, *, table_size=(1.3, 0.8)):
    """All but the objects: what the scene is called, its room with the table, its camera, and who made what."""
    info = {"scene_id": scene_id, "image_size": [320, 240], "coordinate_frame": "z_up", "meters_per_unit": 1.0, "confidence": 1.0}
    info |= {"version": "1.0.0", "environment_type": "office", "reconstruction_method": "authored", "generated_at": "2026-11-30T00:00:00Z"}
    write_json(scene / "scene_info.json", info)
    write_camera(scene, eye, target)
    (scene / "background").mkdir(parents=True, exist_ok=True)
    (scene / "background/mesh.glb").write_bytes(build_glb("background", table(*table_size)))
    lines = [f"| {name} | boxes, bars and cylinders | authored for this scene | - | CC0 1.0 |" for name in objects]
    rows = ["| id | what | source package | original | licence |", "|---|---|---|---|---|", *lines]
    background = "| background | table, floor and walls of boxes | authored for this scene | - | CC0 1.0 |"
    text = "\n".join(["# Attribution", "", *rows, background, ""])
    (scene / "ATTRIBUTION.md").write_text(text, encoding="utf-8")


def write_scene(scene):
    """The whole scene."""
    scene = Path(scene)
    write_room(scene, "cabinet_table", ("chest", "cabinet", "red_can", "green_box"), (0.9, -1.5, 1.6), (0.0, 0.1, 0.85))
    words = {"category": "cabinet", "material_type": "wood"}
    write_articulated(scene, "chest", *chest(), (-0.22, 0.38, TABLE_M), description="brown chest of drawers", **words)
    write_articulated(scene, "cabinet", *cabinet(), (0.24, 0.38, TABLE_M), description="brown cabinet", **words)
    write_can_and_box(scene, (-0.45, -0.2), (0.45, -0.25))
    return scene


if __name__ == "__main__":
    write_scene(sys.argv[1])
