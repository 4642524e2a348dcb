"""Convex pieces for collision: few, true to the surface, and open where the thing is open.

How true they are is measured: points that float a little off the surface and see the world outside must not lie within a piece. A
bowl that a hull would close fails this at once, so it is cut finer until it does not. One that even the last cut closes keeps its
pieces, and is no target of a task (:mod:`blueprint_pipeline.job.planning`).

Directions are those of a Fibonacci sphere.
"""

from dataclasses import dataclass

import coacd
import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.decimate import simplify
from blueprint_pipeline.scene.mass import is_closed

PARAMETERS = "coacd-3 faces 1500b vertices 320/32 steps 0.05x16 0.03x32 overfill 0.03 cuts 8 search 40/20"
"""Names the method; part of the cache key."""

MAX_OVERFILL = 0.03
"""Share of points in free space, off the surface by the clearance, that pieces may cover."""

_MAX_COMPONENTS = 48
_FACES = 1500
_MIN_FACES = 300
_MAX_CUTS = 8
_SEARCH = (10, 40)
"""Nodes and iterations of CoACD's search."""
_SHEET_SEARCH, _SHEET_CELLS = (6, 20), 30
"""Of an open part, which CoACD first turns into a closed one of many more faces, on a grid of so many cells."""
_HULL_VERTICES = 320
_PIECE_VERTICES = 32
_STEPS = ((0.05, 16), (0.03, 32))
_SAMPLES = 3000
_MIN_CLEARANCE_M = 0.004
_CLEARANCE_SHARE = 0.02
_HALF_SHEET_M = 5e-4
_CLEAR_SHARE = 0.95
_CONVEX_SHARE = 0.95
_DIRECTIONS = 32
_MIN_SIGHT = 0.1
"""A slit between two triangles lets little of the world in."""


@dataclass(frozen=True)
class Pieces:
    """Convex pieces of one object, in its frame.

    Attributes:
        hulls: Vertices of each, shape (N, 3) [m], and faces, shape (F, 3).
        method: ``hull`` (one a connected part) or ``pieces`` (parts cut by CoACD, or slabs of an open shell).
        overfill: Measured share of free-space points that the pieces cover.
        clearance_m: How far off the surface these points are.
    """

    hulls: list[tuple[FloatArray, NDArray[np.int64]]]
    method: str
    overfill: float
    clearance_m: float


def decompose(mesh: trimesh.Trimesh) -> Pieces:
    """Convex pieces of a mesh in [m] whose vertices are merged; the same mesh gives the same pieces.

    Source: X. Wei et al., "Approximate Convex Decomposition for 3D Meshes with Collision-Aware Concavity and Tree
    Search", SIGGRAPH 2022 (CoACD).
    """
    points, clearance = _free_points(mesh)
    components = _components(mesh)
    pieces = [_hull(np.asarray(part.vertices)) for part in components]
    overfill = measure_overfill(pieces, points)
    if overfill <= MAX_OVERFILL:
        return Pieces(pieces, "hull", overfill, clearance)
    area = sum(float(part.area) for part in components)
    cut = parts_to_cut(components, points)
    pieces = []
    for index, part in enumerate(components):
        faces = max(_MIN_FACES, int(_FACES * part.area / area))
        pieces += _cut(part, points, faces) if index in cut else [_hull(np.asarray(part.vertices))]
    return Pieces(pieces, "pieces", measure_overfill(pieces, points), clearance)


def measure_overfill(pieces: list[tuple[FloatArray, NDArray[np.int64]]], points: FloatArray) -> float:
    """Share of ``points`` (N, 3) that lie within a piece."""
    if not len(points):
        return 0.0
    covered = np.zeros(len(points), dtype=bool)
    for vertices, _ in pieces:
        equations = ConvexHull(vertices).equations
        covered |= (points @ equations[:, :3].T + equations[:, 3]).max(axis=1) < 0
    return float(covered.mean())


