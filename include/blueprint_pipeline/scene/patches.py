"""Patches of neighbouring triangles, grown as far as a measure of them allows, those first that strain it least."""

import heapq
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def grow_patches(count: int, neighbours: Iterable[tuple[int, int]], strain_of: Callable[[Indices], float]) -> list[Indices]:
    """Make neighbours one for as long as the strain of what they become is at most 1.

    Args:
        count: How many faces there are.
        neighbours: Pairs of faces that share an edge.
        strain_of: Of the faces of a patch; it should not fall when the patch grows.

    Returns:
        Indices of the faces of each patch, in ascending order.
    """
    return _Growth(count, neighbours, strain_of).run()


class _Growth:
    def __init__(self, count: int, neighbours: Iterable[tuple[int, int]], strain_of: Callable[[Indices], float]) -> None:
        self._strain_of = strain_of
        self._patches = {index: np.array([index]) for index in range(count)}
        self._beside: dict[int, set[int]] = {index: set() for index in range(count)}
        self._next = count
        self._measured: set[tuple[int, int]] = set()
        self._open: list[tuple[float, int, int]] = []
        for first, second in neighbours:
            self._beside[first].add(second)
            self._beside[second].add(first)
            heapq.heappush(self._open, (0.0, min(first, second), max(first, second)))

    def run(self) -> list[Indices]:
        while self._open:
            strain, first, second = heapq.heappop(self._open)
            if first not in self._patches or second not in self._patches:
                continue
            if (first, second) in self._measured:
                self._join(strain, first, second)
            else:
                self._measure(first, second)
        return sorted(self._patches.values(), key=lambda faces: int(faces[0]))

    def _measure(self, first: int, second: int) -> None:
        """Until it is measured, a pair has the strain of the patch that grew: what it becomes has no less."""
        self._measured.add((first, second))
        strain = self._strain_of(np.concatenate([self._patches[first], self._patches[second]]))
        if strain <= 1:
            heapq.heappush(self._open, (strain, first, second))

    def _join(self, strain: float, first: int, second: int) -> None:
        number, self._next = self._next, self._next + 1
        beside = (self._beside.pop(first) | self._beside.pop(second)) - {first, second}
        self._patches[number] = np.sort(np.concatenate([self._patches.pop(first), self._patches.pop(second)]))
        self._beside[number] = beside
        for other in sorted(beside):
            self._beside[other] = self._beside[other] - {first, second} | {number}
            heapq.heappush(self._open, (strain, other, number))
