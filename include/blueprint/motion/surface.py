"""The surface of an object in a model: what the camera sees and a gripper touches, in the object's own frame."""

import mujoco
import numpy as np
import trimesh
from numpy.typing import NDArray

from blueprint.motion.pose import apply, build_pose, invert

_SEGMENTS = 48


def object_surface(model: mujoco.MjModel, object_id: str) -> trimesh.Trimesh:
    """The visual mesh of an object, or its collision geometry where it has no visual one.

    Args:
        object_id: Name of the object's body; bodies that hang on it count in their reference pose.

    Returns:
        Triangles in the frame of the object's body [m]. Vertices are merged, so that normals are those of the faces.
    """
    root = model.body(object_id).id
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    mujoco.mj_kinematics(model, data)
    inverse_root = invert(build_pose(data.xpos[root], data.xmat[root]))
    geoms = [int(geom) for geom in np.flatnonzero(model.body_rootid[model.geom_bodyid] == root)]
    visible = [geom for geom in geoms if not _collides(model, geom)]
    parts = []
    for geom in visible or geoms:
        part = _geom_mesh(model, geom)
        pose_object_geom = inverse_root @ build_pose(data.geom_xpos[geom], data.geom_xmat[geom])
        part.vertices = apply(pose_object_geom, np.asarray(part.vertices, dtype=np.float64))
        parts.append(part)
    merged: trimesh.Trimesh = trimesh.util.concatenate(parts)
    merged.merge_vertices(merge_tex=True, merge_norm=True)
    return merged


def _collides(model: mujoco.MjModel, geom: int) -> bool:
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def _geom_mesh(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        return _asset_mesh(model, int(model.geom_dataid[geom]))
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return trimesh.creation.box(extents=2 * size)
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return trimesh.creation.cylinder(radius=size[0], height=2 * size[1], sections=_SEGMENTS)
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return trimesh.creation.capsule(radius=size[0], height=2 * size[1])
    radii = np.repeat(size[0], 3) if kind == mujoco.mjtGeom.mjGEOM_SPHERE else size
    ball = trimesh.creation.icosphere(subdivisions=3)
    ball.vertices = np.asarray(ball.vertices) * radii
    return ball


def _asset_mesh(model: mujoco.MjModel, mesh: int) -> trimesh.Trimesh:
    vertices = _slice(model.mesh_vert, model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]).astype(np.float64)
    faces = _slice(model.mesh_face, model.mesh_faceadr[mesh], model.mesh_facenum[mesh])
    return trimesh.Trimesh(vertices, faces, process=False)


def _slice(values: NDArray[np.generic], start: int, count: int) -> NDArray[np.generic]:
    return values[start : start + count].copy()
