"""A solid cut into pieces that are nearly convex, best first, within a fixed amount of work.

The piece that leaves most of its hull empty is cut next, by the plane along an axis whose halves have the smallest hulls. Where no
plane saves much (a ring: its halves fill as much as it does), the plane is taken whose halves save most when they are halved again.
Work is counted in triangles, never in seconds: every machine stops at the same piece.

Source: X. Wei et al., "Approximate Convex Decomposition for 3D Meshes with Collision-Aware Concavity and Tree Search", SIGGRAPH 2022,
for cutting by planes along axes with a look ahead, and merging afterwards; manifold3d cuts and makes hulls.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from manifold3d import Manifold, Mesh64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

_PLANES = 9
"""Tried along the longest side of a piece; fewer along the others, so that they stand equally far apart."""
_REFINEMENTS = 4
"""How often the distance to the best plane's neighbours is halved."""
_SMALL_GAIN = 0.1
"""Share of the empty volume: a cut that saves less is chosen by a look ahead."""
_MIN_SIDE = 0.05
"""Share of the longest side: a thinner side is not cut."""
_MIN_EMPTY = 1e-4
"""Share of the whole hull: a piece that leaves less of its hull empty is convex enough."""
_MIN_TRIANGLES = 300
"""What splitting a small piece costs at least."""
_MAX_PIECES = 128
"""A piece of so many bodies that there would be more is one piece, until cuts have made it less."""
_NEIGHBOURS = 8


class WorkBudget:
    """Work that may still be done, in triangles of the pieces that are split."""

    def __init__(self, triangles: int) -> None:
        self.left = triangles

    @property
    def is_done(self) -> bool:
        """Whether nothing more may be split."""
        return self.left <= 0

    def spend(self, piece: Manifold) -> None:
        """Count one split."""
        self.left -= max(piece.num_tri(), _MIN_TRIANGLES)


@dataclass(frozen=True)
class _Halves:
    """A piece split by a plane across an axis, and the volume of both hulls."""

    hulls: float
    axis: int
    offset: float
    parts: tuple[Manifold, Manifold]


class Cutter:
    """Pieces of one solid."""

    def __init__(self, solid: Manifold, work: WorkBudget) -> None:
        self.work = work
        self._cuts = 0
        self._convex: list[Manifold] = []
        self._open: list[tuple[float, int, Manifold]] = []
        self._number = 0
        self._least = _MIN_EMPTY * solid.hull().volume()
        self._push(solid)

    @property
    def pieces(self) -> list[Manifold]:
        """All pieces, as they are now."""
        return self._convex + [piece for _, _, piece in sorted(self._open, key=lambda item: item[:2])]

    def cut(self, cuts: int) -> None:
        """Cut until ``cuts`` were made in all, every piece is convex enough, or the work is done."""
        while self._open and self._cuts < cuts and not self.work.is_done:
            empty, _, piece = heapq.heappop(self._open)
            found = _best_cut(piece, -empty, self.work)
            if found is None:
                self._convex.append(piece)
                continue
            self._cuts += 1
            for half in found.parts:
                self._push(half)

    def _push(self, solid: Manifold) -> None:
        bodies = bodies_of(solid)
        if len(bodies) + len(self._open) + len(self._convex) > _MAX_PIECES:
            bodies = [solid]
        for piece in bodies:
            empty = piece.hull().volume() - piece.volume()
            if piece.volume() <= 0:
                continue
            if empty <= self._least:
                self._convex.append(piece)
            else:
                self._number += 1
                heapq.heappush(self._open, (-empty, self._number, piece))


def bodies_of(solid: Manifold) -> list[Manifold]:
    """The connected bodies of a solid: what ``Manifold.decompose`` gives, which looks at the whole solid once for each of them."""
    mesh = solid.to_mesh64()
    vertices, faces = mesh.vert_properties[:, :3], mesh.tri_verts.astype(np.int64)
    links = coo_matrix((np.ones(2 * len(faces)), (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())), shape=(len(vertices),) * 2)
    count, body_of = connected_components(links, directed=False)
    if count == 1:
        return [solid]
    order = np.argsort(body_of[faces[:, 0]], kind="stable")
    parts = np.split(faces[order], np.flatnonzero(np.diff(body_of[faces[order, 0]])) + 1)
    numbered = (np.unique(part, return_inverse=True) for part in parts)
    return [Manifold(Mesh64(vertices[used], number.reshape(-1, 3).astype(np.uint64))) for used, number in numbered]


