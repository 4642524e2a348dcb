"""What stands where a part moves: movable objects, the robot, parts of other objects. All else was asked in its motion test."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.twin.articulation import PartJoint
from blueprint_pipeline.twin.mount import PEDESTAL

CLEAR_M = 0.01
"""Between a part and what it passes."""
_STEPS = 24
_WORLD = "world"
"""Body of the pedestal."""


def find_in_the_way(model: mujoco.MjModel, qpos: FloatArray, joint: PartJoint, goal: float) -> str | None:
    """The first thing that a part would come within :data:`CLEAR_M` of, on its way from where it is; ``None``: its way is free.

    Args:
        model: Compiled scene with the robot.
        qpos: Where everything is (nq,).
        joint: Of the part.
        goal: Position to which it shall go [m] or [rad].
    """
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    body = int(model.body(joint.part).id)
    own = np.flatnonzero((model.geom_bodyid == body) & (model.geom_contype != 0))
    rest = _may_be_in_the_way(model, body)
    for position in np.linspace(float(qpos[joint.qpos]), goal, _STEPS):
        data.qpos[joint.qpos] = position
        mujoco.mj_kinematics(model, data)
        for geom in own:
            reach_m = model.geom_rbound[geom] + CLEAR_M
            away_m = np.linalg.norm(data.geom_xpos[rest] - data.geom_xpos[geom], axis=1) - model.geom_rbound[rest]
            for other in rest[away_m <= reach_m]:
                if mujoco.mj_geomDistance(model, data, int(geom), int(other), CLEAR_M, None) < CLEAR_M:
                    name = model.body(int(model.geom_bodyid[other])).name
                    return name if name and not name.startswith(ROBOT_PREFIX) and name != _WORLD else "the robot"
    return None


def _may_be_in_the_way(model: mujoco.MjModel, body: int) -> NDArray[np.int64]:
    """Geoms that collide, of what can be moved and of the robot with what it stands on."""
    robot = np.array([model.body(owner).name.startswith(ROBOT_PREFIX) for owner in range(model.nbody)])[model.geom_bodyid]
    robot |= np.arange(model.ngeom) == mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_GEOM, PEDESTAL)
    moves = model.body_weldid[model.geom_bodyid] != 0
    other = model.body_rootid[model.geom_bodyid] != model.body_rootid[body]
    return np.flatnonzero((moves | robot) & other & (model.geom_contype != 0))