def _components(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    parts = list(mesh.split(only_watertight=False))
    return parts if 1 < len(parts) <= _MAX_COMPONENTS else [mesh]


def parts_to_cut(parts: list[trimesh.Trimesh], points: FloatArray) -> set[int]:
    """The :data:`_MAX_CUTS` parts whose hulls cover most free space: cutting takes seconds a part, and a mesh may have any number."""
    covered = {index: measure_overfill([_hull(np.asarray(part.vertices))], points) for index, part in enumerate(parts)}
    return set(sorted((index for index in covered if covered[index] > 0), key=lambda index: (-covered[index], index))[:_MAX_CUTS])


def _cut(part: trimesh.Trimesh, points: FloatArray, faces: int) -> list[tuple[FloatArray, NDArray[np.int64]]]:
    """Pieces of one connected part, cut from at most about ``faces`` faces: its hull if that is true, else ever finer cuts."""
    low, high = part.bounds
    near = points[((points >= low) & (points <= high)).all(axis=1)]
    limit = MAX_OVERFILL * len(points) / max(len(near), 1)
    found = [_hull(np.asarray(part.vertices))]
    if len(near) == 0 or measure_overfill(found, near) <= limit:
        return found
    sheets = _sheets(part)
    if sheets:
        return sheets
    thin = simplify(part, faces)
    nodes, iterations = _SEARCH if thin.is_watertight else _SHEET_SEARCH
    for threshold, most in _STEPS:
        coacd.set_log_level("error")  # it writes its progress to stdout, where the command line writes results
        raw = coacd.run_coacd(
            coacd.Mesh(np.asarray(thin.vertices), np.asarray(thin.faces, dtype=np.int32)),
            threshold=threshold,
            max_convex_hull=most,
            preprocess_mode="auto",
            preprocess_resolution=_SHEET_CELLS,
            resolution=1000,
            mcts_nodes=nodes,
            mcts_iterations=iterations,
            mcts_max_depth=2,
            max_ch_vertex=_PIECE_VERTICES,
            seed=1,
        )
        found = sorted(
            (_hull(np.asarray(vertices), _PIECE_VERTICES) for vertices, _ in raw), key=lambda piece: piece[0].mean(axis=0).round(6).tolist()
        )
        if measure_overfill(found, near) <= limit:
            break
    return found


def _sheets(part: trimesh.Trimesh) -> list[tuple[FloatArray, NDArray[np.int64]]]:
    """A thin slab for each flat face of an open shell (a room without thickness); empty unless it is made of few convex ones."""
    if is_closed(part):
        return []
    grouped = [np.asarray(facet) for facet in part.facets]
    alone = np.setdiff1d(np.arange(len(part.faces)), np.concatenate(grouped) if grouped else np.empty(0, dtype=np.int64))
    groups = [*grouped, *(np.array([face]) for face in alone)]
    if len(groups) > _MAX_COMPONENTS:
        return []
    slabs = []
    for group in groups:
        slab = _hull(_thickened(np.asarray(part.vertices[np.unique(part.faces[group])])))
        faces_area = float(part.area_faces[group].sum())
        slab_area = float(trimesh.Trimesh(*slab, process=False).area) / 2
        if faces_area < _CONVEX_SHARE * slab_area:
            return []
        slabs.append(slab)
    return slabs


def _free_points(mesh: trimesh.Trimesh) -> tuple[FloatArray, float]:
    """Points just off the surface that can be seen from outside, with nothing else near: shape (N, 3), and how far off they are [m].

    Both sides of every triangle are tried, for a reconstruction may be an open sheet or inside out: the inside of a closed
    carton sees nothing of the world, the inside of a bowl does.
    """
    clearance = max(_MIN_CLEARANCE_M, _CLEARANCE_SHARE * float(mesh.scale))
    thin = simplify(mesh, _FACES)
    on_surface, faces = trimesh.sample.sample_surface(thin, _SAMPLES, seed=0)
    offset = clearance * np.asarray(thin.face_normals)[faces]
    points = np.vstack([np.asarray(on_surface) + offset, np.asarray(on_surface) - offset])
    distance = trimesh.proximity.closest_point(thin, points)[1]
    points = points[distance >= _CLEAR_SHARE * clearance]
    return points[_line_of_sight(thin, points) >= _MIN_SIGHT], clearance


def _line_of_sight(mesh: trimesh.Trimesh, points: FloatArray) -> FloatArray:
    """Share of directions in which each point sees past the mesh, shape (N,)."""
    step = np.arange(_DIRECTIONS) + 0.5
    height, turn = 1 - 2 * step / _DIRECTIONS, np.pi * (1 + 5**0.5) * step
    flat = np.sqrt(1 - height**2)
    sphere = np.column_stack([flat * np.cos(turn), flat * np.sin(turn), height])
    origins, directions = np.repeat(points, _DIRECTIONS, axis=0), np.tile(sphere, (len(points), 1))
    hit = mesh.ray.intersects_any(origins, directions)
    seen: FloatArray = 1.0 - np.asarray(hit, dtype=np.float64).reshape(len(points), _DIRECTIONS).mean(axis=1)
    return seen


def _hull(vertices: FloatArray, most: int = _HULL_VERTICES) -> tuple[FloatArray, NDArray[np.int64]]:
    """Convex hull with at most about ``most`` vertices, outward faces; a flat piece gets a little thickness.

    Source: Qhull manual, option TAn (stop after n vertices have been added, farthest first).
    """
    try:
        hull = ConvexHull(vertices, qhull_options="Qt")
        if len(hull.vertices) > most:
            hull = ConvexHull(vertices[hull.vertices], qhull_options=f"Qt TA{most - 4}")
    except QhullError:
        return _hull(_thickened(vertices), most)
    used = np.unique(hull.simplices)
    number = np.full(len(hull.points), -1)
    number[used] = np.arange(len(used))
    points = np.asarray(hull.points[used])
    faces = number[hull.simplices].astype(np.int64)
    corners = points[faces]
    outward = np.einsum("ti,ti->t", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), hull.equations[:, :3])
    faces[outward < 0] = faces[outward < 0][:, ::-1]
    return points, faces


def _thickened(vertices: FloatArray) -> FloatArray:
    """Points of a flat piece, moved to both sides of its plane by :data:`_HALF_SHEET_M`: what rests on it is raised by no more."""
    center = vertices.mean(axis=0)
    normal = np.linalg.svd(vertices - center)[2][2]
    both: FloatArray = np.vstack([vertices + _HALF_SHEET_M * normal, vertices - _HALF_SHEET_M * normal])
    return both
