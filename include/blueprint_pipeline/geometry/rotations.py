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


def quat_angles(quats_wxyz: FloatArray, others_wxyz: FloatArray) -> FloatArray:
    """Angle in [rad] between each rotation of one row of unit quaternions (n, 4) and that of another, whatever their signs: (n,)."""
    if len(quats_wxyz) == 0:
        return np.zeros(0)
    turned = Rotation.from_quat(quats_wxyz, scalar_first=True).inv() * Rotation.from_quat(others_wxyz, scalar_first=True)
    return np.asarray(turned.magnitude())


def continuous_quats(quats_wxyz: FloatArray) -> FloatArray:
    """The same rotations without jumps of sign, shape (T, 4): q and -q are one rotation, and means and differences tell them apart.

    Each row has the sign that is nearer to the row before it; in the first row the largest component is positive.
    """
    first = quats_wxyz[0, np.abs(quats_wxyz[0]).argmax()]
    turns = np.einsum("tc,tc->t", quats_wxyz[1:], quats_wxyz[:-1]) < 0
    signs = np.cumprod(np.concatenate([[np.where(first < 0, -1.0, 1.0)], np.where(turns, -1.0, 1.0)]))
    return np.asarray(quats_wxyz * signs[:, None])


def rotation_columns(quats_wxyz: FloatArray) -> FloatArray:
    """The first two columns of each rotation matrix, one after the other, shape (T, 6): continuous in the rotation, as no four numbers are.

    Source: Zhou et al., "On the Continuity of Rotation Representations in Neural Networks" (CVPR 2019).
    """
    matrices = Rotation.from_quat(quats_wxyz, scalar_first=True).as_matrix()
    return np.concatenate([matrices[:, :, 0], matrices[:, :, 1]], axis=1)


def quats_from_rotations(rotations: FloatArray) -> FloatArray:
    """Unit quaternions w, x, y, z (T, 4) of rotation matrices (T, 3, 3)."""
    return np.asarray(Rotation.from_matrix(rotations).as_quat(scalar_first=True))
