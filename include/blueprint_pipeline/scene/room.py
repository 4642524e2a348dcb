"""Collision pieces of a scene's background: of a room, which has walls rather than a body.

What is closed and is seen from outside (a counter, a table) becomes convex pieces as an object does. All else (the shell of a room, a
scan) becomes slabs, true to its surface. What lies on the floor is left out: there the plane ``floor`` is.
So is what no robot comes near.
"""

from dataclasses import dataclass

import numpy as np
import trimesh

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.decompose import MAX_OVERFILL, Pieces, decompose, measure_overfill
from blueprint_pipeline.scene.hulls import Hull, convex_hull, gaps_outside
from blueprint_pipeline.scene.mass import is_closed, with_small_holes_closed
from blueprint_pipeline.scene.patches import Indices
from blueprint_pipeline.scene.slabs import FLOOR_M, THICKNESS_M, each_face_once, encloses, make_slabs, turn_to
from blueprint_pipeline.scene.slabs import PARAMETERS as SLAB_PARAMETERS

FAR_M = 50.0
"""From the eye: what is farther (a sky, a landscape) does not collide, and is not counted."""
_MAX_CONVEX = 192
"""Parts that are tried as one convex piece each, the largest ones."""
_MAX_SOLIDS = 16
"""Of these, the parts that are cut into more, which takes seconds."""
_MAX_FILLED = 1.1
"""Volume of the pieces over that of the solid: with more, they close what is open, as a window in a wall."""
_SAMPLES = 3000
_BEFORE_M = 0.005
"""So close to a surface is asked whether free space is covered."""
_CLEAR_SHARE = 0.95
_NONE = np.empty(0, dtype=np.int64)
PARAMETERS = f"room-3 far {FAR_M} convex {_MAX_CONVEX} solids {_MAX_SOLIDS} filled {_MAX_FILLED} {SLAB_PARAMETERS}"
"""Names the method; part of the cache key."""


def decompose_room(mesh: trimesh.Trimesh, eye_m: FloatArray) -> Pieces:
    """Convex pieces of a background in [m] whose vertices are merged; none where all of it is floor.

    Args:
        mesh: In the world.
        eye_m: (3,): a point in the room.
    """
    mesh = each_face_once(_near(mesh, eye_m))
    parts = _standing_parts(mesh)
    solids = _solids(mesh, parts[:_MAX_CONVEX], eye_m)
    open_parts = [part for number, part in enumerate(parts) if number not in solids]
    made = [*solids.values(), _slabs_of_shell(_only(mesh, np.concatenate([_NONE, *open_parts])), eye_m)]
    hulls = [hull for item in made for hull in item.hulls]
    points = _samples(_only(mesh, np.concatenate([_NONE, *parts])))
    points = points[points[:, 2] > FLOOR_M]
    gaps = np.minimum(gaps_outside(hulls, points), np.maximum(points[:, 2], 0.0))  # below z = 0 is the plane
    return Pieces(
        hulls=hulls,
        method="room",
        overfill=max(item.overfill for item in made),
        clearance_m=THICKNESS_M,
        gap_m=float(gaps.max(initial=0.0)),
        solid_share=float((gaps <= THICKNESS_M).mean()) if len(gaps) else 1.0,
    )


def _near(mesh: trimesh.Trimesh, eye_m: FloatArray) -> trimesh.Trimesh:
    """The triangles that come within :data:`FAR_M` of the eye, by their boxes: the detail of a far backdrop would cost that of the room."""
    corners = np.asarray(mesh.triangles)
    nearest = np.clip(eye_m, corners.min(axis=1), corners.max(axis=1))
    return _only(mesh, np.flatnonzero(np.linalg.norm(nearest - eye_m, axis=1) <= FAR_M))


@dataclass(frozen=True)
class _Made:
    """Hulls of a part, and the share of the free points close before its front that they cover."""

    hulls: list[Hull]
    overfill: float


def _standing_parts(mesh: trimesh.Trimesh) -> list[Indices]:
    """Faces of the connected parts that are more than floor, the largest parts first."""
    parts = trimesh.graph.connected_components(mesh.face_adjacency, nodes=np.arange(len(mesh.faces)), min_len=1)
    tops, areas = np.asarray(mesh.triangles)[:, :, 2].max(axis=1), np.asarray(mesh.area_faces)
    standing = [np.sort(part) for part in parts if tops[part].max() > FLOOR_M]
    return sorted(standing, key=lambda part: (-float(areas[part].sum()), int(part[0])))


def _solids(mesh: trimesh.Trimesh, parts: list[Indices], eye_m: FloatArray) -> dict[int, _Made]:
    """What was made of the parts that are solids, by the number of the part: one hull each, or pieces of the first that need more."""
    made: dict[int, _Made] = {}
    cut = 0
    for number, part in enumerate(parts):
        solid = with_small_holes_closed(_only(mesh, part))  # the volume of an open mesh depends on where it stands
        if not is_closed(solid) or encloses(solid, eye_m):
            continue
        found = _made(solid, [convex_hull(np.asarray(solid.vertices))], eye_m)
        if (found is None or found.overfill > MAX_OVERFILL) and cut < _MAX_SOLIDS:
            cut += 1
            found = _made(solid, decompose(solid).hulls, eye_m)
        if found is not None:
            made[number] = found
    return made


def _made(part: trimesh.Trimesh, hulls: list[Hull], eye_m: FloatArray) -> _Made | None:
    """The hulls of a solid, measured, if they are open where it is."""
    if sum(float(trimesh.Trimesh(*hull, process=False).volume) for hull in hulls) > _MAX_FILLED * abs(part.volume):
        return None
    return _Made(hulls, measure_overfill(hulls, _free_points(turn_to(part, eye_m))))


def _only(mesh: trimesh.Trimesh, faces: Indices) -> trimesh.Trimesh:
    part = trimesh.Trimesh(mesh.vertices, np.asarray(mesh.faces)[np.sort(faces)], process=False)
    part.remove_unreferenced_vertices()
    return part


def _samples(mesh: trimesh.Trimesh) -> FloatArray:
    """Points (N, 3) spread evenly over a mesh."""
    if not len(mesh.faces):
        return np.empty((0, 3))
    points: FloatArray = np.asarray(trimesh.sample.sample_surface(mesh, _SAMPLES, seed=0)[0])
    return points


def _slabs_of_shell(shell: trimesh.Trimesh, eye_m: FloatArray) -> _Made:
    front = turn_to(shell, eye_m)
    slabs = make_slabs(front, eye_m)
    return _Made(slabs, measure_overfill(slabs, _free_points(front)))


def _free_points(front: trimesh.Trimesh) -> FloatArray:
    """Points (N, 3) close before a mesh that :func:`turn_to` made, with nothing of it nearer."""
    if not len(front.faces):
        return np.empty((0, 3))
    surface, faces = trimesh.sample.sample_surface(front, _SAMPLES, seed=0)
    points = surface + _BEFORE_M * np.asarray(front.face_normals)[faces]
    clear: FloatArray = points[trimesh.proximity.closest_point(front, points)[1] >= _CLEAR_SHARE * _BEFORE_M]
    return clear
