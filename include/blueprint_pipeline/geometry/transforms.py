"""Rigid transforms as 4 x 4 matrices (row vectors of points go through ``apply``); names say ``pose_<frame>_<of>``."""

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose


def build_pose(position_m: FloatArray, rotation: FloatArray) -> FloatArray:
    """A transform from a position (3,) and a rotation matrix (3, 3) or (9,)."""
    pose = np.eye(4)
    pose[:3, :3] = rotation.reshape(3, 3)
    pose[:3, 3] = position_m
    return pose


def pose_from_quat(position_m: FloatArray, quat_wxyz: FloatArray) -> FloatArray:
    """A transform from a position (3,) and a quaternion wxyz (4,)."""
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, np.asarray(quat_wxyz, dtype=np.float64))
    return build_pose(np.asarray(position_m, dtype=np.float64), rotation)


def matrix_of(pose: Pose) -> FloatArray:
    """The transform (4, 4) of a pose that a record holds."""
    return pose_from_quat(np.array(pose.position_m), np.array(pose.quat_wxyz))


def quat_of(pose: FloatArray) -> FloatArray:
    """Quaternion wxyz (4,) of a transform."""
    quat_wxyz = np.zeros(4)
    mujoco.mju_mat2Quat(quat_wxyz, np.ascontiguousarray(pose[:3, :3]).ravel())
    return quat_wxyz


def invert(pose: FloatArray) -> FloatArray:
    """Inverse of a rigid transform."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


def apply(pose: FloatArray, points_m: FloatArray) -> FloatArray:
    """Points (n, 3) taken through a transform."""
    moved: FloatArray = points_m @ pose[:3, :3].T + pose[:3, 3]
    return moved


def turn_about_z(angle_rad: float) -> FloatArray:
    """A turn about the world's up axis."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return build_pose(np.zeros(3), np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]))


def shift(pose: FloatArray, offset_m: FloatArray) -> FloatArray:
    """The same orientation, moved by an offset in the outer frame: one pose or several (..., 4, 4), by one or by each its own (..., 3)."""
    moved = pose.copy()
    moved[..., :3, 3] += offset_m
    return moved


def turn_about(axis: FloatArray, angle_rad: float, through_m: FloatArray) -> FloatArray:
    """A turn, right-handed, about a line: its unit vector (3,) and a point (3,) of it."""
    quat_wxyz = np.zeros(4)
    mujoco.mju_axisAngle2Quat(quat_wxyz, np.asarray(axis, dtype=np.float64), angle_rad)
    pose = pose_from_quat(np.zeros(3), quat_wxyz)
    pose[:3, 3] = through_m - pose[:3, :3] @ through_m
    return pose


def across(axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors (3,) that, with an axis (3,), make a right-handed frame."""
    first = np.cross(np.eye(3)[int(np.abs(axis).argmin())], axis)
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)


def joint_motion(axis: FloatArray, anchor_m: FloatArray, travel: float, *, slides: bool) -> FloatArray:
    """How what hangs on a joint of one degree of freedom moves, (4, 4).

    Args:
        axis: Unit vector (3,).
        anchor_m: A point (3,) of the axis.
        travel: Along the axis [m], or about it [rad], right-handed.
        slides: Whether it moves along the axis.
    """
    return shift(np.eye(4), travel * axis) if slides else turn_about(axis, travel, anchor_m)
