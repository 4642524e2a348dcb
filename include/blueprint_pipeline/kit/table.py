"""A function given by a table: straight between its rows, and going on straight beyond the first and the last."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TableArray = NDArray[np.float64]


def look_up(x: TableArray | float, xs: Sequence[float], ys: Sequence[float]) -> TableArray:
    """Values of a piecewise linear function, in the shape of ``x``.

    Args:
        x: Where to evaluate it.
        xs: Strictly rising or strictly falling, at least two.
        ys: The value at each of ``xs``.
    """
    places, values = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    if places[0] > places[-1]:
        places, values = places[::-1], values[::-1]
    piece = np.clip(np.searchsorted(places, x, side="right") - 1, 0, len(places) - 2)
    slope = (values[piece + 1] - values[piece]) / (places[piece + 1] - places[piece])
    found: TableArray = values[piece] + slope * (x - places[piece])
    return found


def is_monotone(values: Sequence[float]) -> bool:
    """Whether a row of numbers strictly rises or strictly falls."""
    steps = np.diff(values)
    return bool((steps > 0).all() or (steps < 0).all())
