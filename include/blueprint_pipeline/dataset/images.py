"""Statistics of a camera's pixels, counted over decoded frames: exact, with no overflow and a right deviation.

A histogram of 256 bins a channel holds all that is needed; histograms add up, so those of a dataset are exact for the
frames that were sampled.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from blueprint_pipeline.dataset.statistics import QUANTILES, Int64, count_quantiles

SAMPLED_FRAMES = 100
"""At most this many frames of an episode are counted, evenly spread, first and last among them."""
_LEVELS = np.arange(256, dtype=np.float64)


@dataclass(frozen=True)
class PixelCounts:
    """How often each level occurred, by channel (red, green, blue): ``counts`` (3, 256), over ``frames`` frames."""

    counts: Int64
    frames: int

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        return PixelCounts(self.counts + other.counts, self.frames + other.frames)


def empty_counts() -> PixelCounts:
    """Nothing counted yet."""
    return PixelCounts(np.zeros((3, 256), dtype=np.int64), 0)


def sampled_indices(length: int) -> set[int]:
    """Which frames of an episode are counted; the same ones each time."""
    return set(np.unique(np.linspace(0, length - 1, min(length, SAMPLED_FRAMES)).round().astype(int)).tolist())


def count_pixels(image: npt.NDArray[np.uint8]) -> PixelCounts:
    """Count one RGB image (H, W, 3)."""
    return PixelCounts(np.array(Image.fromarray(image).histogram(), dtype=np.int64).reshape(3, 256), 1)


def image_statistics(pixels: PixelCounts) -> dict[str, list[object]]:
    """The ten statistics, of levels scaled to 0 … 1, each as (3, 1, 1); ``count`` is the number of frames, as in LeRobot."""
    total = pixels.counts.sum(axis=1)
    mean = pixels.counts @ _LEVELS / total
    variance = (pixels.counts * (_LEVELS[None] - mean[:, None]) ** 2).sum(axis=1) / total
    occurs = pixels.counts > 0
    found = {"min": occurs.argmax(axis=1), "max": 255 - occurs[:, ::-1].argmax(axis=1), "mean": mean, "std": np.sqrt(variance)}
    found |= dict(zip(QUANTILES, count_quantiles(pixels.counts), strict=True))
    plain: dict[str, list[object]] = {name: [[[float(value)]] for value in np.asarray(row) / 255.0] for name, row in found.items()}
    return {name: plain[name] if name != "count" else [pixels.frames] for name in ("min", "max", "mean", "std", "count", *QUANTILES)}
