"""Where the tools of a robot are, from its joints alone: no scene is loaded for it."""

from functools import lru_cache

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.twin.binding import bind_robot
from blueprint_pipeline.twin.mount import mount


class RobotTools:
    """The tools of a robot that stands somewhere.

    Args:
        robot: Which robot, and where.
    """

    def __init__(self, robot: RobotPlacement) -> None:
        embodiment, spec = load_embodiment(robot.embodiment), mujoco.MjSpec()
        mount(spec, embodiment, robot.base_pose)
        self._model = spec.compile()
        self._robot = bind_robot(self._model, embodiment)

    def poses(self, joints: FloatArray) -> FloatArray:
        """Tool centre points in the world (T, n_arms, 7), xyz and quat wxyz, at positions of all arms' joints (T, n_joints)."""
        data = mujoco.MjData(self._model)
        found = np.zeros((len(joints), len(self._robot.arms), 7))
        for row, positions in enumerate(joints):
            data.qpos[self._robot.qpos] = positions
            mujoco.mj_kinematics(self._model, data)
            found[row] = self._robot.tool_poses(data)
        return found


@lru_cache(8)
def load_robot_tools(robot: RobotPlacement) -> RobotTools:
    """The tools of a robot; those of the same placement are made once."""
    return RobotTools(robot)
