"""Rigid poses as data: what plans, manifests and records hold. World frame: z up, metres; quaternions w, x, y, z."""

from collections.abc import Iterable
from typing import Self

from blueprint_pipeline.frozen import FrozenModel

Vector3 = tuple[float, float, float]


QuatWxyz = tuple[float, float, float, float]


def vector3(values: Iterable[float]) -> Vector3:
    """Three numbers, as a record holds them."""
    x, y, z = (float(value) for value in values)
    return x, y, z


class Pose(FrozenModel):
    """A rigid pose in the world."""

    position_m: Vector3
    quat_wxyz: QuatWxyz

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """A pose from seven numbers: x, y, z and the quaternion w, x, y, z, as MuJoCo's free joints have them."""
        x, y, z, *quat = (float(value) for value in values)
        w, i, j, k = quat
        return cls(position_m=(x, y, z), quat_wxyz=(w, i, j, k))

    def as_tuple(self) -> tuple[float, ...]:
        """Its seven numbers, as :meth:`of` takes them."""
        return (*self.position_m, *self.quat_wxyz)
