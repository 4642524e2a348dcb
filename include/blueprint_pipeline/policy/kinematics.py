"""Where the tool is for an arm's joints, and the joints for where it shall be, by the model of a kit.

Poses are of the tool in the robot's base frame, (4, 4).
"""

from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose, invert, pose_from_quat
from blueprint_pipeline.kit.world import World

_STEPS = 60
_DAMPING = 1e-4
_NEAR_M, _NEAR_RAD = 5e-4, 5e-3
_LARGEST_STEP_RAD = 0.2


class ToolKinematics:
    """Of one arm.

    Args:
        kit: Folder of the kit.
        arm: Index of the arm.
    """

    def __init__(self, kit: Path, arm: int) -> None:
        self._world = World(kit)
        self._model, self._arm = self._world.model, self._world.arms[arm]
        self._data = mujoco.MjData(self._model)
        base = self._world.kit["robot_base"]
        self.pose_world_base = pose_from_quat(np.array(base["pos"]), np.array(base["quat"]))
        joints = [int(np.flatnonzero(self._model.jnt_qposadr == address)[0]) for address in self._arm.joints]
        self._dofs = self._model.jnt_dofadr[joints]
        self._lower, self._upper = self._model.jnt_range[joints].T

    @property
    def openings_m(self) -> tuple[float, float]:
        """The gripper's least and largest opening."""
        return self._arm.openings_m[0], self._arm.openings_m[-1]

    def forward(self, joints_rad: FloatArray) -> FloatArray:
        """The tool's pose for joints (n,)."""
        self._data.qpos[self._arm.joints] = joints_rad
        mujoco.mj_kinematics(self._model, self._data)
        site = self._arm.tool_site
        return invert(self.pose_world_base) @ build_pose(self._data.site_xpos[site].copy(), self._data.site_xmat[site].copy())

    def inverse(self, pose_base_tool: FloatArray, seed_rad: FloatArray) -> FloatArray | None:
        """Joints (n,) near to ``seed_rad`` that bring the tool to a pose; ``None`` where none was found.

        Source: Nakamura and Hanafusa, "Inverse kinematic solutions with singularity robustness for robot manipulator control" (1986).
        """
        wanted = self.pose_world_base @ pose_base_tool
        joints, jacobian = seed_rad.copy(), np.zeros((6, self._model.nv))
        for _ in range(_STEPS):
            missing = self._missing(joints, wanted)
            if np.linalg.norm(missing[:3]) < _NEAR_M and np.linalg.norm(missing[3:]) < _NEAR_RAD:
                return joints
            mujoco.mj_comPos(self._model, self._data)
            mujoco.mj_jacSite(self._model, self._data, jacobian[:3], jacobian[3:], self._arm.tool_site)
            slope = jacobian[:, self._dofs]
            step = slope.T @ np.linalg.solve(slope @ slope.T + _DAMPING * np.eye(6), missing)
            step *= min(1.0, _LARGEST_STEP_RAD / max(float(np.abs(step).max()), 1e-12))
            joints = np.clip(joints + step, self._lower, self._upper)
        return None

    def _missing(self, joints_rad: FloatArray, wanted: FloatArray) -> FloatArray:
        """Way (3,) and turn (3,) from the tool to a pose, in the world."""
        found = self.pose_world_base @ self.forward(joints_rad)
        turn, quat = np.zeros(3), np.zeros(4)
        mujoco.mju_mat2Quat(quat, np.ascontiguousarray(wanted[:3, :3] @ found[:3, :3].T).ravel())
        mujoco.mju_quat2Vel(turn, quat, 1.0)
        return np.concatenate([wanted[:3, 3] - found[:3, 3], turn])
