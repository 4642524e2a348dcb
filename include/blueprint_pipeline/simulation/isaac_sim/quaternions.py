"""Quaternions wxyz, for frames of joints."""

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray


def multiply(first: FloatArray, second: FloatArray) -> FloatArray:
    """Hamilton product of two quaternions wxyz."""
    product = np.zeros(4)
    mujoco.mju_mulQuat(product, np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64))
    return product


def rotate(quat_wxyz: FloatArray, vector: FloatArray) -> FloatArray:
    """A vector turned by a quaternion."""
    turned = np.zeros(3)
    mujoco.mju_rotVecQuat(turned, np.asarray(vector, dtype=np.float64), np.asarray(quat_wxyz, dtype=np.float64))
    return turned


def quat_between(start: FloatArray, end: FloatArray) -> FloatArray:
    """The shortest turn from one unit vector onto another, wxyz.

    Source: half-way quaternion; for opposite vectors, half a turn about any axis across.
    """
    cosine = float(np.dot(start, end))
    if cosine < -1.0 + 1e-9:
        across = np.cross(start, np.array([0.0, 1.0, 0.0]))
        return np.concatenate([[0.0], across / np.linalg.norm(across)])
    quat = np.concatenate([[1.0 + cosine], np.cross(start, end)])
    unit: FloatArray = quat / np.linalg.norm(quat)
    return unit
