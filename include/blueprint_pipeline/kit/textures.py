"""Pictures of surfaces, made from a seed with NumPy alone: wood, stone, tiles, cloth, plaster.

Each goes from one colour to another, and goes on over its edges: it may be repeated without a seam. Only sums, products and comparisons of
numbers whose bits NumPy promises (NEP 19: those of bit generators) make it, no sines and no library of random numbers: it has the same
bytes on every machine.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pattern = NDArray[np.float32]
"""How far each pixel (height, width) is from the first colour to the second, 0 to 1."""
_GAP = 0.03
"""Width of a joint, in tiles."""
_SEAM = 0.015
"""Of a seam, in planks."""


def paint(texture: Mapping[str, Any], height: int, width: int) -> NDArray[np.uint8]:
    """A picture (height, width, 3), RGB.

    Args:
        texture: ``kind``, one of :data:`KINDS`; ``seed``; ``cells``, how many planks, slabs, tiles, threads or stains lie across the
            picture; ``turned``, whether it is turned by a quarter; ``low_rgb`` and ``high_rgb``, colours as displayed, 0 to 1.
        height: Pixels.
        width: Pixels.
    """
    turned = bool(texture["turned"])
    size = (width, height) if turned else (height, width)
    pattern = KINDS[texture["kind"]](_Draws(int(texture["seed"])), int(texture["cells"]), size)
    pattern = np.clip(pattern.T if turned else pattern, 0.0, 1.0)
    low, high = (np.array(texture[name], dtype=np.float32) for name in ("low_rgb", "high_rgb"))
    steps = np.linspace(0.0, 1.0, _STEPS, dtype=np.float32)[:, None]
    colours = np.rint(255.0 * (low + steps * (high - low))).astype(np.uint8)
    picture: NDArray[np.uint8] = colours[(pattern * (_STEPS - 1)).astype(np.intp)]
    return picture


_STEPS = 256


class _Draws:
    """Numbers from 0 to 1, in 53 bits."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def take(self, *shape: int) -> Pattern:
        raw = self._bits.random_raw(int(np.prod(shape)))
        numbers: Pattern = ((raw >> np.uint64(11)) * 2.0**-53).astype(np.float32).reshape(shape)
        return numbers


def _wood(draws: _Draws, cells: int, size: tuple[int, int]) -> Pattern:
    """Planks along the rows, each of its own shade and cut from another place of the trunk, with dark seams and ends."""
    height, width = size
    across = (np.arange(height, dtype=np.float32) + 0.5) * np.float32(cells / height)
    plank = across.astype(np.intp)
    shade, ends = draws.take(cells), (draws.take(cells) * width).astype(np.intp)
    grain = 0.55 * _noise(draws, (5 * cells, 3), size) + 0.45 * _noise(draws, (24 * cells, 6), size)
    along = (np.arange(width) + ends[plank][:, None]) % width
    pattern: Pattern = np.take_along_axis(grain, along, axis=1)
    pattern = 0.2 + 0.3 * shade[plank][:, None] + 0.5 * pattern
    seam = (across - plank < max(_SEAM, cells / height))[:, None] | (along < max(1, width // 256))
    if cells > 1:
        pattern[seam] = 0.0
    return pattern


def _stone(draws: _Draws, cells: int, size: tuple[int, int]) -> Pattern:
    """Clouds, grains, and pale veins where two clouds meet."""
    clouds = _clouds(draws, cells, size)
    vein = 1.0 - np.abs(2.0 * _noise(draws, (cells, cells), size) - 1.0)
    vein *= vein
    pattern: Pattern = 0.65 * clouds + 0.15 * draws.take(*size) + 0.2 * vein * vein * vein
    return pattern


def _tiles(draws: _Draws, cells: int, size: tuple[int, int]) -> Pattern:
    """Square tiles of slightly different shades, with joints in the first colour."""
    rows, columns = ((np.arange(side, dtype=np.float32) + 0.5) * np.float32(cells / side) for side in size)
    row, column = rows.astype(np.intp), columns.astype(np.intp)
    shades = 0.82 + 0.12 * draws.take(cells, cells)
    pattern: Pattern = shades[row[:, None], column] + 0.08 * (_clouds(draws, 2 * cells, size) - 0.5)
    gaps = [fraction < max(_GAP, cells / side) for fraction, side in ((rows - row, size[0]), (columns - column, size[1]))]
    pattern[gaps[0][:, None] | gaps[1]] = 0.0
    return pattern


def _cloth(draws: _Draws, cells: int, size: tuple[int, int]) -> Pattern:
    """Threads over and under one another, some thicker than others."""
    rows, columns = ((np.arange(side, dtype=np.float32) + 0.5) * np.float32(cells / side) for side in size)
    row, column = rows.astype(np.intp), columns.astype(np.intp)
    weft, warp = rows - row, columns - column
    above = (row[:, None] + column) % 2 == 0
    round_ = np.where(above, (4.0 * weft * (1.0 - weft))[:, None], 4.0 * warp * (1.0 - warp))
    thick = np.where(above, draws.take(cells)[row][:, None], draws.take(cells)[column])
    pattern: Pattern = 0.25 + 0.35 * round_ + 0.25 * thick + 0.15 * _noise(draws, (4, 4), size)
    return pattern


def _plaster(draws: _Draws, cells: int, size: tuple[int, int]) -> Pattern:
    """Soft stains and a fine grain."""
    return 0.8 * _clouds(draws, cells, size) + 0.2 * draws.take(*size)


def _clouds(draws: _Draws, cells: int, size: tuple[int, int]) -> Pattern:
    """Noise of five sizes, each half as large and half as strong as the one before."""
    weights = 0.5 ** np.arange(1, 6, dtype=np.float32)
    layers = [weight * _noise(draws, (cells << octave, cells << octave), size) for octave, weight in enumerate(weights)]
    mean: Pattern = np.sum(layers, axis=0, dtype=np.float32) / weights.sum()
    spread: Pattern = np.clip(0.5 + 1.6 * (mean - 0.5), 0.0, 1.0)  # sums of draws lie near the middle
    return spread


def _noise(draws: _Draws, cells: tuple[int, int], size: tuple[int, int]) -> Pattern:
    """Draws on a lattice of cells (rows, columns), smooth between them and over the edges.

    Source: value noise; the curve between two draws is 3 t^2 - 2 t^3.
    """
    cells = (min(cells[0], size[0]), min(cells[1], size[1]))
    pattern = draws.take(*cells)
    for axis in (1, 0):  # the last step is the large one, and whole rows are taken soonest
        places = (np.arange(size[axis], dtype=np.float32) + 0.5) * np.float32(cells[axis] / size[axis])
        cell = places.astype(np.intp)
        share = places - cell
        share = share * share * (3.0 - 2.0 * share)
        share = share[:, None] if axis == 0 else share[None]
        first, second = np.take(pattern, cell, axis), np.take(pattern, (cell + 1) % cells[axis], axis)
        pattern = first + share * (second - first)
    return pattern


KINDS: dict[str, Callable[[_Draws, int, tuple[int, int]], Pattern]] = {
    "wood": _wood,
    "stone": _stone,
    "tiles": _tiles,
    "cloth": _cloth,
    "plaster": _plaster,
}
"""What pictures can show, by name."""
