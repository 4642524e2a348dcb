"""Start states of episodes: the settled scene, a little different every time, and at rest.

World frame: z up, metres; quaternions wxyz.
"""

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.twin.footprint import bodies_of, find_supports, measure_footprint, movable_objects

JITTER_M = 0.04
JITTER_RAD = 0.6
APART_M = 0.012
"""No two objects start nearer to each other than this, so that fingers find a way between them."""
SETTLE_S = 0.25
DRIFT_M = 0.004
_TRIES = 25
_EDGE_M = 0.02


class StartStates:
    """Varies the poses of a scene's movable objects.

    Args:
        model: The twin without a robot.
        poses: Settled pose of every movable object.
    """

    def __init__(self, model: mujoco.MjModel, poses: Mapping[str, Pose]) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._names = movable_objects(model)
        self._address = {name: int(model.jnt_qposadr[model.body(name).jntadr[0]]) for name in self._names}
        self._bodies = {name: set(bodies_of(model, name).tolist()) for name in self._names}
        for name, pose in poses.items():
            self._data.qpos[self._address[name] : self._address[name] + 7] = (*pose.position_m, *pose.quat_wxyz)
        mujoco.mj_forward(model, self._data)
        self.settled_qpos: FloatArray = self._data.qpos.copy()
        self.supports = find_supports(model, self._data)
        """What each object stands on in the settled scene."""
        bearing = set(self.supports.values())
        self._free = [
            name for name in self._names if name in self.supports and name not in bearing and self.supports[name] not in self._names
        ]

    def sample(self, rng: np.random.Generator) -> dict[str, Pose]:
        """A start state: every object that stands free on something fixed is moved and turned, if there is room.

        Objects are moved one after the other; one that finds no room, or would not stay where it is put, keeps its
        settled pose.
        """
        self._set(self.settled_qpos)
        for name in self._free:
            self._move(name, rng)
        moved = self._data.qpos.copy()
        return self._poses(moved if self._stays(moved) else self.settled_qpos)

    def qpos_of(self, poses: Mapping[str, Pose]) -> FloatArray:
        """Configuration of the twin with objects at ``poses``, (nq,)."""
        qpos = self.settled_qpos.copy()
        for name, pose in poses.items():
            qpos[self._address[name] : self._address[name] + 7] = (*pose.position_m, *pose.quat_wxyz)
        return qpos

    def _move(self, name: str, rng: np.random.Generator) -> None:
        address = self._address[name]
        before = self._data.qpos[address : address + 7].copy()
        for _ in range(_TRIES):
            shift = rng.uniform(-JITTER_M, JITTER_M, 2)
            half_turn = rng.uniform(-JITTER_RAD, JITTER_RAD) / 2
            pose = before.copy()
            pose[:2] += shift
            mujoco.mju_mulQuat(pose[3:], np.array([np.cos(half_turn), 0.0, 0.0, np.sin(half_turn)]), before[3:])
            self._data.qpos[address : address + 7] = pose
            mujoco.mj_kinematics(self._model, self._data)
            if self._is_clear(name) and self._is_borne(name):
                return
        self._data.qpos[address : address + 7] = before
        mujoco.mj_kinematics(self._model, self._data)

    def _is_clear(self, name: str) -> bool:
        """Whether the object keeps :data:`APART_M` from everything but its support."""
        support = set(bodies_of(self._model, self.supports[name]).tolist())
        own = self._geoms(self._bodies[name])
        others = [geom for geom in range(self._model.ngeom) if self._collides(geom) and int(self._model.geom_bodyid[geom]) not in support]
        for first in own:
            for second in others:
                if second in own:
                    continue
                reach = self._model.geom_rbound[first] + self._model.geom_rbound[second] + APART_M
                plane = self._model.geom_rbound[second] == 0.0
                if not plane and np.linalg.norm(self._data.geom_xpos[first] - self._data.geom_xpos[second]) > reach:
                    continue
                if mujoco.mj_geomDistance(self._model, self._data, first, second, APART_M, None) < APART_M:
                    return False
        return True

    def _is_borne(self, name: str) -> bool:
        """Whether the whole outline of the object still lies over its support."""
        footprint = measure_footprint(self._model, self._data, name)
        support = bodies_of(self._model, self.supports[name]).tolist()
        geom = np.zeros(1, dtype=np.int32)
        groups = np.array([1, 1, 0, 1, 1, 1], dtype=np.uint8)
        scale = 1.0 + _EDGE_M / footprint.radius_m
        for corner in footprint.polygon_m * scale + footprint.origin_m[:2]:
            start = np.array([corner[0], corner[1], footprint.bottom_m + 0.004])
            distance = mujoco.mj_ray(self._model, self._data, start, np.array([0.0, 0.0, -1.0]), groups, 1, -1, geom)
            if geom[0] < 0 or int(self._model.geom_bodyid[geom[0]]) not in support or distance > 2 * 0.004:
                return False
        return True

    def _stays(self, qpos: FloatArray) -> bool:
        """Let go of the scene for a moment; whether nothing moves. Afterwards the data hold where things came to rest."""
        self._set(qpos)
        for _ in range(round(SETTLE_S / self._model.opt.timestep)):
            mujoco.mj_step(self._model, self._data)
        drift = max((self._drift(name, qpos) for name in self._names), default=0.0)
        return drift <= DRIFT_M

    def _drift(self, name: str, qpos: FloatArray) -> float:
        address = self._address[name]
        return float(np.linalg.norm(self._data.qpos[address : address + 3] - qpos[address : address + 3]))

    def _set(self, qpos: FloatArray) -> None:
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)

    def _poses(self, qpos: FloatArray) -> dict[str, Pose]:
        poses = {}
        for name in self._names:
            pose = [float(value) for value in qpos[self._address[name] : self._address[name] + 7]]
            poses[name] = Pose(position_m=(pose[0], pose[1], pose[2]), quat_wxyz=(pose[3], pose[4], pose[5], pose[6]))
        return poses

    def _geoms(self, bodies: set[int]) -> Sequence[int]:
        return [geom for geom in range(self._model.ngeom) if self._collides(geom) and int(self._model.geom_bodyid[geom]) in bodies]

    def _collides(self, geom: int) -> bool:
        return bool(self._model.geom_contype[geom] or self._model.geom_conaffinity[geom])
