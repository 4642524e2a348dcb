"""Fewer triangles with the same looks.

A texture's seams split a mesh: along them a place has two vertices, one a side. Simplifying such a mesh tears it, and simplifying it
with these made one smears its texture. So seams are kept as they are, both sides alike, and all between them is simplified; a
new vertex takes its texture coordinates from the patch of old faces that it stands for.

Source: M. Garland and P. Heckbert, "Surface Simplification Using Quadric Error Metrics", SIGGRAPH 1997 (fast-simplification).
"""

from dataclasses import replace

import fast_simplification
import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.scene.bake import bake, bake_onto
from blueprint_pipeline.scene.surfaces import Surface, merge_positions

Indices = NDArray[np.int64]

MAX_TEXTURE_PX = 512
_UV_SLACK = 1e-3
_AGGRESSIONS = (3, 5, 7, 9)
"""Tried in turn, gentle ones first, until the target is reached but for a tenth."""
_SLACK = 1.1


def decimate(surface: Surface, target_faces: int) -> Surface:
    """The surface with about ``target_faces`` triangles; unchanged if it has no more."""
    if len(surface.faces) <= target_faces:
        return surface
    if surface.uv is not None:
        return _decimate_textured(surface, surface.uv, target_faces)
    solid = simplify(merge_positions([surface]), target_faces)
    return Surface(np.asarray(solid.vertices), np.asarray(solid.faces, dtype=np.int64), None, surface.look)


def draw_with(surface: Surface, target_faces: int, max_texture_px: int = MAX_TEXTURE_PX) -> Surface:
    """The surface as it is drawn: at most about ``target_faces`` triangles, one picture of at most ``max_texture_px`` a side.

    Vertex colours become a picture. Where seams keep too many triangles, shape and picture are made anew.
    """
    if surface.colors is None:
        thin = decimate(shrink_texture(surface, max_texture_px), target_faces)
        if 0 < len(thin.faces) <= _SLACK * target_faces:
            return thin
    elif len(surface.faces) <= target_faces:
        return shrink_texture(bake(surface), max_texture_px)
    solid = simplify(merge_positions([surface]), target_faces)
    baked = bake_onto(np.asarray(solid.vertices), np.asarray(solid.faces, dtype=np.int64), [surface])
    return shrink_texture(baked, max_texture_px)


def simplify(mesh: trimesh.Trimesh, target_faces: int) -> trimesh.Trimesh:
    """Quadric simplification of a mesh whose vertices are merged; unchanged if it has no more faces."""
    if len(mesh.faces) <= target_faces:
        return mesh
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float32), np.asarray(mesh.faces, dtype=np.int32)
    fewest = mesh
    for aggression in _AGGRESSIONS:
        found, kept = fast_simplification.simplify(vertices, faces, target_count=target_faces, agg=aggression)
        if 0 < len(kept) < len(fewest.faces):
            fewest = trimesh.Trimesh(np.asarray(found, dtype=np.float64), np.asarray(kept, dtype=np.int64), process=False)
        if len(fewest.faces) <= _SLACK * target_faces:
            return fewest
    return _clustered(mesh, target_faces, fewest)


def _clustered(mesh: trimesh.Trimesh, target_faces: int, fewest: trimesh.Trimesh) -> trimesh.Trimesh:
    """At most ``target_faces``, but for a tenth, of a mesh of so many parts that edges alone cannot be saved: near vertices become one.

    Where that leaves none, the mesh with the fewest triangles that was found; ``fewest`` is the best of before.

    Source: J. Rossignac and P. Borrel, "Multi-resolution 3D approximations for rendering complex scenes", 1993.
    """
    low, extent = mesh.bounds[0], float(np.ptp(mesh.bounds, axis=0).max())
    cells = int(np.sqrt(target_faces)) + 1
    while cells > 0:
        _, first, same = np.unique(((mesh.vertices - low) / extent * cells).astype(int), axis=0, return_index=True, return_inverse=True)
        faces = same.reshape(-1)[mesh.faces]
        distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
        faces = faces[distinct]
        faces = faces[np.sort(np.unique(np.sort(faces, axis=1), axis=0, return_index=True)[1])]
        if 0 < len(faces) < len(fewest.faces):
            fewest = trimesh.Trimesh(mesh.vertices[first], faces, process=False)
            fewest.remove_unreferenced_vertices()
        if len(faces) <= _SLACK * target_faces:
            break
        cells = cells * 3 // 4
    return fewest


