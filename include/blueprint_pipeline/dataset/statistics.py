"""The ten statistics of every column: exact, over the values that were written.

Arrays are channel-major here: ``[C, T]``, C channels of T values, so that sorting runs along contiguous memory.

Quantiles interpolate linearly between order statistics. Those of a whole dataset are exact too, found by counting in
two passes over the written files, in memory that depends neither on the number of frames nor of episodes.

Source: Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996), type 7; Chan, Golub and LeVeque, "Updating
formulae" (1979) for the variance.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blueprint_pipeline.geometry.arrays import FloatArray

Int64 = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint32]

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
STATISTICS = ("min", "max", "mean", "std", "count", *QUANTILES)
_DIGIT = 1 << 16


@dataclass(frozen=True)
class Moments:
    """What can be added up: count, smallest, largest, mean and sum of squared differences from it, each (C,)."""

    count: int
    low: FloatArray
    high: FloatArray
    mean: FloatArray
    squares: FloatArray

    def __add__(self, other: "Moments") -> "Moments":
        total = self.count + other.count
        delta = other.mean - self.mean
        return Moments(
            total,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.mean + delta * (other.count / total),
            self.squares + other.squares + delta**2 * (self.count * other.count / total),
        )

    @property
    def std(self) -> FloatArray:
        """Standard deviation of the values themselves (divided by the count)."""
        std: FloatArray = np.sqrt(self.squares / self.count)
        return std


@dataclass(frozen=True)
class Statistics:
    """Moments and quantiles of C channels; ``quantiles`` has shape (5, C), in the order of :data:`QUANTILES`."""

    moments: Moments
    quantiles: FloatArray

    def channels(self, part: slice) -> "Statistics":
        """The statistics of some of the channels."""
        own = self.moments
        return Statistics(Moments(own.count, own.low[part], own.high[part], own.mean[part], own.squares[part]), self.quantiles[:, part])

    def as_lists(self, *, integer: bool = False) -> dict[str, list[object]]:
        """The ten statistics by name, as LeRobot stores those of a vector."""
        own = self.moments
        plain: dict[str, list[object]] = {
            "min": [int(value) for value in own.low] if integer else own.low.tolist(),
            "max": [int(value) for value in own.high] if integer else own.high.tolist(),
            "mean": own.mean.tolist(),
            "std": own.std.tolist(),
            "count": [own.count],
        }
        return plain | {name: row.tolist() for name, row in zip(QUANTILES, self.quantiles, strict=True)}


def compute_statistics(values: npt.NDArray[np.float32]) -> Statistics:
    """Exact statistics of ``values`` [C, T], T >= 1."""
    ordered = np.sort(values, axis=1)
    count = values.shape[1]
    wide = values.astype(np.float64)
    mean = wide.mean(axis=1)
    wide -= mean[:, None]
    moments = Moments(count, ordered[:, 0].astype(np.float64), ordered[:, -1].astype(np.float64), mean, np.einsum("ct,ct->c", wide, wide))
    low, high, share = _ranks(count)
    lower = ordered[:, low].astype(np.float64)
    return Statistics(moments, (lower + (ordered[:, high] - lower) * share).T)


def ramp_statistics(first: int, count: int) -> Statistics:
    """Statistics of one channel that counts ``first, first + 1, …``: the closed form."""
    mean = first + (count - 1) / 2
    squares = count * (count * count - 1) / 12
    moments = Moments(count, np.array([float(first)]), np.array([float(first + count - 1)]), np.array([mean]), np.array([squares]))
    return Statistics(moments, np.array([[first + share * (count - 1)] for share in QUANTILES.values()]))


def constant_statistics(value: int, count: int) -> Statistics:
    """Statistics of one channel that always has one value."""
    same = np.array([float(value)])
    return Statistics(Moments(count, same, same, same, np.zeros(1)), np.full((len(QUANTILES), 1), float(value)))


def float_keys(values: npt.NDArray[np.float32]) -> Keys:
    """Unsigned integers in the same order as the (finite) values.

    Source: Herf, "Radix Tricks" (2001).
    """
    bits = np.ascontiguousarray(values).view(np.uint32)
    flipped: Keys = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return flipped


def keys_to_floats(keys: Keys) -> FloatArray:
    """The values of :func:`float_keys`, as float64."""
    bits = np.where(keys >> 31, keys & np.uint32((1 << 31) - 1), ~keys).astype(np.uint32)
    return bits.view(np.float32).astype(np.float64)


def exact_quantiles(blocks: Callable[[], Iterable[Keys]], channels: int, count: int, decode: Callable[[Keys], FloatArray]) -> FloatArray:
    """Quantiles of ``channels`` long channels, in two passes and bounded memory; one block that holds all is simply sorted.

    Args:
        blocks: Gives a new pass over the keys, in blocks [C, n].
        channels: C.
        count: To which the n add up.
        decode: Turns keys to values.

    Returns:
        For each of :data:`QUANTILES` the two order statistics' keys turned to values and interpolated, shape (5, C).
    """
    low, high, share = _ranks(count)
    ranks = np.concatenate([low, high])
    whole = next(iter(blocks()))
    found = decode(np.sort(whole, axis=1)[:, ranks].T if whole.shape[1] == count else _select(blocks, channels, ranks))
    lower, upper = found[: low.size], found[low.size :]
    quantiles: FloatArray = lower + (upper - lower) * share[:, None]
    return quantiles


def count_quantiles(counts: Int64) -> FloatArray:
    """Quantiles of values given as a histogram over 0, 1, 2, … [C, bins]; shape (5, C)."""
    ends = counts.cumsum(axis=1)
    low, high, share = _ranks(int(ends[0, -1]))
    lower = np.stack([np.searchsorted(row, low, side="right") for row in ends], axis=1)
    upper = np.stack([np.searchsorted(row, high, side="right") for row in ends], axis=1)
    quantiles: FloatArray = lower + (upper - lower) * share[:, None]
    return quantiles


def _ranks(count: int) -> tuple[Int64, Int64, FloatArray]:
    """For each quantile the ranks below and above it, and how far it is from the first to the second."""
    at = np.array(list(QUANTILES.values())) * (count - 1)
    low = np.floor(at).astype(np.int64)
    return low, np.minimum(low + 1, count - 1), at - low


def _select(blocks: Callable[[], Iterable[Keys]], channels: int, ranks: Int64) -> Keys:
    """The keys at ``ranks`` of each channel, shape (ranks, C): first the upper 16 bits, then the lower."""
    upper = np.zeros((channels, _DIGIT), dtype=np.int64)
    for block in blocks():
        for channel, keys in enumerate(block):
            upper[channel] += np.bincount(keys >> 16, minlength=_DIGIT)
    ends = upper.cumsum(axis=1)
    digits = np.stack([np.searchsorted(row, ranks, side="right") for row in ends], axis=1)
    before = np.stack([row[digit] - count[digit] for row, count, digit in zip(ends, upper, digits.T, strict=True)], axis=1)
    wanted = [np.unique(column) for column in digits.T]
    lower = [np.zeros((buckets.size, _DIGIT), dtype=np.int64) for buckets in wanted]
    for block in blocks():
        for keys, buckets, counts in zip(block, wanted, lower, strict=True):
            tops = keys >> 16
            for number, bucket in enumerate(buckets):
                counts[number] += np.bincount(keys[tops == bucket] & (_DIGIT - 1), minlength=_DIGIT)
    found = np.empty(digits.shape, dtype=np.uint32)
    for channel, (buckets, counts) in enumerate(zip(wanted, lower, strict=True)):
        totals = counts.cumsum(axis=1)
        for position, (digit, rank) in enumerate(zip(digits[:, channel], ranks - before[:, channel], strict=True)):
            row = totals[np.searchsorted(buckets, digit)]
            found[position, channel] = (int(digit) << 16) | int(np.searchsorted(row, rank, side="right"))
    return found
