"""Slabs for surfaces without a body: the walls and shelves of a room, solid as they are drawn.

Neighbouring triangles become flat patches, the outline of a patch is cut into convex polygons, so that a door in a wall stays open,
and each polygon becomes a slab: its front is the surface, and it reaches :data:`THICKNESS_M` behind it, so that nothing slips
through, but not to the other side of what is thinner. The floor has none: there the plane ``floor`` is. A scan is never quite flat:
where so strict a measure leaves too many polygons a coarser one is taken, and of what the coarsest leaves, those are kept that look
largest from the eye.

The front is the side that is seen from the eye, a point in the room; of a closed part that is seen from outside, its outside.

Sources: S. Hertel and K. Mehlhorn, "Fast triangulation of the plane with respect to simple polygons", 1985, for convex polygons from
triangles; A. van Oosterom and J. Strackee, "The Solid Angle of a Plane Triangle", 1983.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from manifold3d import CrossSection, FillRule, triangulate
from scipy.spatial import ConvexHull, QhullError

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.decimate import simplify
from blueprint_pipeline.scene.hulls import Hull, convex_hull
from blueprint_pipeline.scene.patches import Indices, grow_patches

THICKNESS_M = 0.02
FLOOR_M = 0.005
"""What ends no higher than this is the floor: settling closes such a gap."""
MAX_SLABS = 192
"""Of all surfaces together."""
_TOLERANCES_M = (0.002, 0.005, 0.01, 0.02)
"""Tried in turn: how far a patch may be from flat, its outline from the triangles', and the side of a square that a slab covers in vain."""
_FACES = 2000
_WELD_M = 0.001
_LEAST_AREA_M2 = 1e-10
_SHEET_M = 0.002
"""Thickness of what is level and seen from below."""
_LEVEL = 0.9
_BEHIND_M = 0.001
"""Behind a polygon begins what is asked for the next surface: a patch is not quite flat."""
_INSET = 0.9
_MIN_FACING = 0.9
"""Of a patch's area, seen along its normal: with less it is folded."""
_MIN_SIDED = 0.05
"""Of the solid angle of a part's triangles: with less, as much of its back is seen as of its front, and it is closed, or nearly."""
PARAMETERS = f"slabs-3 thickness {THICKNESS_M} floor {FLOOR_M} most {MAX_SLABS} tolerances {_TOLERANCES_M} faces {_FACES} weld {_WELD_M}"
"""Names the method; part of the cache key."""


@dataclass(frozen=True)
class _Polygon:
    """Convex, in the world: corners (N, 3) [m], the direction to its front (3,), and its area [m2]."""

    corners_m: FloatArray
    normal: FloatArray
    area_m2: float

    def apparent_area(self, eye_m: FloatArray) -> float:
        """Area over the square of the distance to the eye: a dome of sky is large, and far from all that a robot reaches."""
        return self.area_m2 / max(float(((self.corners_m.mean(axis=0) - eye_m) ** 2).sum()), _LEAST_AREA_M2)


def turn_to(mesh: trimesh.Trimesh, eye_m: FloatArray) -> trimesh.Trimesh:
    """A mesh with few triangles, all wound so that their normals point to the front; slivers without an area are left out.

    Args:
        mesh: Surfaces in the world [m], open or closed, their vertices merged.
        eye_m: (3,): a point from which their front is seen.
    """
    if not len(mesh.faces):
        return mesh
    thin = each_face_once(simplify(each_face_once(_welded(mesh)), _FACES))
    found = trimesh.Trimesh(thin.vertices, np.asarray(thin.faces)[np.asarray(thin.area_faces) > _LEAST_AREA_M2], process=False)
    if not len(found.faces):
        return found
    trimesh.repair.fix_winding(found)
    faces, angles, corners = np.array(found.faces), solid_angles(np.asarray(found.triangles), eye_m), np.asarray(found.triangles)
    for part in trimesh.graph.connected_components(found.face_adjacency, nodes=np.arange(len(faces)), min_len=1):
        seen = float(angles[part].sum())
        is_sided = abs(seen) >= _MIN_SIDED * float(np.abs(angles[part]).sum())
        if (seen > 0) if is_sided else (_volume(corners[part]) < 0):
            faces[part] = faces[part][:, ::-1]
    return trimesh.Trimesh(found.vertices, faces, process=False)


