"""Meshes that are hard to cut: open, crumpled, of many parts."""

import numpy as np
import trimesh


def open_cylinder():
    """A bag without thickness: a cylinder without its lid."""
    bag = trimesh.creation.cylinder(0.09, 0.2, sections=48)
    bag.update_faces(bag.face_normals[:, 2] < 0.5)
    bag.remove_unreferenced_vertices()
    return bag


def crumpled(faces=4000):
    """A ball of sharp folds that touch one another, of separate triangles: nothing about it is closed or convex."""
    rng = np.random.default_rng(4)
    centers = rng.normal(size=(faces, 1, 3))
    corners = centers / np.linalg.norm(centers, axis=2, keepdims=True) * 0.1 + rng.normal(scale=0.012, size=(faces, 3, 3))
    return trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * faces).reshape(-1, 3), process=False)


def cups(count=28):
    """A basket of so many cups with thick walls, in one mesh."""
    parts = [trimesh.creation.annulus(0.016, 0.02, 0.06, sections=24) for _ in range(count)]
    for index, part in enumerate(parts):
        part.apply_translation((0.05 * (index % 7), 0.05 * (index // 7), 0))
    return trimesh.util.concatenate(parts)


def beads(count, radius_m, subdivisions=1):
    """Balls on a ring of 0.2 m about the origin, one after the other."""
    found = []
    for turn in np.arange(count) * 2 * np.pi / count:
        bead = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius_m)
        bead.apply_translation([0.2 * np.cos(turn), 0.2 * np.sin(turn), 0.0])
        found.append(bead)
    return found
