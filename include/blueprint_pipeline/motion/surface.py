"""The surface of an object in a model: what the camera sees and a gripper touches, in the object's own frame."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import apply, build_pose, invert
from blueprint_pipeline.twin.footprint import bodies_of

_SEGMENTS = 48


@dataclass(frozen=True)
class CollisionSurface:
    """Triangles: ``vertices`` (n, 3) [m], ``faces`` (m, 3)."""

    vertices: FloatArray
    faces: NDArray[np.int64]


def object_surface(model: mujoco.MjModel, object_id: str) -> CollisionSurface:
    """The visual mesh of an object, or its collision geometry where it has no visual one.

    Args:
        model: Compiled scene.
        object_id: Name of the body of an object, whose parts count closed, or of a part.

    Returns:
        Triangles in the frame of the object's body [m].
    """
    root = model.body(object_id).id
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    mujoco.mj_kinematics(model, data)
    inverse_root = invert(build_pose(data.xpos[root], data.xmat[root]))
    geoms = [int(geom) for geom in np.flatnonzero(np.isin(model.geom_bodyid, bodies_of(model, object_id)))]
    visible = [geom for geom in geoms if not _collides(model, geom)]
    vertices: list[FloatArray] = []
    faces: list[NDArray[np.int64]] = []
    for geom in visible or geoms:
        points, triangles = _triangles(model, geom)
        pose_object_geom = inverse_root @ build_pose(data.geom_xpos[geom], data.geom_xmat[geom])
        faces.append(triangles + sum(len(part) for part in vertices))
        vertices.append(apply(pose_object_geom, points))
    return CollisionSurface(np.concatenate(vertices), np.concatenate(faces))


def center_of_mass(model: mujoco.MjModel, object_id: str) -> tuple[FloatArray, FloatArray]:
    """Of an object, in its own frame (3,), and which way is up in that frame (3,) as the object stands in the model."""
    bodies = bodies_of(model, object_id)
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    mujoco.mj_kinematics(model, data)
    root = int(model.body(object_id).id)
    pose_world_object = build_pose(data.xpos[root], data.xmat[root])
    mean = np.average(data.xipos[bodies], axis=0, weights=model.body_mass[bodies])
    return apply(invert(pose_world_object), mean[None])[0], pose_world_object[2, :3].copy()


def _collides(model: mujoco.MjModel, geom: int) -> bool:
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def _triangles(model: mujoco.MjModel, geom: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Vertices (n, 3) and faces (m, 3) of a geom in its own frame."""
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
        faces = model.mesh_face[model.mesh_faceadr[mesh] :][: model.mesh_facenum[mesh]]
        return vertices.astype(np.float64), faces.astype(np.int64)
    return _primitive_triangles(kind, size)


def _primitive_triangles(kind: int, size: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    import trimesh  # noqa: PLC0415 -- 2 CPU-s, and only simple scenes have primitives

    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        solid = trimesh.creation.box(extents=2 * size)
    elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        solid = trimesh.creation.cylinder(radius=size[0], height=2 * size[1], sections=_SEGMENTS)
    elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        solid = trimesh.creation.capsule(radius=size[0], height=2 * size[1])
    else:
        solid = trimesh.creation.icosphere(subdivisions=3)
        solid.apply_scale(np.repeat(size[0], 3) if kind == mujoco.mjtGeom.mjGEOM_SPHERE else size)
    return np.array(solid.vertices, dtype=np.float64), np.array(solid.faces, dtype=np.int64)
