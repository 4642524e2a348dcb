"""How wide a set of episodes spreads over what the scene allows. Time and memory grow with the number of episodes, not faster."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray

_FEWEST_FREE = 2
"""Episodes beyond one a group, from which a spread can be told."""


def ellipse_share(points_m: FloatArray, groups: Sequence[Hashable], places_m2: Mapping[Any, FloatArray]) -> float | None:
    """Spread of points within their groups over that of all places: 1 is as wide as points drawn evenly from each group's own.

    The square root of the ratio of two covariances' determinants, which is the ratio of the areas of their ellipses. Within groups: objects
    that start each at a place of its own, always the same, do not count as spread.

    Args:
        points_m: Shape (n, 2) [m].
        groups: Which object each is of, n.
        places_m2: By group: covariance of all places that the scene allows it, shape (2, 2) [m²].

    Returns:
        ``None`` where there are too few points beside their groups' means.
    """
    pooled, free = _pooled(points_m, groups)
    if free < _FEWEST_FREE:
        return None
    drawn_evenly = sum(((count - 1) * places_m2[group] for group, count in Counter(groups).items()), start=np.zeros((2, 2)))
    return float(np.sqrt(max(np.linalg.det(pooled / free), 0.0) / np.linalg.det(drawn_evenly / free)))


def range_share(values: FloatArray, groups: Sequence[Hashable], ranges: Mapping[Any, tuple[float, float]]) -> float | None:
    """Spread of values within their groups over that of values drawn evenly from each group's own range: 1 is as wide.

    The root of the ratio of two variances, each value as a share of its group's range. A range of no width is left out: nothing can spread.

    Args:
        values: Shape (n,).
        groups: Which range each is of, n.
        ranges: By group: lower and upper end.

    Returns:
        ``None`` where there are too few values beside their groups' means.
    """
    shares: dict[Hashable, list[float]] = {}
    for value, group in zip(values.tolist(), groups, strict=True):
        low, high = ranges[group]
        if high > low:
            shares.setdefault(group, []).append((value - low) / (high - low))
    free = sum(len(found) - 1 for found in shares.values())
    if free < _FEWEST_FREE:
        return None
    squares = sum(float(((np.array(found) - np.mean(found)) ** 2).sum()) for found in shares.values())
    return float(np.sqrt(squares / free * 12))


def _pooled(points_m: FloatArray, groups: Sequence[Hashable]) -> tuple[FloatArray, int]:
    """Sum of the squares about each group's mean, (2, 2), and how many points that leaves free."""
    indices: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        indices.setdefault(group, []).append(index)
    centred = [points_m[rows] - points_m[rows].mean(axis=0) for rows in indices.values()]
    pooled = sum((part.T @ part for part in centred), start=np.zeros((2, 2)))
    return pooled, len(groups) - len(indices)


def headings(quats_wxyz: FloatArray) -> FloatArray:
    """Turn about the vertical of unit quaternions (n, 4), whatever the tilt: the twist of the swing-twist decomposition, (n,) [rad].

    Source: Dobrowolski, "Swing-twist decomposition in Clifford algebra", arXiv 1506.05481.
    """
    turns: FloatArray = 2.0 * np.arctan2(quats_wxyz[:, 3], quats_wxyz[:, 0])
    return turns


def heading_spread(headings_rad: FloatArray, groups: Sequence[Hashable]) -> float | None:
    """How evenly headings point all ways, within each group, 0 (all the same) to 1.

    1 less the length of the mean of unit vectors, corrected for what few random ones leave over.

    Returns:
        ``None`` where no group has two.

    Source: Mardia and Jupp, "Directional statistics" (2000), circular variance.
    """
    vectors: dict[Hashable, list[complex]] = {}
    for heading, group in zip(headings_rad.tolist(), groups, strict=True):
        vectors.setdefault(group, []).append(complex(np.cos(heading), np.sin(heading)))
    sizes = {group: len(found) for group, found in vectors.items() if len(found) > 1}
    if not sizes:
        return None
    # E|mean|^2 of n random unit vectors is 1/n: (n |mean|^2 - 1) / (n - 1) is 0 for random ones, on average, and 1 for equal ones.
    equal = {group: (sizes[group] * abs(sum(vectors[group]) / sizes[group]) ** 2 - 1) / (sizes[group] - 1) for group in sizes}
    mean = sum(sizes[group] * equal[group] for group in sizes) / sum(sizes.values())
    return float(np.clip(1.0 - np.sqrt(max(mean, 0.0)), 0.0, 1.0))


def effective_number(items: Sequence[Hashable]) -> float | None:
    """How many different items there are, rare ones counting less: ``exp`` of the entropy; ``None`` for none.

    Source: Hill, "Diversity and evenness" (1973), order 1.
    """
    if not items:
        return None
    shares = np.array(list(Counter(items).values())) / len(items)
    return float(np.exp(-(shares * np.log(shares)).sum()))
