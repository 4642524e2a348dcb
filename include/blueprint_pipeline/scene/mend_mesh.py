"""Faces of a mesh put in order: each once, all with their outside outwards. What was changed is said.

Positions decide what belongs together; looks stay with their faces.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.slabs import solid_angles
from blueprint_pipeline.scene.surfaces import Surface, first_faces, is_degenerate

Faces = NDArray[np.int64]
Flags = NDArray[np.bool_]

_WELD_SHARE = 1e-7
"""Places closer than this share of the extent are one."""
_MAX_OUTER = 1024
"""Shells, the largest ones, that may have another within: a mesh may have any number."""
_SIDES = ((0, 1), (1, 2), (2, 0))


@dataclass(frozen=True)
class Mended:
    """Surfaces in order.

    Attributes:
        surfaces: In the same order, without those of which nothing is left.
        changes: What was changed, in words; empty if nothing was.
    """

    surfaces: list[Surface]
    changes: tuple[str, ...]


def mend_surfaces(surfaces: list[Surface], eye_m: FloatArray | None = None) -> Mended:
    """Remove faces that stand twice with the same look, and turn those whose outside is inside.

    A shell within another one that faces inwards is a cavity and stays. Open shells take the side of most of their area.

    Args:
        surfaces: In one frame.
        eye_m: (3,): a point from which all is seen; a closed shell around it is a room, and faces inwards. ``None``: there is no room.
    """
    vertices, faces, written = _welded(surfaces)
    own = np.arange(len(faces))
    kept = first_faces(faces, _look_numbers(surfaces)) == own
    leader = first_faces(faces)  # faces of another look in its place turn with it: they are its back, or lie on it
    leads = leader == own
    turned = np.zeros(len(faces), dtype=bool)
    turned[leads] = _turned(vertices, faces[leads], written[leads], eye_m)
    turned = turned[leader] & kept
    changes = []
    if not kept.all():
        changes.append(f"{int((~kept).sum())} of {len(kept)} faces stand twice; one of each was removed")
    if turned.any():
        changes.append(f"{int(turned.sum())} of {int(kept.sum())} faces had their outside inside; they were turned")
    if not changes:
        return Mended(surfaces, ())
    bounds = np.cumsum([0, *(len(surface.faces) for surface in surfaces)])
    found = []
    for index, surface in enumerate(surfaces):
        part = slice(bounds[index], bounds[index + 1])
        if kept[part].any():
            found.append(replace(surface, faces=np.where(turned[part, None], surface.faces[:, ::-1], surface.faces)[kept[part]]))
    return Mended(found, tuple(changes))


def orient(vertices: FloatArray, faces: Faces) -> Faces:
    """Faces (F, 3) of a welded mesh with their outside outwards."""
    turned = _turned(vertices, faces, faces)
    return np.where(turned[:, None], faces[:, ::-1], faces)


def _welded(surfaces: list[Surface]) -> tuple[FloatArray, Faces, Faces]:
    """Places (P, 3) of all surfaces, each once, faces of them (F, 3), and the same faces of the vertices as they are written."""
    vertices = np.vstack([surface.vertices for surface in surfaces])
    step = max(float(np.ptp(vertices, axis=0).max()) * _WELD_SHARE, 1e-12)
    _, first, same = np.unique(np.round((vertices - vertices.min(axis=0)) / step), axis=0, return_index=True, return_inverse=True)
    offsets = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    faces = np.vstack([surface.faces + offset for surface, offset in zip(surfaces, offsets, strict=False)])
    return vertices[first], same.reshape(-1)[faces], faces


def _look_numbers(surfaces: list[Surface]) -> Faces:
    """For each face of all surfaces, the number of its look: surfaces that look alike have one, but for those with vertex colours."""
    numbers: dict[tuple[object, ...], int] = {}
    looks = [surface.look.key() if surface.colors is None else (index,) for index, surface in enumerate(surfaces)]
    of_surface = [numbers.setdefault(look, len(numbers)) for look in looks]
    return np.repeat(of_surface, [len(surface.faces) for surface in surfaces])


def _turned(vertices: FloatArray, faces: Faces, written: Faces, eye_m: FloatArray | None = None) -> Flags:
    """Which faces must be turned, shape (F,).

    Args:
        vertices: Places, each once.
        faces: Of places: what meets at one belongs together, but along an edge of two bodies that touch.
        written: The same faces of vertices as they are written, which are those of one body.
        eye_m: See :func:`mend_surfaces`.
    """
    same, other = (np.vstack(pairs) for pairs in zip(_neighbours(faces), _neighbours(written), strict=True))
    count = len(faces)
    # Each face stands twice in a graph, as it is and turned: what is connected has one winding.
    _, winding = _connected(np.vstack([same, same + count, np.add(other, (0, count)), np.add(other, (count, 0))]), 2 * count)
    shells, shell = _connected(np.vstack([same, other]), count)
    first = np.full(shells, count)
    np.minimum.at(first, shell, np.arange(count))
    turned: Flags = winding[:count] != winding[first[shell]]
    one_sided = winding[:count] == winding[count:]  # a Moebius strip: no winding is right
    turned[one_sided] = False
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    most_turned = np.bincount(shell, area * turned, shells) > np.bincount(shell, area, shells) / 2
    turned ^= most_turned[shell]
    turned[one_sided] = False
    closed = _closed_shells(faces, shell, shells)
    rooms = np.zeros(shells, dtype=bool) if eye_m is None else closed & _enclose(corners, turned, shell, eye_m)
    turned ^= _inside_out(corners, turned, shell, closed, rooms)[shell]
    return turned


def _connected(pairs: Faces, count: int) -> tuple[int, Faces]:
    """Number of groups that pairs (P, 2) connect ``count`` things to, and the group of each."""
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    groups, group = connected_components(graph, directed=False)
    return int(groups), group


def _neighbours(faces: Faces) -> tuple[Faces, Faces]:
    """Pairs of faces with an edge that no third one has: those that run along it in opposite ways, and those that run alike."""
    solid = np.flatnonzero(~is_degenerate(faces))
    edges = np.vstack([faces[solid][:, side] for side in _SIDES])
    owner = np.tile(solid, 3)
    ascending = edges[:, 0] < edges[:, 1]
    _, number, shared = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    number = number.reshape(-1)
    order = np.argsort(number, kind="stable")
    order = order[shared[number[order]] == 2]  # noqa: PLR2004 -- two faces at an edge
    pairs = owner[order].reshape(-1, 2)
    alike = ascending[order].reshape(-1, 2)
    alike_flags = alike[:, 0] == alike[:, 1]
    return pairs[~alike_flags], pairs[alike_flags]


def _closed_shells(faces: Faces, shell: Faces, shells: int) -> Flags:
    """Which shells have no open edge: none that an odd number of its faces have."""
    solid = np.flatnonzero(~is_degenerate(faces))
    edges = np.vstack([np.sort(faces[solid][:, side], axis=1) for side in _SIDES])
    owner = shell[np.tile(solid, 3)]
    found, counts = np.unique(np.column_stack([owner, edges]), axis=0, return_counts=True)
    closed = np.ones(shells, dtype=bool)
    closed[found[counts % 2 == 1, 0]] = False
    return closed


def _enclose(corners: FloatArray, turned: Flags, shell: Faces, eye_m: FloatArray) -> Flags:
    """Which shells, if they are closed, have a point within: from there, the solid angle of all of it is that of a sphere."""
    angles = np.where(turned, -1.0, 1.0) * solid_angles(corners, eye_m)
    return np.asarray(np.abs(np.bincount(shell, angles)) >= 2 * np.pi)


def _inside_out(corners: FloatArray, turned: Flags, shell: Faces, closed: Flags, rooms: Flags) -> Flags:
    """Which closed shells enclose less than nothing, but for those within another one: these are cavities.

    Where all of them together enclose less than nothing, the whole thing is inside out, and its cavities with it. Of rooms, those that
    enclose more than nothing, unless one faces inwards already: then the others are the outsides of its walls.
    """
    shells = len(closed)
    sign = np.where(turned, -1.0, 1.0)
    middle = corners.reshape(-1, 3).mean(axis=0)
    local = corners - middle
    volume = np.bincount(shell, sign * np.einsum("ti,ti->t", local[:, 0], np.cross(local[:, 1], local[:, 2])) / 6, shells)
    low, high = np.full((shells, 3), np.inf), np.full((shells, 3), -np.inf)
    np.minimum.at(low, shell, corners.min(axis=1))
    np.maximum.at(high, shell, corners.max(axis=1))
    solid = closed & ~rooms
    whole = solid & (float(volume[solid].sum()) < 0)
    volume[whole] *= -1
    negative = closed & (volume < 0)
    outer = np.flatnonzero(solid & (volume > 0))
    largest = outer[np.argsort(-np.ptp([low[outer], high[outer]], axis=0).prod(axis=1), kind="stable")][:_MAX_OUTER]
    for index in largest:
        negative &= ~((low >= low[index]) & (high <= high[index])).all(axis=1)
    return np.where(rooms, (volume > 0) & ~(rooms & (volume < 0)).any(), negative ^ whole)
