"""Frames and units, converted once, at the door: from a reconstruction's scene to the world.

World: z up, metres, right-handed, quaternions w x y z. A reconstruction is ``y_up`` or ``z_up`` in any unit. With C the
rotation that takes the scene's axes to the world's and u the metres per unit, an object's ``translation . rotation . scale`` becomes::

    world = (C R C^T) (u C S v) + u C t

so the object's own frame is z up too, its mesh is in metres and holds the scale, and its pose is rigid.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.rotations import RigidPose, quat_from_rotation

CoordinateFrame = Literal["y_up", "z_up"]

_ROTATION_WORLD_SCENE: dict[CoordinateFrame, FloatArray] = {
    "z_up": np.eye(3),
    "y_up": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}

_ROTATION_OPENGL_OPENCV = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class SceneFrame:
    """The frame and unit that a reconstruction is written in."""

    coordinate_frame: CoordinateFrame
    meters_per_unit: float

    @property
    def rotation_world_scene(self) -> FloatArray:
        """C: takes axes of the scene to axes of the world, shape (3, 3)."""
        return _ROTATION_WORLD_SCENE[self.coordinate_frame]

    def points_to_world(self, points: FloatArray) -> FloatArray:
        """Points in scene units, shape (N, 3), in the world [m]."""
        return np.asarray(points @ self.rotation_world_scene.T * self.meters_per_unit)

    def points_to_scene(self, points_m: FloatArray) -> FloatArray:
        """Inverse of :meth:`points_to_world`."""
        return np.asarray(points_m @ self.rotation_world_scene / self.meters_per_unit)

    def object_pose(self, rotation: FloatArray, translation: FloatArray) -> RigidPose:
        """World pose of an object whose scene pose is ``rotation`` (3, 3) and ``translation`` (3,) in scene units."""
        turn = self.rotation_world_scene
        return RigidPose(self.points_to_world(translation[None])[0], quat_from_rotation(turn @ rotation @ turn.T))

    def scene_pose(self, pose_world_object: RigidPose) -> tuple[FloatArray, FloatArray]:
        """Inverse of :meth:`object_pose`: rotation (3, 3) and translation (3,) in scene units."""
        turn = self.rotation_world_scene
        return turn.T @ pose_world_object.rotation @ turn, self.points_to_scene(pose_world_object.position_m[None])[0]

    def object_from_mesh(self, scale: FloatArray) -> FloatArray:
        """Linear map (3, 3) of mesh vertices, as they are written, to the object's frame in [m]; ``scale`` (3,) is that of the pose."""
        return self.rotation_world_scene @ np.diag(scale) * self.meters_per_unit

    def camera_pose(self, extrinsics: FloatArray) -> RigidPose:
        """World pose of a camera that looks along -z with y up, from a scene-to-camera matrix (4, 4) with y down and z forward.

        Source: OpenCV camera convention (x right, y down, z forward) to that of OpenGL, MuJoCo and USD.
        """
        rotation_scene_camera = extrinsics[:3, :3].T
        position = -rotation_scene_camera @ extrinsics[:3, 3]
        rotation = self.rotation_world_scene @ rotation_scene_camera @ _ROTATION_OPENGL_OPENCV
        return RigidPose(self.points_to_world(position[None])[0], quat_from_rotation(rotation))


def split_affine(matrix: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Split a 4x4 ``translation . rotation . scale`` into rotation (3, 3), translation (3,) and scale (3,).

    The rotation is ``matrix``'s 3x3 block with unit columns: whether it *is* a rotation is for the caller to check (``rotation_error``).
    """
    scale = np.linalg.norm(matrix[:3, :3], axis=0)
    return matrix[:3, :3] / scale, matrix[:3, 3], scale


def rotation_error(rotation: FloatArray) -> float:
    """How far a matrix (3, 3) is from orthonormal: the largest entry of ``R^T R - 1``, no unit."""
    return float(np.abs(rotation.T @ rotation - np.eye(3)).max())
