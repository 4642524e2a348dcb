"""Convex pieces for collision: few, true to the surface, and open where the thing is open.

How true they are is measured: points that float a little off the surface and see the world outside must not lie within a piece. A
bowl that a hull would close fails this at once, so it is cut finer until it does not. One that even the last cut closes keeps its
pieces, and is no target of a task (:mod:`blueprint_pipeline.job.planning`).

The splits are bounded, in triangles and not in seconds: where cutting ends does not depend on how fast a machine is. How true the
pieces are stands in the report.

Directions are those of a Fibonacci sphere.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from manifold3d import Manifold
from scipy.spatial import ConvexHull

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.cutting import Cutter, WorkBudget, merge
from blueprint_pipeline.scene.decimate import simplify
from blueprint_pipeline.scene.hulls import Hull, convex_hull, gaps_outside, thickened
from blueprint_pipeline.scene.mass import is_closed
from blueprint_pipeline.scene.solidify import solidify

PARAMETERS = "planes-4 faces 1500/300 vertices 320/64 steps 24x16 48x32 64x48 overfill 0.03 parts 32 work 3e6/9e6 cells 40"
"""Names the method; part of the cache key."""

MAX_OVERFILL = 0.03
"""Share of points in free space, off the surface by the clearance, that pieces may cover."""

_MAX_COMPONENTS = 48
_FACES = 1500
_MIN_FACES = 300
"""Of a part that is cut, at the smallest share of the work; :data:`_FACES` at all of it."""
_MAX_CUT_PARTS = 32
_WORK, _MAX_WORK = 3_000_000, 9_000_000
"""Triangles of pieces that are split: for each part that is cut, and for all parts of one object."""
_MIN_SHARE = 1 / 32
"""Of the work, for a part that is cut."""
_CELLS = (20, 40)
"""Along the longest side of a part that is no solid: at the smallest share of the work, and at all of it."""
_PIECE_VERTICES = 64
_STEPS = ((24, 16), (48, 32), (64, 48))
"""Cuts of one part, and the most pieces that are left when near ones are made one again."""
_MAX_PIECES = 256
"""Of all parts that are cut."""
_SAMPLES = 3000
_GAP_STEPS = 10
"""Of the clearance: more pieces must make the gap smaller by one of them."""
_MIN_CLEARANCE_M = 0.004
_CLEARANCE_SHARE = 0.02
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
        method: ``hull`` (one a connected part) or ``pieces`` (parts cut by planes, or slabs of an open shell).
        overfill: Measured share of free-space points that the pieces cover.
        clearance_m: How far off the surface these points are.
        gap_m: Farthest that a point of the surface lies outside all pieces.
        solid_share: Share of the surface that lies outside by no more than the clearance.
    """

    hulls: list[Hull]
    method: str
    overfill: float
    clearance_m: float
    gap_m: float
    solid_share: float


