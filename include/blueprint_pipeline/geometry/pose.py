"""Rigid poses as data: what plans, manifests and records hold. World frame: z up, metres; quaternions w, x, y, z."""

from blueprint_pipeline.frozen import FrozenModel

Vector3 = tuple[float, float, float]


QuatWxyz = tuple[float, float, float, float]


class Pose(FrozenModel):
    """A rigid pose in the world."""

    position_m: Vector3
    quat_wxyz: QuatWxyz
