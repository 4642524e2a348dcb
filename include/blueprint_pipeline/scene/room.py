"""Collision pieces of a scene's background: of a room, which has walls rather than a body.

What is closed and is seen from outside (a counter, a table) becomes convex pieces as an object does. All else (the shell of a room, a
scan) becomes slabs, true to its surface. What lies on the floor is left out: there the plane ``floor`` is.
"""

import numpy as np
import trimesh

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.decompose import Pieces, decompose, measure_overfill
from blueprint_pipeline.scene.hulls import Hull, gaps_outside
from blueprint_pipeline.scene.mass import is_closed
from blueprint_pipeline.scene.patches import Indices
from blueprint_pipeline.scene.slabs import FLOOR_M, THICKNESS_M, make_slabs, solid_angles, turn_to
from blueprint_pipeline.scene.slabs import PARAMETERS as SLAB_PARAMETERS

_MAX_SOLIDS = 16
"""Parts that are tried as solids, the largest ones."""
_MAX_FILLED = 1.1
"""Volume of the pieces over that of the solid: with more, they close what is open, as a window in a wall."""
_SAMPLES = 3000
_CLEAR_SHARE = 0.95
_NONE = np.empty(0, dtype=np.int64)
PARAMETERS = f"room-1 solids {_MAX_SOLIDS} {SLAB_PARAMETERS}"
"""Names the method; part of the cache key."""


def decompose_room(mesh: trimesh.Trimesh, eye_m: FloatArray) -> Pieces:
    """Convex pieces of a background in [m] whose vertices are merged; none where all of it is floor.

    Args:
        mesh: In the world.
        eye_m: (3,): a point in the room.
    """
    parts = _standing_parts(mesh)
    made: list[Pieces] = []
    shell = np.zeros(len(mesh.faces), dtype=bool)
    for number, part in enumerate(parts):
        pieces = _pieces_of_solid(_only(mesh, part), eye_m) if number < _MAX_SOLIDS else None
        shell[part] = pieces is None
        if pieces is not None:
            made.append(pieces)
    slabs, overfill = _slabs_of_shell(_only(mesh, np.flatnonzero(shell)), eye_m)
    hulls = [hull for pieces in made for hull in pieces.hulls] + slabs
    points = _samples(_only(mesh, np.sort(np.concatenate([_NONE, *parts]))))
    gaps = np.minimum(gaps_outside(hulls, points), np.maximum(points[:, 2], 0.0))  # below z = 0 is the plane
    return Pieces(
        hulls=hulls,
        method="room",
        overfill=max([overfill, *(pieces.overfill for pieces in made)]),
        clearance_m=THICKNESS_M,
        gap_m=float(gaps.max(initial=0.0)),
        solid_share=float((gaps <= THICKNESS_M).mean()) if len(gaps) else 1.0,
    )


def _standing_parts(mesh: trimesh.Trimesh) -> list[Indices]:
    """Faces of the connected parts that are more than floor, the largest parts first."""
    parts = trimesh.graph.connected_components(mesh.face_adjacency, nodes=np.arange(len(mesh.faces)), min_len=1)
    tops, areas = np.asarray(mesh.triangles)[:, :, 2].max(axis=1), np.asarray(mesh.area_faces)
    standing = [np.sort(part) for part in parts if tops[part].max() > FLOOR_M]
    return sorted(standing, key=lambda part: (-float(areas[part].sum()), int(part[0])))


def _pieces_of_solid(part: trimesh.Trimesh, eye_m: FloatArray) -> Pieces | None:
    """Pieces of a part that is closed, does not hold the eye, and is open nowhere that its pieces are not.

    From within a closed part, the solid angle of all of it is that of a sphere.
    """
    if not is_closed(part) or abs(float(solid_angles(part, eye_m).sum())) >= 2 * np.pi:
        return None
    pieces = decompose(part)
    filled = sum(float(trimesh.Trimesh(*hull, process=False).volume) for hull in pieces.hulls)
    return pieces if filled <= _MAX_FILLED * abs(part.volume) else None


def _only(mesh: trimesh.Trimesh, faces: Indices) -> trimesh.Trimesh:
    part = trimesh.Trimesh(mesh.vertices, np.asarray(mesh.faces)[faces], process=False)
    part.remove_unreferenced_vertices()
    return part


def _samples(mesh: trimesh.Trimesh) -> FloatArray:
    """Points (N, 3) spread evenly over a mesh."""
    if not len(mesh.faces):
        return np.empty((0, 3))
    points: FloatArray = np.asarray(trimesh.sample.sample_surface(mesh, _SAMPLES, seed=0)[0])
    return points


def _slabs_of_shell(shell: trimesh.Trimesh, eye_m: FloatArray) -> tuple[list[Hull], float]:
    """Slabs, and the share of the free points before the front, one thickness off it, that they cover."""
    if not len(shell.faces):
        return [], 0.0
    front = turn_to(shell, eye_m)
    slabs = make_slabs(front)
    surface, faces = trimesh.sample.sample_surface(front, _SAMPLES, seed=0)
    points = surface + THICKNESS_M * np.asarray(front.face_normals)[faces]
    clear = trimesh.proximity.closest_point(front, points)[1] >= _CLEAR_SHARE * THICKNESS_M
    return slabs, measure_overfill(slabs, points[clear])
