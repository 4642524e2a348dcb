"""Mass, centre of mass and inertia of a mesh, by how the thing is built.

A closed mesh of a solid thing gives its volume: of the mesh, never of hulls, which make thin walls 2 to 3 times too heavy; where closed
parts overlap, of their union. A filled container has an apparent density. A thin-walled thing is a sheet: area times wall.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.materials import Category, Material
from blueprint_pipeline.scene.union import overlap_share, union_properties

MAX_OPEN_LENGTH = 0.05
"""Length of open edges over the square root of the area, up to which a mesh counts as closed (a slit, not a mouth)."""
_HOLE_LENGTH, _HOLE_EDGES, _HOLE_EDGES_LENGTH = 0.1, 16, 0.4
"""The same, of one hole that is closed before anything is measured, for it is no mouth: short, or of few edges (missing faces)."""
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


@dataclass(frozen=True)
class MassProperties:
    """Of a rigid body, in its own frame.

    Attributes:
        mass_kg: Mass.
        com_m: Centre of mass, shape (3,).
        inertia_kg_m2: Inertia about the centre of mass, shape (3, 3).
        method: How it was found, for a person to read.
    """

    mass_kg: float
    com_m: FloatArray
    inertia_kg_m2: FloatArray
    method: str


def open_length(mesh: trimesh.Trimesh) -> float:
    """Length of the edges that only one face has, over the square root of the area; 0 for a closed mesh, infinite without an area."""
    if mesh.area == 0:
        return np.inf
    edges, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    border = mesh.vertices[edges[counts == 1]]
    return float(np.linalg.norm(border[:, 0] - border[:, 1], axis=1).sum() / np.sqrt(mesh.area))


def with_small_holes_closed(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh with a fan over every hole that a missing face or two leave; the mesh itself if it has none."""
    edges, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    if not (counts == 1).any():
        return mesh
    border = mesh.edges[np.isin(_edge_keys(mesh.edges_sorted), _edge_keys(edges[counts == 1]))]
    places = len(mesh.vertices)
    _, hole = connected_components(coo_matrix((np.ones(len(border)), (border[:, 0], border[:, 1])), shape=(places, places)), directed=False)
    hole = hole[border[:, 0]]
    length = np.bincount(hole, np.linalg.norm(mesh.vertices[border[:, 0]] - mesh.vertices[border[:, 1]], axis=1))
    size = np.sqrt(mesh.area)
    small = ((length <= _HOLE_LENGTH * size) | ((np.bincount(hole) <= _HOLE_EDGES) & (length <= _HOLE_EDGES_LENGTH * size)))[hole]
    if not small.any():
        return mesh
    _, middle = np.unique(hole[small], return_inverse=True)
    rim = np.asarray(mesh.vertices)[border[small][:, 0]]
    middle = middle.reshape(-1)
    centers = np.column_stack([np.bincount(middle, rim[:, axis]) for axis in range(3)]) / np.bincount(middle)[:, None]
    fans = np.column_stack([border[small][:, ::-1], places + middle])
    return trimesh.Trimesh(np.vstack([mesh.vertices, centers]), np.vstack([mesh.faces, fans]), process=False)


def _edge_keys(edges: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
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
    closed = is_closed(mesh)
    if category.build == "filled" and category.apparent_density_kg_m3 is not None:
        density, contents = category.apparent_density_kg_m3, "of the filled container"
        if is_flat(mesh):
            return _of_open(mesh, material)
        return _of_solid(mesh, density, contents) if closed else _of_hull(mesh, density, contents)
    density = material.density_kg_m3
    if category.build == "hollow" and category.wall_m is not None and not (closed and _is_wall(mesh)):
        wall = category.wall_m
        return _of_sheet(mesh, density, wall, f"area x wall {wall * 1000:g} mm x density {density:g} kg/m3")
    if closed:
        return _of_solid(mesh, density, "")
    return _of_open(mesh, material)


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
    words = f"volume of the convex hull (the mesh is open) x apparent density {density:g} kg/m3 {contents}"
    return _of_volume(mesh.convex_hull, density, words)


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
    return MassProperties(mass, com, inertia, f"{first.method}, and open parts: {second.method}")


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
    return MassProperties(float(area.sum() * density * wall), com, np.trace(second) * np.eye(3) - second, method)


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
