"""Rotations and rigid frames as arrays; quaternions w, x, y, z."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from blueprint_pipeline.geometry.arrays import FloatArray


@dataclass(frozen=True)
class RigidPose:
    """A frame in the world: position in [m], shape (3,); unit quaternion w, x, y, z with w >= 0, shape (4,)."""

    position_m: FloatArray
    quat_wxyz: FloatArray

    @property
    def rotation(self) -> FloatArray:
        """Rotation matrix, shape (3, 3)."""
        return np.asarray(Rotation.from_quat(self.quat_wxyz, scalar_first=True).as_matrix())

    def apply(self, points: FloatArray) -> FloatArray:
        """Points of this frame in the world, shape (N, 3), [m]."""
        return np.asarray(points @ self.rotation.T + self.position_m)


def quat_from_rotation(rotation: FloatArray) -> FloatArray:
    """Unit quaternion w, x, y, z with w >= 0 of a rotation matrix (3, 3)."""
    quat = np.asarray(Rotation.from_matrix(rotation).as_quat(canonical=True, scalar_first=True))
    return np.where(quat == 0.0, 0.0, quat)


def rotation_from_quat(quat_wxyz: FloatArray) -> FloatArray:
    """Rotation matrix (3, 3) of a unit quaternion w, x, y, z."""
    return np.asarray(Rotation.from_quat(quat_wxyz, scalar_first=True).as_matrix())


def angle_between(first: FloatArray, second: FloatArray) -> float:
    """Angle in [rad] of the rotation between two rotation matrices (3, 3)."""
    return float(Rotation.from_matrix(first.T @ second).magnitude())