def merge(pieces: list[Manifold], most: int) -> list[Manifold]:
    """Hulls of the pieces, at most ``most``: of near ones, those are made one whose hull adds least volume.

    A piece that is too thin to have a hull has none here.
    """
    found = [hull for hull in (piece.hull() for piece in pieces) if not hull.is_empty()]
    hulls = dict(enumerate(found))
    cost = {pair: _added(hulls, pair) for pair in _near_pairs(found)}
    while len(hulls) > most:
        kept, gone = min(cost, key=lambda pair: (cost[pair], pair))
        hulls[kept] = Manifold.batch_hull([hulls[kept], hulls.pop(gone)])
        others = {index for pair in cost if kept in pair or gone in pair for index in pair} - {kept, gone}
        cost = {pair: value for pair, value in cost.items() if not {kept, gone} & set(pair)}
        cost |= {pair: _added(hulls, pair) for pair in ((min(kept, other), max(kept, other)) for other in sorted(others))}
    return list(hulls.values())


def _added(hulls: dict[int, Manifold], pair: tuple[int, int]) -> float:
    first, second = hulls[pair[0]], hulls[pair[1]]
    return float(Manifold.batch_hull([first, second]).volume() - first.volume() - second.volume())


def _near_pairs(hulls: list[Manifold]) -> set[tuple[int, int]]:
    """Pairs of each with its nearest ones; a chain through all of them connects what stands apart."""
    if len(hulls) < 2:  # noqa: PLR2004 -- one alone
        return set()
    centers = np.array([np.asarray(hull.bounding_box()).reshape(2, 3).mean(axis=0) for hull in hulls])
    near = cKDTree(centers).query(centers, k=min(_NEIGHBOURS + 1, len(hulls)))[1].reshape(len(hulls), -1)
    chain = np.lexsort(centers.T)
    pairs = [(index, int(other)) for index, others in enumerate(near) for other in others]
    pairs += [(int(first), int(second)) for first, second in pairwise(chain)]
    return {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}


def _best_cut(piece: Manifold, empty: float, work: WorkBudget) -> _Halves | None:
    low, high = np.asarray(piece.bounding_box()).reshape(2, 3)
    size = high - low
    counts = {axis: max(1, round(_PLANES * size[axis] / size.max())) for axis in range(3) if size[axis] >= _MIN_SIDE * size.max()}
    steps = {axis: float(size[axis]) / (count + 1) for axis, count in counts.items()}
    tried = [(axis, low[axis] + steps[axis] * (index + 1)) for axis, count in counts.items() for index in range(count)]
    found = [halves for axis, offset in tried if (halves := _split(piece, axis, float(offset), work)) is not None]
    if not found:
        return None
    best = min(found, key=lambda halves: halves.hulls)
    if piece.hull().volume() - best.hulls < _SMALL_GAIN * empty:
        best = min(found, key=lambda halves: sum(_halved_again(half, work) for half in halves.parts))
    step = steps[best.axis]
    for _ in range(_REFINEMENTS):
        step /= 2
        beside = [_split(piece, best.axis, best.offset + shift, work) for shift in (-step, step)]
        best = min([best, *(halves for halves in beside if halves is not None)], key=lambda halves: halves.hulls)
    return best


def _halved_again(piece: Manifold, work: WorkBudget) -> float:
    """Smallest volume of hulls of the piece split in its middle."""
    return min([float(piece.hull().volume()), *(halves.hulls for halves in _middle_splits(piece, work))])


def _middle_splits(piece: Manifold, work: WorkBudget) -> Iterator[_Halves]:
    low, high = np.asarray(piece.bounding_box()).reshape(2, 3)
    for axis in range(3):
        halves = _split(piece, axis, float(low[axis] + high[axis]) / 2, work)
        if halves is not None:
            yield halves


def _split(piece: Manifold, axis: int, offset: float, work: WorkBudget) -> _Halves | None:
    """Both sides of a plane; ``None`` where one of them is empty, or the work is done."""
    if work.is_done:
        return None
    work.spend(piece)
    above, below = piece.split_by_plane(np.eye(3)[axis].tolist(), offset)
    if above.is_empty() or below.is_empty():
        return None
    return _Halves(float(above.hull().volume() + below.hull().volume()), axis, offset, (above, below))
