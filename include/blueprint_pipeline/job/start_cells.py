"""Parts of a surface, and of the range of a part, in which a target may start: nine, or three, each with words.

A surface's are the thirds of its extent away from the scene's camera, and across: those that goals are named after
(:data:`blueprint_pipeline.skill.region.THIRDS`). World frame: z up, metres.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.skill.instruction import SurfaceFrame
from blueprint_pipeline.skill.support_surface import BoolArray

_MIDDLE = "middle"
ROWS, COLUMNS = ("front", _MIDDLE, "back"), ("right", _MIDDLE, "left")
"""Away from the viewer, and from the viewer's right to the left."""
PART_STARTS = ("nearly closed", "in between", "widely open")
"""Thirds of the range in which a skill that moves parts begins."""
FIXED_START = "as it is"
"""Of a part that always begins at one place."""


def _words(row: str, column: str) -> str:
    """The words for a part of a surface.

    >>> _words("back", "left"), _words("middle", "left"), _words("middle", "middle")
    ('back left', 'left', 'middle')
    """
    return " ".join(word for word in (row, column) if word != _MIDDLE) or _MIDDLE


SURFACE_STARTS = tuple(_words(row, column) for row in ROWS for column in COLUMNS)


def surface_cells(frame: SurfaceFrame, points_m: FloatArray) -> NDArray[np.str_]:
    """The part of a surface on which each point (n, 2) of the world lies, (n,); one beside it counts to the nearest part."""
    lower, upper = frame.extent_m
    shares = (frame.to_viewer(points_m) - lower) / np.maximum(upper - lower, np.finfo(np.float64).tiny)
    rows, columns = np.clip((3 * shares).astype(int), 0, 2).T
    found: NDArray[np.str_] = np.array(SURFACE_STARTS)[3 * rows + columns]
    return found


def on_cell(frame: SurfaceFrame, name: str) -> Callable[[FloatArray], BoolArray]:
    """Which points (n, 2) lie on a part of a surface, as a function."""
    return lambda points_m: surface_cells(frame, points_m) == name


def middle_of_cell(frame: SurfaceFrame, name: str) -> FloatArray:
    """The middle of a part of a surface, (2,) in the world."""
    row, column = divmod(SURFACE_STARTS.index(name), 3)
    lower, upper = frame.extent_m
    return frame.to_world(lower + (np.array([row, column]) + 0.5) / 3 * (upper - lower))


def part_cell(position: float, start_range: tuple[float, float]) -> str:
    """The third of its start range in which a part is open so far [m] or [rad]."""
    low, high = start_range
    if high <= low:
        return FIXED_START
    return PART_STARTS[int(np.clip(3 * (position - low) / (high - low), 0, 2))]


def narrow_range(start_range: tuple[float, float], name: str | None) -> tuple[float, float]:
    """A third of a start range, by name; all of it without one."""
    if name is None or name == FIXED_START:
        return start_range
    low, high = start_range
    third = PART_STARTS.index(name)
    return low + third * (high - low) / 3, low + (third + 1) * (high - low) / 3