def each_face_once(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A mesh without the faces that stand twice, whichever way they are wound: a plane drawn from both sides is one surface."""
    first = np.unique(np.sort(np.asarray(mesh.faces), axis=1), axis=0, return_index=True)[1]
    if len(first) == len(mesh.faces):
        return mesh
    return trimesh.Trimesh(mesh.vertices, np.asarray(mesh.faces)[np.sort(first)], process=False)


def _welded(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A mesh with vertices of one cell of :data:`_WELD_M` made one: triangles that only nearly meet are neighbours all the same."""
    cells = np.round(np.asarray(mesh.vertices) / _WELD_M)
    _, first, same = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    faces = same.reshape(-1)[np.asarray(mesh.faces)]
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    return trimesh.Trimesh(np.asarray(mesh.vertices)[first], faces[distinct], process=False)


def make_slabs(thin: trimesh.Trimesh, eye_m: FloatArray) -> list[Hull]:
    """At most :data:`MAX_SLABS` slabs of a mesh that :func:`turn_to` made, first those that look largest; the same mesh gives the same."""
    polygons: list[_Polygon] = []
    for tolerance in _TOLERANCES_M:
        found = [polygon for patch in _flat_patches(thin, tolerance) for polygon in _polygons(thin, patch, tolerance)]
        polygons = [polygon for polygon in found if polygon.corners_m[:, 2].max() > FLOOR_M]
        if len(polygons) <= MAX_SLABS:
            break
    largest = sorted(polygons, key=lambda polygon: (-polygon.apparent_area(eye_m), polygon.corners_m.tolist()))[:MAX_SLABS]
    return [_slab(thin, polygon) for polygon in largest]


def _slab(thin: trimesh.Trimesh, polygon: _Polygon) -> Hull:
    return convex_hull(np.vstack([polygon.corners_m, polygon.corners_m - _depth_m(thin, polygon) * polygon.normal]))


def _depth_m(thin: trimesh.Trimesh, polygon: _Polygon) -> float:
    """How far a slab reaches behind its polygon: no farther than to the next surface, for a board has two sides.

    Something may stand on what is seen from below, so it is hardly higher than it is drawn.
    """
    most = _SHEET_M if polygon.normal[2] < -_LEVEL else THICKNESS_M
    middle = polygon.corners_m.mean(axis=0)
    sides = (polygon.corners_m + np.roll(polygon.corners_m, 1, axis=0)) / 2
    starts = np.vstack([middle, middle + _INSET * (np.vstack([polygon.corners_m, sides]) - middle)]) - _BEHIND_M * polygon.normal
    hits, rays, _ = thin.ray.intersects_location(starts, np.tile(-polygon.normal, (len(starts), 1)), multiple_hits=False)
    if not len(hits):
        return most
    nearest = float(np.linalg.norm(hits - starts[rays], axis=1).min()) + _BEHIND_M
    return max(min(most, nearest), _BEHIND_M)


def solid_angles(triangles: FloatArray, eye_m: FloatArray) -> FloatArray:
    """Solid angle of each triangle (F, 3, 3) as seen from a point, shape (F,) [sr]; positive where the point sees its back."""
    first, second, third = np.moveaxis(triangles - eye_m, 1, 0)
    far = [np.linalg.norm(corner, axis=1) for corner in (first, second, third)]
    over = np.einsum("ti,ti->t", first, np.cross(second, third))
    under = far[0] * far[1] * far[2] + np.einsum("ti,ti->t", first, second) * far[2]
    under += np.einsum("ti,ti->t", second, third) * far[0] + np.einsum("ti,ti->t", third, first) * far[1]
    angles: FloatArray = 2 * np.arctan2(over, under)
    return angles


def encloses(mesh: trimesh.Trimesh, eye_m: FloatArray) -> bool:
    """Whether a closed mesh has a point within: from there, the solid angle of all of it is that of a sphere."""
    return abs(float(solid_angles(np.asarray(mesh.triangles), eye_m).sum())) >= 2 * np.pi


def _volume(triangles: FloatArray) -> float:
    """Of what triangles (F, 3, 3) with outward normals enclose, seen from their middle: it has the right sign where some are missing."""
    corners = triangles - triangles.reshape(-1, 3).mean(axis=0)
    return float(np.einsum("ti,ti->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6


def _flat_patches(mesh: trimesh.Trimesh, tolerance_m: float) -> list[Indices]:
    vectors, areas = np.asarray(mesh.triangles_cross) / 2, np.asarray(mesh.area_faces)
    points, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)

    def strain(patch: Indices) -> float:
        vector = vectors[patch].sum(axis=0)
        facing = float(np.linalg.norm(vector))
        if facing < _MIN_FACING * areas[patch].sum():
            return np.inf
        return float(np.ptp(points[faces[patch].ravel()] @ (vector / facing))) / tolerance_m

    return grow_patches(len(faces), _neighbours(mesh), strain)


def _neighbours(mesh: trimesh.Trimesh) -> list[tuple[int, int]]:
    return [(int(first), int(second)) for first, second in np.sort(np.asarray(mesh.face_adjacency), axis=1)]


def _polygons(mesh: trimesh.Trimesh, patch: Indices, tolerance_m: float) -> list[_Polygon]:
    """Convex polygons of a flat patch, in the plane through its middle."""
    corners = np.asarray(mesh.triangles)[patch]
    axes = _axes(np.asarray(mesh.triangles_cross)[patch].sum(axis=0))
    weights = np.asarray(mesh.area_faces)[patch]
    height = float(np.average(corners.mean(axis=1) @ axes[2], weights=weights))
    found = []
    for flat in _convex_polygons(corners @ axes[:2].T, tolerance_m):
        hull = ConvexHull(flat)
        outline = flat[hull.vertices] @ axes[:2] + height * axes[2]
        found.append(_Polygon(outline, axes[2], float(hull.volume)))
    return found


def _convex_polygons(triangles: FloatArray, tolerance_m: float) -> list[FloatArray]:
    """Corners (N, 2) of polygons, nearly convex, that cover what triangles (T, 3, 2) cover."""
    outline = CrossSection(list(triangles), FillRule.NonZero).simplify(tolerance_m).to_polygons()
    if not outline:
        return []
    points = np.vstack(outline)
    flat = trimesh.Trimesh(np.column_stack([points, np.zeros(len(points))]), triangulate(outline, tolerance_m), process=False)
    faces, areas = np.asarray(flat.faces), np.asarray(flat.area_faces)

    def strain(patch: Indices) -> float:
        try:
            covered = float(ConvexHull(points[np.unique(faces[patch])]).volume)
        except QhullError:  # all on a line: it covers nothing
            return 0.0
        return float(max(covered - areas[patch].sum(), 0.0) ** 0.5) / tolerance_m

    patches = grow_patches(len(faces), _neighbours(flat), strain)
    return [points[np.unique(faces[patch])] for patch in patches if areas[patch].sum() > tolerance_m**2]


def _axes(vector: FloatArray) -> FloatArray:
    """Two axes across a vector, and its direction, shape (3, 3)."""
    normal = vector / np.linalg.norm(vector)
    across = np.cross(normal, np.eye(3)[int(np.abs(normal).argmin())])
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(normal, across), normal])
