"""A small scene with things that receive others: a bowl, a plate and a box, and a can to put in or on them."""

import numpy as np

from tests.simulation.small_scene import SCENE_XML

RECEIVERS = {"table": "wooden table", "can": "red soda can", "bowl": "deep white bowl", "plate": "flat green plate", "box": "blue box"}
_SOLID = 'group="3" condim="4" friction="0.8 0.01 0.0001"'
_SEEN = 'group="2" contype="0" conaffinity="0"'


def geoms(name: str, shapes: list[str], rgba: str) -> str:
    """Every shape twice: to collide, and to be seen."""
    solid = "".join(f'<geom name="{name}_collision_{index}" {shape} {_SOLID}/>' for index, shape in enumerate(shapes))
    return solid + "".join(f'<geom name="{name}_visual_{index}" {shape} {_SEEN} rgba="{rgba}"/>' for index, shape in enumerate(shapes))


def body(name: str, position: str, mass: float, shapes: list[str], rgba: str) -> str:
    """A movable thing of a few shapes."""
    inertia = f'<inertial pos="0 0 0" mass="{mass}" diaginertia="0.0004 0.0004 0.0004"/>'
    return f'<body name="{name}" pos="{position}"><freejoint name="{name}"/>{inertia}{geoms(name, shapes, rgba)}</body>'


def walls(half_m: float, height_m: float, *, gap: bool = False, thick_m: float = 0.006) -> list[str]:
    """A square tub, open above, of boards with its floor at the origin; with a gap one side is missing."""
    up, half, side = height_m / 2, thick_m / 2, half_m - thick_m / 2
    boards = [
        f'type="box" size="{half_m} {half_m} {half}" pos="0 0 {half}"',
        f'type="box" size="{half} {half_m} {up}" pos="{side} 0 {up}"',
        f'type="box" size="{half} {half_m} {up}" pos="{-side} 0 {up}"',
        f'type="box" size="{half_m} {half} {up}" pos="0 {side} {up}"',
        f'type="box" size="{half_m} {half} {up}" pos="0 {-side} {up}"',
    ]
    return boards[:-1] if gap else boards


def ring(radius_m: float, height_m: float, thick_m: float, sides: int = 24) -> list[str]:
    """A round tub of as many boards, open above, with its floor at the origin."""
    half, wide = thick_m / 2, radius_m * np.tan(np.pi / sides)
    places = [(turn, radius_m * np.cos(turn), radius_m * np.sin(turn)) for turn in np.arange(sides) * 2 * np.pi / sides]
    size, up = f"{half} {wide} {height_m / 2}", height_m / 2
    boards = [f'type="box" size="{size}" pos="{x} {y} {up}" euler="0 0 {turn}"' for turn, x, y in places]
    return [f'type="cylinder" size="{radius_m} {half}" pos="0 0 {half}"', *boards]


CAN = body("can", "0.02 -0.1 0.7501", 0.2, ['type="cylinder" size="0.03 0.05"'], "0.8 0.1 0.1 1")
BOWL = body("bowl", "0.0 0.12 0.7001", 0.4, walls(0.09, 0.06), "0.9 0.9 0.9 1")
PLATE = body("plate", "0.05 -0.32 0.7061", 0.4, ['type="cylinder" size="0.09 0.006"'], "0.1 0.5 0.2 1")
BOX = body("box", "0.0 0.35 0.7301", 0.2, ['type="box" size="0.03 0.045 0.03"'], "0.1 0.2 0.8 1")


def with_bodies(*bodies: str) -> str:
    """The small scene's table with other things on it."""
    start = SCENE_XML.index('<body name="can"')
    return SCENE_XML[:start] + "".join(bodies) + SCENE_XML[SCENE_XML.index("</worldbody>") :]


RECEIVER_XML = with_bodies(CAN, BOWL, PLATE, BOX)
