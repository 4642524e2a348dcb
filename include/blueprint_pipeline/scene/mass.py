"""Mass, centre of mass and inertia of a mesh, by how the thing is built.

A closed mesh of a solid thing gives its volume: of the mesh, never of hulls, which make thin walls 2 to 3 times too heavy; where closed
parts overlap, of their union. A filled container has an apparent density. A thin-walled thing is a sheet: area times wall.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.materials import Category, Material
from blueprint_pipeline.scene.slabs import solid_angles
from blueprint_pipeline.scene.union import overlap_share, union_properties

MAX_OPEN_LENGTH = 0.05
"""Length of open edges over the square root of the area, up to which a mesh counts as closed (a slit, not a mouth)."""
_HOLE_LENGTH, _HOLE_EDGES, _HOLE_EDGES_LENGTH = 0.1, 16, 0.4
"""The same, of one hole that is closed before anything is measured, for it is no mouth: short, or of few edges (missing faces)."""
_FLAT_MOUTH = 0.95
"""Of the area of the fans over all mouths: what they enclose, seen along their normals, if they are flat."""
_SLIT_AREA = 1e-4
"""Share of the area that a slit may enclose."""
_MIN_VOLUME_SHARE = 1e-5
"""Of area times extent: below it a mesh encloses nothing, as a sheet with two sides does."""
_FLAT_SHARE = 1e-6
"""Of the extent: what is thinner is a sheet."""
_MAX_WALL_SHARE = 0.06
"""Mean thickness over extent, up to which a closed mesh is a wall with two skins."""
_MIN_SOLID_SHARE = 0.9
"""Of the area: closed parts of that much make a thing solid though something of it is open, as a sticker on a box."""
_MAX_PARTS = 256
"""Parts of an open mesh that are looked at one by one; what lies beyond counts as sheet."""
_MIN_OVERLAP_SHARE = 0.005
"""Share of the volume that parts must have in common to be measured as a union."""
_MIN_SKIN_SHARE = 0.5
"""Of the area of the part around it: an inner part of less is no second skin of it."""
_SKIN_SAMPLES = 16

Edges = NDArray[np.int64]


Basis = Literal["volume", "hull", "sheet"]


@dataclass(frozen=True)
class MassProperties:
    """Of a rigid body, in its own frame.

    Attributes:
        mass_kg: Mass.
        com_m: Centre of mass, shape (3,).
        inertia_kg_m2: Inertia about the centre of mass, shape (3, 3).
        method: How it was found, for a person to read.
        basis: What was measured: the volume, that of the convex hull, or the area, of all or a part of it.
    """

    mass_kg: float
    com_m: FloatArray
    inertia_kg_m2: FloatArray
    method: str
    basis: Basis = "volume"


def open_length(mesh: trimesh.Trimesh) -> float:
    """Length of the edges along which more faces run one way than the other, over the square root of the area; infinite without an area.

    It is 0 for a closed mesh. Borders have such edges, and so has a wall that parts the inside of a thing in two.
    """
    if mesh.area == 0:
        return np.inf
    edges, of_edge = np.unique(mesh.edges_sorted, axis=0, return_inverse=True)
    balance = np.bincount(of_edge.reshape(-1), np.where(mesh.edges[:, 0] < mesh.edges[:, 1], 1, -1), len(edges))
    border = mesh.vertices[edges[balance != 0]]
    return float(np.linalg.norm(border[:, 0] - border[:, 1], axis=1).sum() / np.sqrt(mesh.area))


def with_small_holes_closed(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with a fan over every slit, and over every hole that a missing face or two leave; the mesh itself if it has none.

    A slit encloses no area: it is there where one of two sides that meet has more vertices along their edge than the other.
    """
    border, hole = _holes(mesh)
    if not len(hole):
        return mesh
    length = np.bincount(hole, np.linalg.norm(mesh.vertices[border[:, 0]] - mesh.vertices[border[:, 1]], axis=1))
    size = np.sqrt(mesh.area)
    few = (np.bincount(hole) <= _HOLE_EDGES) & (length <= _HOLE_EDGES_LENGTH * size)
    small = (few | (length <= _HOLE_LENGTH * size) | (_hole_areas(mesh, border, hole) <= _SLIT_AREA * mesh.area))[hole]
    return _with_fans(mesh, border[small], hole[small]) if small.any() else mesh


