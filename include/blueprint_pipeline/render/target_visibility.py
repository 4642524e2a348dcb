"""Whether a camera sees the target, found out in the scene's twin by casting rays through the camera's pixels.

For simulators that draw colour alone. Every pixel in which the target may be is asked; furniture, robot and other objects hide it as
their drawn geometry does. What comes out is an estimate: the twin's geometry stands for what was drawn.
"""

from dataclasses import dataclass, field

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.twin.footprint import bodies_of
from blueprint_pipeline.twin.model import SceneModel

_DRAWN_GROUPS = np.array([1, 1, 1, 0, 1, 1], dtype=np.uint8)
"""All but the group of collision geometry."""
_COLLISION_GROUP = 3
_FAR_M = 100.0
_MAX_RAYS = 20_000
"""In one picture; a target that may fill more pixels is sampled evenly."""


@dataclass
class TargetSight:
    """Counts the pixels of a target.

    Args:
        twin: The scene's compiled twin.
        target: Object id.
        width: Of the pictures, pixels.
        height: Of the pictures, pixels.
    """

    twin: SceneModel
    target: str
    width: int
    height: int
    _data: mujoco.MjData = field(init=False)

    def __post_init__(self) -> None:
        model = self.twin.model
        self._data = mujoco.MjData(model)
        bodies = bodies_of(model, self.target)
        self._geoms = np.flatnonzero(np.isin(model.geom_bodyid, bodies) & (model.geom_group != _COLLISION_GROUP))

    def stand(self, robot_qpos: FloatArray, gripper_width_m: FloatArray, object_poses: FloatArray) -> None:
        """Bring the twin to an observed state; arguments as of ``SceneModel.qpos_of``."""
        model, data = self.twin.model, self._data
        data.qpos[:] = self.twin.qpos_of(robot_qpos, gripper_width_m, object_poses)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)

    def count_pixels(self, camera: str) -> int:
        """Pixels of the camera's picture that show the target."""
        identity = camera_id(self.twin.model, camera)
        columns, rows = self._where_it_may_be(identity)
        stride = max(1, int(np.ceil(np.sqrt(len(columns) * len(rows) / _MAX_RAYS))))
        columns, rows = columns[::stride], rows[::stride]
        if not len(columns) or not len(rows):
            return 0
        return int(np.isin(self._first_hits(identity, columns, rows), self._geoms).sum()) * stride**2

    def _focal_length(self, camera: int) -> float:
        """In pixels."""
        return float(self.height / 2 / np.tan(np.deg2rad(self.twin.model.cam_fovy[camera]) / 2))

    def _where_it_may_be(self, camera: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Columns and rows of the pixels onto which the bounding spheres of the target's geometry may fall."""
        model, data, focal = self.twin.model, self._data, self._focal_length(camera)
        local = (data.geom_xpos[self._geoms] - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
        radius = model.geom_rbound[self._geoms]
        depth = -local[:, 2]
        if (np.abs(depth) <= radius).any():
            return np.arange(self.width), np.arange(self.height)
        seen = depth > radius
        if not seen.any():
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        near = (depth - radius)[seen]
        across, up, reach = local[seen, 0] / depth[seen], local[seen, 1] / depth[seen], 2 * radius[seen] / near
        u, v, half = self.width / 2 + focal * across, self.height / 2 - focal * up, focal * reach
        return _within((u - half).min(), (u + half).max(), self.width), _within((v - half).min(), (v + half).max(), self.height)

    def _first_hits(self, camera: int, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """The first geom behind each pixel, -1 where there is none."""
        data, focal = self._data, self._focal_length(camera)
        u, v = np.meshgrid((columns + 0.5 - self.width / 2) / focal, (self.height / 2 - rows - 0.5) / focal)
        rays = np.stack([u.ravel(), v.ravel(), -np.ones(u.size)], axis=1)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        world = np.ascontiguousarray(rays @ data.cam_xmat[camera].reshape(3, 3).T)
        hits, distances = np.full(u.size, -1, dtype=np.int32), np.zeros(u.size)
        mujoco.mj_multiRay(
            self.twin.model, data, data.cam_xpos[camera], world.ravel(), _DRAWN_GROUPS, True, -1, hits, distances, None, u.size, _FAR_M
        )
        return hits


def _within(first: float, last: float, count: int) -> NDArray[np.int64]:
    return np.arange(max(0, int(np.floor(first))), min(count, int(np.ceil(last)) + 1))
