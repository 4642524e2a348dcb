"""How much a set of episodes teaches beyond one of them: diversity, near-duplicates, coverage of starts. Reported only."""

from collections.abc import Sequence

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray

_MIN_EPISODES = 2
MAX_COMPARED = 1000
"""Most paths whose distances are taken pair by pair: the kernel has 8 MB then, and its eigenvalues take a fraction of a second."""


_NEIGHBOURS = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3)
"""Steps from a cell of a grid in space to itself and to the 26 around it."""


def resample_path(position_m: FloatArray, *, samples: int = 64) -> FloatArray:
    """A path at ``samples`` equal shares of its duration, linearly interpolated. (n, 3) to (samples, 3), [m]."""
    old, new = np.linspace(0.0, 1.0, len(position_m)), np.linspace(0.0, 1.0, samples)
    return np.stack([np.interp(new, old, position_m[:, axis]) for axis in range(position_m.shape[1])], axis=1)


def path_distances_m(paths: Sequence[FloatArray]) -> FloatArray:
    """Root mean square distance of equally sampled paths, pair by pair. n paths (samples, 3) to (n, n), [m]."""
    flat = np.stack([path.ravel() for path in paths]) / np.sqrt(len(paths[0]))
    squares = (flat**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * flat @ flat.T, 0.0)), dtype=np.float64)


def vendi_score(kernel: FloatArray) -> float | None:
    """Effective number of different items, 1 to n.

    ``exp(-sum l_i ln l_i)`` over the eigenvalues l_i of K / n, where K is a positive semidefinite similarity with ones on its diagonal.

    Args:
        kernel: Shape (n, n).

    Returns:
        ``None`` for an empty set.

    Source: D. Friedman and A. B. Dieng, "The Vendi Score", arXiv 2210.02410.
    """
    if kernel.size == 0:
        return None
    eigenvalues = np.linalg.eigvalsh(kernel / len(kernel))
    positive = eigenvalues[eigenvalues > np.finfo(np.float64).eps]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def path_diversity(paths: Sequence[FloatArray], *, length_scale_m: float = 0.05) -> float | None:
    """Vendi score over paths of the tool, with ``K = exp(-d^2 / (2 l^2))``, d the root mean square distance of two paths [m].

    ``length_scale_m`` is 5 cm: paths that differ by about an object's size count as different. Of more than :data:`MAX_COMPARED` paths the
    score is that of so many of them, evenly spaced, and says no more than that there are at least about so many different ones.
    """
    compared = evenly_spaced(paths, MAX_COMPARED)
    return vendi_score(np.exp(-(path_distances_m(compared) ** 2) / (2 * length_scale_m**2))) if compared else None


def evenly_spaced(paths: Sequence[FloatArray], most: int) -> list[FloatArray]:
    """At most so many of the paths, from the first to the last at equal steps."""
    if len(paths) <= most:
        return list(paths)
    return [paths[index] for index in np.linspace(0, len(paths) - 1, most).round().astype(int)]


def near_duplicate_share(paths: Sequence[FloatArray], *, closest_m: float = 0.001) -> float | None:
    """Share of episodes whose path is within ``closest_m`` (root mean square) of one that counts before it, 0 to 1.

    The first of a bundle of such paths counts. Two paths are no closer than the means of their points, so that only paths whose means
    lie in neighbouring cells of a grid are compared: time and memory grow with the number of episodes, not with its square.

    Returns:
        ``None`` for fewer than two episodes.

    Source: rdq (duplicates by trajectory distance).
    """
    if len(paths) < _MIN_EPISODES:
        return None
    counted: dict[tuple[int, ...], list[FloatArray]] = {}
    duplicates = 0
    for path in paths:
        cell = np.floor(path.mean(axis=0) / closest_m).astype(int)
        near = [other for around in (cell + _NEIGHBOURS).tolist() for other in counted.get(tuple(around), ())]
        if near and (((np.stack(near) - path) ** 2).sum(axis=2).mean(axis=1) < closest_m**2).any():
            duplicates += 1
        else:
            counted.setdefault(tuple(cell.tolist()), []).append(path)
    return duplicates / len(paths)


def initial_state_coverage(positions_m: FloatArray, *, cell_m: float = 0.02) -> float | None:
    """Different starts over episodes, 0 to 1: occupied cells of a horizontal grid over the number of episodes.

    Args:
        positions_m: Where each episode's target starts, shape (n, 2), world x and y [m].
        cell_m: Edge of a cell [m].

    Returns:
        ``None`` for an empty set.

    Source: adduct ``coverage.*``.
    """
    if len(positions_m) == 0:
        return None
    return len(np.unique(np.floor(positions_m / cell_m).astype(np.int64), axis=0)) / len(positions_m)
