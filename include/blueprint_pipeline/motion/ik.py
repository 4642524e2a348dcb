"""Inverse kinematics of one arm: joint positions that bring the tool centre point to a pose.

Differential kinematics as a quadratic program within joint limits (mink, daqp), from several starts, in a fixed
number of iterations: the same question always gets the same answer.
"""

from collections.abc import Sequence

import mink
import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import invert, pose_from_quat
from blueprint_pipeline.robot.embodiment import Arm, Embodiment

POSITION_TOLERANCE_M = 5e-4
ORIENTATION_TOLERANCE_RAD = 5e-3
MAX_ITERATIONS = 40
_STALLED = 0.98
_STALL_ITERATIONS = 6
_LIMIT_MARGIN_RAD = 0.02
_SOLVER = "daqp"


class ArmKinematics:
    """The arm alone, fixed in its base frame: small, so that a step costs little."""

    def __init__(self, embodiment: Embodiment, arm: Arm) -> None:
        self.arm = arm
        spec = mujoco.MjSpec.from_file(str(embodiment.mjcf_path))
        keep = {joint.name for joint in arm.joints}
        for equality in list(spec.equalities):
            spec.delete(equality)
        for actuator in list(spec.actuators):
            spec.delete(actuator)
        for tendon in list(spec.tendons):
            spec.delete(tendon)
        for joint in list(spec.joints):
            if joint.name not in keep:
                spec.delete(joint)
        for geom in list(spec.geoms):
            spec.delete(geom)
        self._model = spec.compile()
        self._configuration = mink.Configuration(self._model)
        self._task = mink.FrameTask(arm.tcp_site, "site", position_cost=1.0, orientation_cost=0.3, lm_damping=1e-3)
        self._limits = [mink.ConfigurationLimit(self._model, min_distance_from_limits=_LIMIT_MARGIN_RAD)]
        self._site = self._model.site(arm.tcp_site).id
        self.lower = np.array([joint.lower_rad for joint in arm.joints])
        self.upper = np.array([joint.upper_rad for joint in arm.joints])

    def forward(self, qpos: FloatArray) -> FloatArray:
        """Pose of the tool centre point in the base frame (4, 4)."""
        self._configuration.update(qpos)
        pose = self._configuration.get_transform_frame_to_world(self._task.frame_name, "site")
        matrix: FloatArray = pose.as_matrix()
        return matrix

    def solve(self, pose_base_tcp: FloatArray, seeds: Sequence[FloatArray], *, max_iterations: int = MAX_ITERATIONS) -> FloatArray | None:
        """Joint positions (n,) for a pose, or ``None``.

        Args:
            pose_base_tcp: Wanted pose of the tool centre point in the base frame.
            seeds: Where to start from, in this order; the first that leads to the pose decides.
            max_iterations: Steps a seed gets.
        """
        self._task.set_target(mink.SE3.from_matrix(pose_base_tcp))
        for seed in seeds:
            solution = self._descend(seed, max_iterations)
            if solution is not None:
                return solution
        return None

    def _descend(self, seed: FloatArray, max_iterations: int) -> FloatArray | None:
        configuration = self._configuration
        configuration.update(np.clip(seed, self.lower + _LIMIT_MARGIN_RAD, self.upper - _LIMIT_MARGIN_RAD))
        best, stalled = np.inf, 0
        for _ in range(max_iterations):
            error = self._task.compute_error(configuration)
            if np.linalg.norm(error[:3]) < POSITION_TOLERANCE_M and np.linalg.norm(error[3:]) < ORIENTATION_TOLERANCE_RAD:
                return np.array(configuration.q)
            size = float(np.linalg.norm(error))
            stalled = 0 if size < _STALLED * best else stalled + 1
            if stalled >= _STALL_ITERATIONS:
                return None
            best = min(best, size)
            velocity = mink.solve_ik(configuration, [self._task], 1.0, _SOLVER, damping=1e-6, limits=self._limits)
            configuration.integrate_inplace(velocity, 1.0)
        return None


def base_pose_of(model: mujoco.MjModel, body: str) -> FloatArray:
    """Where a body that is fixed to the world stands (4, 4)."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return pose_from_quat(data.body(body).xpos, data.body(body).xquat)


def to_base(pose_world_base: FloatArray, pose_world_tcp: FloatArray) -> FloatArray:
    """A pose of the world, seen from the base."""
    pose_base_tcp: FloatArray = invert(pose_world_base) @ pose_world_tcp
    return pose_base_tcp