def shrink_texture(surface: Surface, max_px: int = MAX_TEXTURE_PX) -> Surface:
    """The surface with a texture of at most ``max_px`` on its longer side, if it had a larger one.

    What lies between the charts of a texture takes the colour of the nearest chart first, so that no background bleeds over
    their borders when the texture is made smaller, or sampled from afar.
    """
    look = surface.look
    if look.texture is None or surface.uv is None:
        return replace(surface, uv=None, look=replace(look, texture=None))
    texture = _without_background(look.texture, surface.uv[surface.faces])
    factor = min(1.0, max_px / max(texture.size))
    size = (max(1, round(texture.width * factor)), max(1, round(texture.height * factor)))
    return replace(surface, look=replace(look, texture=texture if size == texture.size else texture.resize(size, Image.Resampling.LANCZOS)))


def _without_background(texture: Image.Image, triangles: FloatArray) -> Image.Image:
    """The texture with every texel that no triangle (F, 3, 2) uses set to the colour of the nearest one that is used."""
    if triangles.min() < -_UV_SLACK or triangles.max() > 1 + _UV_SLACK:
        return texture  # it repeats, so all of it is used
    corners = triangles * (texture.width, -texture.height) + (-0.5, texture.height - 0.5)  # texel centres are whole numbers
    used = Image.new("1", texture.size)
    draw = ImageDraw.Draw(used)
    for triangle in corners:
        draw.polygon([(float(u), float(v)) for u, v in triangle], fill=1)
    mask = np.asarray(used)
    if mask.all() or not mask.any():
        return texture
    rows, columns = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return Image.fromarray(np.asarray(texture)[rows, columns])


def _decimate_textured(surface: Surface, uv: FloatArray, target_faces: int) -> Surface:
    """Simplify a textured surface: seams are open borders of the split mesh, and open borders stay where they are.

    A surface that is split nearly everywhere can so lose few triangles: it keeps its looks and stays large.
    """
    vertices, faces, uv = _joined(surface, uv)
    corners, indices = vertices.astype(np.float32), faces.astype(np.int32)
    for aggression in _AGGRESSIONS:
        _, kept, collapses = fast_simplification.simplify(
            corners, indices, target_count=target_faces, agg=aggression, preserve_border=True, return_collapses=True
        )
        if len(kept) <= _SLACK * target_faces:
            break
    points, kept, number = fast_simplification.replay_simplification(corners, indices, collapses)
    points = np.asarray(points, dtype=np.float64)
    return Surface(points, np.asarray(kept, dtype=np.int64), _uv_of(points, number[faces], vertices[faces], uv[faces]), surface.look)


def _joined(surface: Surface, uv: FloatArray) -> tuple[FloatArray, Indices, FloatArray]:
    """Vertices, faces and texture coordinates with vertices made one that agree in both place and texture."""
    keys = np.round(np.hstack([surface.vertices, uv]), 7)
    _, first, same = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    faces = same[surface.faces]
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    return surface.vertices[first], np.asarray(faces[distinct], dtype=np.int64), uv[first]


def _uv_of(points: FloatArray, corner_of: Indices, triangles: FloatArray, uv: FloatArray) -> FloatArray:
    """Texture coordinates (N, 2) of simplified vertices: of the nearest point on the old faces that touched what became the vertex.

    Args:
        points: New vertices, shape (N, 3).
        corner_of: The new vertex that each corner of each old face became part of, shape (F, 3).
        triangles: Old faces, shape (F, 3, 3).
        uv: Their texture coordinates, shape (F, 3, 2).
    """
    vertex = corner_of.ravel()
    face = np.repeat(np.arange(len(triangles)), 3)
    closest = trimesh.triangles.closest_point(triangles[face], points[vertex])
    distance = np.linalg.norm(closest - points[vertex], axis=1)
    order = np.lexsort((face, distance, vertex))
    found, best = np.unique(vertex[order], return_index=True)
    chosen = order[best]
    weights = trimesh.triangles.points_to_barycentric(triangles[face[chosen]], closest[chosen])
    weights = np.nan_to_num(weights, nan=1 / 3).clip(0, 1)
    weights /= weights.sum(axis=1, keepdims=True)
    result = np.zeros((len(points), 2))
    result[found] = np.einsum("pk,pki->pi", weights, uv[face[chosen]])
    return result
