"""Fewer triangles with the same looks.

Positions are simplified on the mesh with vertices at the same place made one, since simplifying a mesh that is split along
texture seams tears it there. Then every new corner takes its texture coordinates from the nearest point of the old surface,
within one chart (island of the texture) a face, so that no face is stretched across a seam.

Source: M. Garland and P. Heckbert, "Surface Simplification Using Quadric Error Metrics", SIGGRAPH 1997 (fast-simplification).
"""

from dataclasses import replace

import fast_simplification
import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from blueprint.scene.surfaces import Surface, merge_positions

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

MAX_TEXTURE_PX = 512
_UV_SLACK = 1e-3
_AGGRESSION = 3
_CANDIDATES = 12


def decimate(surface: Surface, target_faces: int) -> Surface:
    """The surface with about ``target_faces`` triangles; unchanged if it has no more."""
    if len(surface.faces) <= target_faces:
        return surface
    solid = simplify(merge_positions([surface]), target_faces)
    if surface.uv is None:
        return Surface(np.asarray(solid.vertices), np.asarray(solid.faces, dtype=np.int64), None, surface.look)
    return _with_texture(solid, surface)


def simplify(mesh: trimesh.Trimesh, target_faces: int) -> trimesh.Trimesh:
    """Quadric simplification of a mesh whose vertices are merged; unchanged if it has no more faces."""
    if len(mesh.faces) <= target_faces:
        return mesh
    vertices, faces = fast_simplification.simplify(
        np.asarray(mesh.vertices, dtype=np.float32), np.asarray(mesh.faces, dtype=np.int32), target_count=target_faces, agg=_AGGRESSION
    )
    return trimesh.Trimesh(np.asarray(vertices, dtype=np.float64), np.asarray(faces, dtype=np.int64), process=False)


def shrink_texture(surface: Surface) -> Surface:
    """The surface with a texture of at most :data:`MAX_TEXTURE_PX` on its longer side, if it had a larger one.

    What lies between the charts of a texture takes the colour of the nearest chart first, so that no background bleeds over
    their borders when the texture is made smaller, or sampled from afar.
    """
    look = surface.look
    if look.texture is None or surface.uv is None:
        return replace(surface, uv=None, look=replace(look, texture=None))
    texture = _without_background(look.texture, surface.uv[surface.faces])
    factor = min(1.0, MAX_TEXTURE_PX / max(texture.size))
    size = (max(1, round(texture.width * factor)), max(1, round(texture.height * factor)))
    return replace(surface, look=replace(look, texture=texture if size == texture.size else texture.resize(size, Image.Resampling.LANCZOS)))


def _without_background(texture: Image.Image, triangles: Array) -> Image.Image:
    """The texture with every texel that no triangle (F, 3, 2) uses set to the colour of the nearest one that is used."""
    if triangles.min() < -_UV_SLACK or triangles.max() > 1 + _UV_SLACK:
        return texture  # it repeats, so all of it is used
    corners = triangles * (texture.width, -texture.height) + (0, texture.height)
    used = Image.new("1", texture.size)
    draw = ImageDraw.Draw(used)
    for triangle in corners:
        draw.polygon([(float(u), float(v)) for u, v in triangle], fill=1)
    mask = np.asarray(used)
    if mask.all() or not mask.any():
        return texture
    rows, columns = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return Image.fromarray(np.asarray(texture)[rows, columns])


def _charts(surface: Surface) -> Indices:
    """Chart of each face, shape (F,): faces that share vertices of the split mesh belong to one island."""
    faces = surface.faces
    keys = np.hstack([surface.vertices, surface.uv if surface.uv is not None else np.zeros((len(surface.vertices), 2))])
    _, same = np.unique(np.round(keys, 7), axis=0, return_inverse=True)
    joined = same[faces]
    count = int(joined.max()) + 1
    links = coo_matrix(
        (np.ones(2 * len(faces)), (np.r_[joined[:, 0], joined[:, 0]], np.r_[joined[:, 1], joined[:, 2]])), shape=(count, count)
    )
    _, labels = connected_components(links, directed=False)
    return np.asarray(labels[joined[:, 0]], dtype=np.int64)


def _with_texture(solid: trimesh.Trimesh, old: Surface) -> Surface:
    """``solid`` with texture coordinates and chart-wise split vertices, taken from ``old``."""
    if old.uv is None:
        raise ValueError("the old surface has no texture coordinates")
    charts = _charts(old)
    corners = np.asarray(old.vertices[old.faces])
    normals = trimesh.triangles.normals(corners)[0]
    tree = cKDTree(corners.mean(axis=1))
    centers = np.asarray(solid.triangles.mean(axis=1))
    nearest = _nearest_face(centers, np.asarray(solid.face_normals), tree, corners, normals, old)
    chart_of_face = charts[nearest]
    pairs, index = np.unique(np.column_stack([solid.faces.ravel(), np.repeat(chart_of_face, 3)]), axis=0, return_inverse=True)
    points = np.asarray(solid.vertices[pairs[:, 0]])
    uv = np.empty((len(pairs), 2))
    for chart in np.unique(pairs[:, 1]):
        rows = np.flatnonzero(pairs[:, 1] == chart)
        members = np.flatnonzero(charts == chart)
        uv[rows] = _uv_within(points[rows], members, corners, old.uv[old.faces])
    return Surface(points, np.asarray(index.reshape(-1, 3), dtype=np.int64), uv, old.look)


def _nearest_face(points: Array, directions: Array, tree: cKDTree, corners: Array, normals: Array, old: Surface) -> Indices:
    """Old face nearest to each point among those that look the same way: the other side of a thin wall has other colours."""
    count = min(_CANDIDATES, len(old.faces))
    _, candidates = tree.query(points, k=count)
    candidates = np.asarray(candidates).reshape(len(points), count)
    flat = candidates.ravel()
    closest = trimesh.triangles.closest_point(corners[flat], np.repeat(points, count, axis=0))
    distance = np.linalg.norm(closest - np.repeat(points, count, axis=0), axis=1).reshape(len(points), count)
    aligned = np.einsum("pki,pi->pk", normals[candidates], directions)
    scale = float(np.ptp(old.vertices, axis=0).max())
    cost = distance + np.where(aligned < 0.0, scale, 0.0) + (1.0 - aligned) * 1e-3 * scale
    best = np.argmin(cost, axis=1)
    return np.asarray(candidates[np.arange(len(points)), best], dtype=np.int64)


def _uv_within(points: Array, members: Indices, corners: Array, uv: Array) -> Array:
    """Texture coordinates (N, 2) of the nearest points of one chart."""
    triangles = corners[members]
    count = min(_CANDIDATES, len(members))
    _, candidates = cKDTree(triangles.mean(axis=1)).query(points, k=count)
    candidates = np.asarray(candidates).reshape(len(points), count)
    flat = candidates.ravel()
    repeated = np.repeat(points, count, axis=0)
    closest = trimesh.triangles.closest_point(triangles[flat], repeated)
    distance = np.linalg.norm(closest - repeated, axis=1).reshape(len(points), count)
    best = np.argmin(distance, axis=1)
    chosen = candidates[np.arange(len(points)), best]
    on_surface = closest.reshape(len(points), count, 3)[np.arange(len(points)), best]
    weights = np.nan_to_num(trimesh.triangles.points_to_barycentric(triangles[chosen], on_surface), nan=1 / 3).clip(0, 1)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("pk,pki->pi", weights, uv[members][chosen]))