def _with_mouths_closed(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with a fan over every hole, however large; the mesh itself if they are not flat, so that a fan is no good guess."""
    border, hole = _holes(mesh)
    if not len(hole):
        return mesh
    closed = _with_fans(mesh, border, hole)
    is_flat_all = _hole_areas(mesh, border, hole).sum() >= _FLAT_MOUTH * (closed.area - mesh.area)
    return closed if is_flat_all else mesh


def _holes(mesh: trimesh.Trimesh) -> tuple[Edges, Edges]:
    """Edges that only one face has (E, 2), as that face runs along them, and the number of the hole that each is of (E,)."""
    edges, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    border = mesh.edges[np.isin(_edge_keys(mesh.edges_sorted), _edge_keys(edges[counts == 1]))]
    joined = coo_matrix((np.ones(len(border)), (border[:, 0], border[:, 1])), shape=(len(mesh.vertices),) * 2)
    _, group = connected_components(joined, directed=False)
    return border, np.unique(group[border[:, 0]], return_inverse=True)[1].reshape(-1)


def _with_fans(mesh: trimesh.Trimesh, border: Edges, hole: Edges) -> trimesh.Trimesh:
    """The mesh with a fan about the middle of each of these holes."""
    middle = np.unique(hole, return_inverse=True)[1].reshape(-1)
    rim = np.asarray(mesh.vertices)[border[:, 0]]
    centers = np.column_stack([np.bincount(middle, rim[:, axis]) for axis in range(3)]) / np.bincount(middle)[:, None]
    fans = np.column_stack([border[:, ::-1], len(mesh.vertices) + middle])
    return trimesh.Trimesh(np.vstack([mesh.vertices, centers]), np.vstack([mesh.faces, fans]), process=False)


def _hole_areas(mesh: trimesh.Trimesh, border: Edges, hole: Edges) -> FloatArray:
    """The area that each hole encloses, seen from where it looks largest; border edges (E, 2), and the hole of each (E,)."""
    ends = np.asarray(mesh.vertices)[border] - mesh.centroid
    across = np.cross(ends[:, 0], ends[:, 1]) / 2
    found: FloatArray = np.linalg.norm(np.column_stack([np.bincount(hole, across[:, axis]) for axis in range(3)]), axis=1)
    return found


def _edge_keys(edges: Edges) -> Edges:
    return np.asarray(edges[:, 0].astype(np.int64) << 32 | edges[:, 1].astype(np.int64))


def is_closed(mesh: trimesh.Trimesh) -> bool:
    """Whether the volume within a mesh is well defined: no mouth, one winding, more inside than nothing."""
    whole = with_small_holes_closed(mesh)
    with np.errstate(divide="ignore", invalid="ignore"):  # a flat mesh has a volume of 0, and trimesh divides by it for the centre
        volume = abs(float(whole.volume))
    return bool(
        open_length(whole) <= MAX_OPEN_LENGTH and whole.is_winding_consistent and volume > _MIN_VOLUME_SHARE * whole.area * whole.scale
    )


def estimate_mass(mesh: trimesh.Trimesh, material: Material, category: Category) -> MassProperties:
    """Mass properties of a mesh in [m] by material and build of its category.

    Source: D. Eberly, "Polyhedral Mass Properties (Revisited)" (volume integrals, as in trimesh).
    """
    if category.build == "filled" and category.apparent_density_kg_m3 is not None:
        return _of_filled(_outer_skins(mesh), material, category.apparent_density_kg_m3)
    closed, density = is_closed(mesh), material.density_kg_m3
    if category.build == "hollow" and category.wall_m is not None and not (closed and _is_wall(mesh)):
        wall = category.wall_m
        return _of_sheet(_outer_skins(mesh), density, wall, f"area x wall {wall * 1000:g} mm x density {density:g} kg/m3")
    if closed:
        return _of_solid(mesh, density, "")
    return _of_open(mesh, material)


def _of_filled(outside: trimesh.Trimesh, material: Material, density: float) -> MassProperties:
    """Of a container by its outside, mouths closed, for what fills it fills a wall's inside too; by its hull where that is no solid."""
    contents = "of the filled container"
    if is_flat(outside):
        return _of_open(outside, material)
    whole = outside if is_closed(outside) else _with_mouths_closed(outside)
    if is_closed(whole) and not _is_wall(whole):
        return _of_solid(whole, density, contents if whole is outside else f"{contents}, its mouths closed")
    return _of_hull(outside, density, f"{contents} (its mesh is {'a wall' if whole is outside else 'open'})")


def _outer_skins(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """A mesh without the parts that are the inner skin of another part around them."""
    labels = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    corners, areas = np.asarray(mesh.triangles), np.bincount(labels, mesh.area_faces)
    parts = [labels == label for label in np.argsort(-areas, kind="stable")[:_MAX_PARTS]]
    boxes = [(corners[part].min(axis=(0, 1)), corners[part].max(axis=(0, 1))) for part in parts]
    kept = np.ones(len(labels), dtype=bool)
    for number, part in enumerate(parts):
        low, high = boxes[number]
        for outer, (outer_low, outer_high) in zip(parts[:number], boxes, strict=False):
            inner_share = mesh.area_faces[part].sum() / mesh.area_faces[outer].sum()
            if inner_share < _MIN_SKIN_SHARE or (low < outer_low).any() or (high > outer_high).any():
                continue
            if kept[outer].all() and _is_around(corners[outer], corners[part].mean(axis=1)):
                kept[part] = False
                break
    return mesh if kept.all() else trimesh.Trimesh(mesh.vertices, mesh.faces[kept], process=False)


def _is_around(corners: FloatArray, points: FloatArray) -> bool:
    """Whether a part, corners (F, 3, 3), fills more than half of what is seen from most of the points (N, 3)."""
    chosen = points[:: max(1, len(points) // _SKIN_SAMPLES)]
    return bool(np.median([abs(float(solid_angles(corners, point).sum())) for point in chosen]) >= 2 * np.pi)


def _is_wall(mesh: trimesh.Trimesh) -> bool:
    """Whether a closed mesh has an inner and an outer skin, close together: then its volume is that of the wall."""
    whole = with_small_holes_closed(mesh)
    return bool(2 * abs(whole.volume) / whole.area <= _MAX_WALL_SHARE * whole.scale)


def _of_solid(mesh: trimesh.Trimesh, density: float, contents: str) -> MassProperties:
    """Of a closed mesh: its volume, or that of the union where parts of it overlap."""
    whole = with_small_holes_closed(mesh)
    words = f"apparent density {density:g} kg/m3 {contents}" if contents else f"density {density:g} kg/m3"
    if overlap_share(whole) >= _MIN_OVERLAP_SHARE:
        volume, com, second = union_properties(whole)
        inertia = (np.trace(second) * np.eye(3) - second) * density
        return MassProperties(volume * density, com, inertia, f"volume of the union of overlapping parts x {words}")
    return _of_volume(whole, density, f"volume of the closed mesh x {words}")


def is_flat(mesh: trimesh.Trimesh) -> bool:
    """Whether all of a mesh lies in one plane, so that nothing is within its hull."""
    extents = np.linalg.svd(mesh.vertices - mesh.vertices.mean(axis=0), compute_uv=False)
    return bool(extents[-1] <= _FLAT_SHARE * extents[0])


def _of_hull(mesh: trimesh.Trimesh, density: float, contents: str) -> MassProperties:
    words = f"volume of the convex hull x apparent density {density:g} kg/m3 {contents}"
    return replace(_of_volume(mesh.convex_hull, density, words), basis="hull")


def _of_open(mesh: trimesh.Trimesh, material: Material) -> MassProperties:
    """Of a mesh that is open: a sheet, but for closed parts that are nearly all of it."""
    density, wall = material.density_kg_m3, material.shell_thickness_m
    sheet_words = f"area x shell thickness {wall * 1000:g} mm x density {density:g} kg/m3 (the mesh is open)"
    labels = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    is_solid = np.zeros(len(mesh.faces), dtype=bool)
    for label in range(min(int(labels.max()) + 1, _MAX_PARTS)):
        part = labels == label
        is_solid[part] = is_closed(trimesh.Trimesh(mesh.vertices, mesh.faces[part], process=False))
    if is_solid.all() or (mesh.area_faces * is_solid).sum() < _MIN_SOLID_SHARE * mesh.area:
        return _of_sheet(mesh, density, wall, sheet_words)
    solid, sheets = (trimesh.Trimesh(mesh.vertices, mesh.faces[chosen], process=False) for chosen in (is_solid, ~is_solid))
    return _joined(_of_solid(solid, density, ""), _of_sheet(sheets, density, wall, sheet_words))


def _joined(first: MassProperties, second: MassProperties) -> MassProperties:
    """Two bodies as one, by the parallel axis theorem."""
    mass = first.mass_kg + second.mass_kg
    com = (first.mass_kg * first.com_m + second.mass_kg * second.com_m) / mass
    inertia = np.zeros((3, 3))
    for body in (first, second):
        offset = body.com_m - com
        inertia += body.inertia_kg_m2 + body.mass_kg * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    return MassProperties(mass, com, inertia, f"{first.method}, and open parts: {second.method}", "sheet")


def _of_volume(mesh: trimesh.Trimesh, density: float, method: str) -> MassProperties:
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces if mesh.volume > 0 else mesh.faces[:, ::-1], process=False)
    solid.density = density
    found = solid.mass_properties
    return MassProperties(float(found.mass), np.asarray(found.center_mass), np.asarray(found.inertia), method)


def _of_sheet(mesh: trimesh.Trimesh, density: float, wall: float, method: str) -> MassProperties:
    """Integrals over triangles: with corners v, centroid c and normal n, the second moment is A/12 (sum v v^T + 9 c c^T + wall^2 n n^T).

    Without the last term, a flat sheet has the moments A + B = C, and rounding makes them those of no body.
    """
    corners = np.asarray(mesh.triangles)
    area = np.asarray(mesh.area_faces)
    centroid = corners.mean(axis=1)
    com = (centroid * area[:, None]).sum(axis=0) / area.sum()
    offset, center = corners - com, centroid - com
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = wall * across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), np.finfo(float).tiny)
    second = np.einsum("t,tki,tkj->ij", area, offset, offset) + 9 * np.einsum("t,ti,tj->ij", area, center, center)
    second += np.einsum("t,ti,tj->ij", area, normal, normal)
    second *= density * wall / 12
    return MassProperties(float(area.sum() * density * wall), com, np.trace(second) * np.eye(3) - second, method, "sheet")


def principal_axes(inertia: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Principal moments, descending, shape (3,), and the rotation (3, 3) whose columns are their axes, with definite signs."""
    moments, axes = np.linalg.eigh((inertia + inertia.T) / 2)
    order = np.argsort(moments)[::-1]
    moments, axes = moments[order], axes[:, order]
    for column in range(3):
        largest = np.argmax(np.abs(axes[:, column]))
        axes[:, column] *= np.sign(axes[largest, column])
    if np.linalg.det(axes) < 0:
        axes[:, 2] *= -1
    return moments, axes
