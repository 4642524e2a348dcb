"""A scene of boxes and cylinders with buttons and knobs: a panel and a mixer on a table, beside a can and a carton.

``python -m tests.scene.panel_scene FOLDER`` writes it; the sample ``panel_table`` of the package was written so.
"""

import sys
from pathlib import Path

import numpy as np
import trimesh

from blueprint_pipeline.scene.surfaces import Look, Surface
from tests.scene.cabinet_scene import METAL, RED, TABLE_M, WHITE, box, surface, write_articulated, write_can_and_box, write_room

TRAVEL_M, STIFFNESS_N_M = 0.008, 400.0
"""Of a button: 3.2 N where it is all the way in, beside what brings it back."""
KNOB_TURN_RAD, DIAL_TURN_RAD = 2.4, 4.6
TILT_RAD = float(np.deg2rad(35.0))
"""Of the panel's face against the level."""
BODY, BLACK, LIME, BLUE = (
    Look((0.42, 0.44, 0.47, 1.0), 0.0, 0.6),
    Look((0.03, 0.03, 0.035, 1.0), 0.0, 0.5),
    Look((0.05, 0.5, 0.1, 1.0), 0.0, 0.5),
    Look((0.04, 0.12, 0.6, 1.0), 0.0, 0.5),
)
_RING_M, _CAP_M, _OUT_M = 0.008, 0.011, 0.010
"""Height of a button's ring, and of its cap, and how far the cap stands off the face: pressed in, it is still above its ring."""
_SECTIONS = 40


def disc(radius, low, high):
    """A cylinder upon z between two heights."""
    made = trimesh.creation.cylinder(radius=radius, height=high - low, sections=_SECTIONS)
    made.apply_translation((0, 0, (low + high) / 2))
    return made


def ring(inner, outer, height):
    """A ring on z = 0."""
    made = trimesh.creation.annulus(r_min=inner, r_max=outer, height=height, sections=_SECTIONS)
    made.apply_translation((0, 0, height / 2))
    return made


def on_face(place, tilt_rad):
    """From a face that looks up (z outwards, y up the picture) to one that is tilted to -y, at a place of it."""
    cosine, sine, pose = np.cos(tilt_rad), np.sin(tilt_rad), np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.column_stack([(1, 0, 0), (0, cosine, sine), (0, -sine, cosine)]), place
    return pose


def placed(surfaces, pose):
    """Surfaces, moved."""
    return [Surface(part.vertices @ pose[:3, :3].T + pose[:3, 3], part.faces, part.uv, part.look) for part in surfaces]


def button(look, radius=0.03):
    """A cap, on a face that looks up, and the ring about it, which belongs to the base."""
    return [surface(look, disc(radius, _OUT_M, _OUT_M + _CAP_M))], [surface(METAL, ring(radius + 0.0015, radius + 0.006, _RING_M))]


def bar_knob(half_length=0.034, half_width=0.010, height=0.032):
    """A disc with a bar across it, the white end of which points to y."""
    bar = box((-half_width, -half_length, 0.007), (half_width, half_length, height))
    mark = box((-0.6 * half_width, 0.2 * half_length, height), (0.6 * half_width, half_length, height + 0.001))
    return [surface(BLACK, disc(0.036, 0.001, 0.007), bar), surface(WHITE, mark)]


def round_knob(radius=0.028, height=0.032):
    """A cylinder with a white line on its face, from its middle to y, and down its side."""
    mark = [
        box((-0.005, 0.002, height), (0.005, radius, height + 0.001)),
        box((-0.005, radius - 0.004, 0.004), (0.005, radius + 0.001, height)),
    ]
    return [surface(BLACK, disc(radius, 0.001, height)), surface(WHITE, *mark)]


def push(part, axis, **more):
    """The joint of a button."""
    limits = [0, TRAVEL_M]
    return {"name": f"{part}_push", "type": "prismatic", "axis": axis, "origin": [0, 0, 0], "limits": limits, "child_part": part, **more}


def turn(part, axis, origin, limits):
    """The joint of a knob."""
    return {"name": f"{part}_turn", "type": "revolute", "axis": axis, "origin": origin, "limits": limits, "child_part": part}


def wedge(width, foot, face):
    """A desk's body on z = 0 with a front of a height, from which a face of a length leans back; y grows to the back."""
    back, top = face * np.cos(TILT_RAD), foot + face * np.sin(TILT_RAD)
    corners = [(y, z) for y, z in ((0, 0), (0, foot), (back, top), (back, 0))]
    return trimesh.convex.convex_hull(np.array([(x, y, z) for x in (-width / 2, width / 2) for y, z in corners]))


def panel(width=0.42, foot=0.05, face=0.24):
    """Two buttons that spring back and a knob on a face that leans back: surfaces by part, and joints."""
    body, parts = [surface(BODY, wedge(width, foot, face))], {}
    outward = np.array((0, -np.sin(TILT_RAD), np.cos(TILT_RAD)))
    middle = np.array((0, np.cos(TILT_RAD), np.sin(TILT_RAD))) * face / 2 + (0, 0, foot)
    for name, look, x in (("red_button", RED, -0.135), ("green_button", LIME, -0.015)):
        pose = on_face(middle + np.array((x, 0, 0)), TILT_RAD)
        cap, about = button(look)
        parts[name] = placed(cap, pose)
        body += placed(about, pose)
    at = middle + np.array((0.12, 0, 0))
    parts["knob"] = placed(bar_knob(), on_face(at, TILT_RAD))
    joints = [push(name, (-outward).tolist(), stiffness=STIFFNESS_N_M) for name in ("red_button", "green_button")]
    joints.append(turn("knob", outward.tolist(), at.tolist(), [-KNOB_TURN_RAD, KNOB_TURN_RAD]))
    return {"body": body, **parts}, joints


def mixer(width=0.22, depth=0.16, height=0.07):
    """A button that stays where it is pushed and a dial on a top: surfaces by part, and joints."""
    body = [surface(WHITE, box((-width / 2, -depth / 2, 0), (width / 2, depth / 2, height)))]
    pose = on_face((-0.055, 0, height), 0.0)
    cap, about = button(BLUE)
    parts = {"blue_switch": placed(cap, pose), "dial": placed(round_knob(), on_face((0.055, 0, height), 0.0))}
    joints = [push("blue_switch", [0, 0, -1]), turn("dial", [0, 0, 1], [0.055, 0, 0], [0, DIAL_TURN_RAD])]
    return {"body": [*body, *placed(about, pose)], **parts}, joints


def write_scene(scene):
    """The whole scene."""
    scene = Path(scene)
    write_room(
        scene, "panel_table", ("panel", "mixer", "red_can", "green_box"), (0.4, -1.2, 1.4), (0.05, 0.0, 0.8), table_size=(0.92, 0.68)
    )
    words = {"category": "appliance", "material_type": "plastic"}
    write_articulated(scene, "panel", *panel(), (-0.1, 0.04, TABLE_M), description="grey control panel", **words)
    write_articulated(scene, "mixer", *mixer(), (0.27, -0.02, TABLE_M), description="white mixer", **words)
    write_can_and_box(scene, (-0.36, -0.2), (0.36, -0.25))
    return scene


if __name__ == "__main__":
    write_scene(sys.argv[1])
