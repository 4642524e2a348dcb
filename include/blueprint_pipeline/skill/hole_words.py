"""What to call the holes of one object so that they are told from one another, as the scene's camera sees them."""

from itertools import pairwise

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray

_CLEARLY = 0.5
"""Of the way from one hole to the next: how much of it goes to the side, or away, where the one is left of, or before, the other."""
_ROWS: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {
    2: (("left", "right"), ("front", "back")),
    3: (("left", "middle", "right"), ("front", "middle", "back")),
}


def hole_words(middles_m: FloatArray) -> tuple[str | None, ...]:
    """A phrase for each hole, by their middles in the viewer's axes (n, 2): x away from the viewer, y to the left.

    ``None`` for a hole that no words tell: of two or three in a row all have words, of more in a row the first and the last.
    """
    if len(middles_m) == 1:
        return ("hole",)
    for along, row in ((-middles_m[:, 1], 0), (middles_m[:, 0], 1)):
        order = np.argsort(along, kind="stable")
        steps = [(along[after] - along[before], np.linalg.norm(middles_m[after] - middles_m[before])) for before, after in pairwise(order)]
        if all(step >= _CLEARLY * way for step, way in steps):
            return _in_order(order.tolist(), row)
    return (None,) * len(middles_m)


def _in_order(order: list[int], row: int) -> tuple[str | None, ...]:
    words: list[str | None] = [None] * len(order)
    if len(order) in _ROWS:
        for index, word in zip(order, _ROWS[len(order)][row], strict=True):
            words[index] = f"{word} hole"
    else:
        first, last = (("leftmost", "rightmost"), ("frontmost", "backmost"))[row]
        words[order[0]], words[order[-1]] = f"{first} hole", f"{last} hole"
    return tuple(words)