def decompose(mesh: trimesh.Trimesh) -> Pieces:
    """Convex pieces of a mesh in [m] whose vertices are merged; the same mesh gives the same pieces."""
    thin = simplify(mesh, _FACES)
    clearance = max(_MIN_CLEARANCE_M, _CLEARANCE_SHARE * float(mesh.scale))
    points = _free_points(thin, clearance)
    surface = np.asarray(trimesh.sample.sample_surface(mesh, _SAMPLES, seed=0)[0])
    components = _components(mesh)
    pieces = [convex_hull(np.asarray(part.vertices)) for part in components]
    overfill = measure_overfill(pieces, points)
    if overfill <= MAX_OVERFILL:
        return _measured(pieces, "hull", overfill, clearance, surface)
    shares = _shares(components, parts_to_cut(components, points))
    work = min(_WORK * len(shares), _MAX_WORK)
    pieces = []
    for index, part in enumerate(components):
        if index in shares:
            item = _Part(part, thin if part is mesh else None, shares[index], int(work * shares[index]), _MAX_PIECES // len(shares))
            pieces += _cut(item, points, clearance)
        else:
            pieces.append(convex_hull(np.asarray(part.vertices)))
    return _measured(pieces, "pieces", measure_overfill(pieces, points), clearance, surface)


def _measured(pieces: list[Hull], method: str, overfill: float, clearance: float, surface: FloatArray) -> Pieces:
    gaps = gaps_outside(pieces, surface)
    return Pieces(pieces, method, overfill, clearance, float(gaps.max()), float((gaps <= clearance).mean()))


def _shares(parts: list[trimesh.Trimesh], cut: set[int]) -> dict[int, float]:
    """Share of the work of each part that is cut: by area, but for a least one; they add up to 1."""
    area = sum(float(parts[index].area) for index in cut)
    weights = {index: max(float(parts[index].area) / area, _MIN_SHARE) for index in sorted(cut)}
    return {index: weight / sum(weights.values()) for index, weight in weights.items()}


def measure_overfill(pieces: list[Hull], points: FloatArray) -> float:
    """Share of ``points`` (N, 3) that lie within a piece."""
    if not len(points):
        return 0.0
    covered = np.zeros(len(points), dtype=bool)
    for vertices, _ in pieces:
        equations = ConvexHull(vertices).equations
        covered |= (points @ equations[:, :3].T + equations[:, 3]).max(axis=1) < 0
    return float(covered.mean())


def measure_gap(pieces: list[Hull], points: FloatArray) -> float:
    """Farthest that one of ``points`` (N, 3) lies outside all pieces, measured to their planes [m]; 0 where all are covered."""
    return float(gaps_outside(pieces, points).max(initial=0.0))


def _components(mesh: trimesh.Trimesh) -> list[trimesh.Trimesh]:
    labels = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    parts = int(labels.max()) + 1  # counted first: splitting takes a millisecond a part
    return list(mesh.split(only_watertight=False)) if 1 < parts <= _MAX_COMPONENTS else [mesh]


def parts_to_cut(parts: list[trimesh.Trimesh], points: FloatArray) -> set[int]:
    """The :data:`_MAX_CUT_PARTS` parts whose hulls cover most free space: cutting takes seconds a part, and a mesh may have any number."""
    covered = {index: measure_overfill([convex_hull(np.asarray(part.vertices))], points) for index, part in enumerate(parts)}
    return set(sorted((index for index in covered if covered[index] > 0), key=lambda index: (-covered[index], index))[:_MAX_CUT_PARTS])


@dataclass(frozen=True)
class _Part:
    """A connected part that is cut.

    Attributes:
        mesh: The part.
        thin: The same with fewer faces, if that is known.
        share: Its share of the object's work.
        work: Triangles of its pieces that may be split.
        most: Most pieces that may be left of it.
    """

    mesh: trimesh.Trimesh
    thin: trimesh.Trimesh | None
    share: float
    work: int
    most: int


def _cut(item: _Part, points: FloatArray, clearance: float) -> list[Hull]:
    """Pieces of one part: its hull if that is true, else ever more cuts, as far as its work goes."""
    part = item.mesh
    low, high = part.bounds
    near = points[((points >= low) & (points <= high)).all(axis=1)]
    own = ((points >= low - clearance) & (points <= high + clearance)).all(axis=1).sum()
    limit = MAX_OVERFILL * own / max(len(near), 1)
    hull = [convex_hull(np.asarray(part.vertices))]
    if measure_overfill(hull, near) <= limit:
        return hull
    sheets = _sheets(part)
    if sheets:
        return sheets
    thin = item.thin or simplify(part, round(_MIN_FACES + item.share * (_FACES - _MIN_FACES)))
    made = solidify(part, thin, round(_CELLS[0] + item.share * (_CELLS[1] - _CELLS[0])))
    if made is None:
        return hull
    surface = np.asarray(trimesh.sample.sample_surface(thin, _SAMPLES, seed=0)[0])

    def flaws(pieces: list[Hull]) -> tuple[float, float]:
        """What is compared: openness first, then the gap in tenths of the clearance; both only as far as they are too large."""
        gap = np.ceil(measure_gap(pieces, surface) / clearance * _GAP_STEPS) / _GAP_STEPS
        return max(measure_overfill(pieces, near), limit), max(float(gap), 1.0)

    best, least = hull, flaws(hull)
    cutter = Cutter(made.solid, WorkBudget(item.work))
    for cuts, most in _STEPS:
        cutter.cut(cuts)
        merged = merge(cutter.pieces, min(most, item.most))
        found = [convex_hull(_back_on(thin, _vertices_of(piece), made.off_m), _PIECE_VERTICES) for piece in merged]
        if found and (left := flaws(found)) < least:
            best, least = found, left
        if least == (limit, 1.0) or cutter.work.is_done:
            break
    return sorted(best, key=lambda piece: (piece[0].mean(axis=0).round(6).tolist(), piece[0].tolist()))


def _vertices_of(hull: Manifold) -> FloatArray:
    return np.asarray(hull.to_mesh64().vert_properties[:, :3], dtype=np.float64)


def _back_on(mesh: trimesh.Trimesh, vertices: FloatArray, off_m: float) -> FloatArray:
    """Vertices (N, 3), those that lie off the surface by no more than ``off_m`` moved onto it."""
    if off_m == 0:
        return vertices
    closest, distance, _ = trimesh.proximity.closest_point(mesh, vertices)
    return np.where((distance <= off_m)[:, None], closest, vertices)


def _sheets(part: trimesh.Trimesh) -> list[Hull]:
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
        slab = convex_hull(thickened(np.asarray(part.vertices[np.unique(part.faces[group])])))
        faces_area = float(part.area_faces[group].sum())
        slab_area = float(trimesh.Trimesh(*slab, process=False).area) / 2
        if faces_area < _CONVEX_SHARE * slab_area:
            return []
        slabs.append(slab)
    return slabs


def _free_points(mesh: trimesh.Trimesh, clearance: float) -> FloatArray:
    """Points ``clearance`` off the surface that can be seen from outside, with nothing nearer, shape (N, 3).

    Both sides of every triangle are tried, for a reconstruction may be an open sheet or inside out: the inside of a closed
    carton sees nothing of the world, the inside of a bowl does.
    """
    on_surface, faces = trimesh.sample.sample_surface(mesh, _SAMPLES, seed=0)
    offset = clearance * np.asarray(mesh.face_normals)[faces]
    points = np.vstack([on_surface + offset, on_surface - offset])
    distance = trimesh.proximity.closest_point(mesh, points)[1]
    points = points[distance >= _CLEAR_SHARE * clearance]
    clear: FloatArray = points[_line_of_sight(mesh, points) >= _MIN_SIGHT]
    return clear


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
