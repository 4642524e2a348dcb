"""Inverse kinematics of one arm: joint positions that bring the tool centre point to a pose.

Differential kinematics as a quadratic program within joint limits (mink, daqp), from several starts, in a fixed
number of iterations: the same question always gets the same answer.
"""

from collections.abc import Sequence

import mink
import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose, pose_from_quat
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment

POSITION_TOLERANCE_M = 5e-4
ORIENTATION_TOLERANCE_RAD = 5e-3
MAX_ITERATIONS = 40
LARGEST_BEND_RAD = 1.6
"""Of any joint but the last, which turns the hand, from where a solution was sought: more means that shoulder, elbow or wrist flipped."""
_STALLED = 0.98
_STALL_ITERATIONS = 6
_UPRIGHT = 0.999
"""Cosine to the base's z axis from which the first joint turns the arm as a whole."""
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
        for body in spec.bodies[1:]:
            if not body.explicitinertial:  # it came from the geoms; kinematics ask for none, but the compiler does
                body.mass, body.inertia, body.explicitinertial = 1.0, [1.0, 1.0, 1.0], True
        self._model = spec.compile()
        self._configuration = mink.Configuration(self._model)
        self._task = mink.FrameTask(arm.tcp_site, "site", position_cost=1.0, orientation_cost=0.3, lm_damping=1e-3)
        self._limits = [mink.ConfigurationLimit(self._model, min_distance_from_limits=arm.limit_margin_rad)]
        self._site = self._model.site(arm.tcp_site).id
        self.lower = np.array([joint.lower_rad for joint in arm.joints]) + arm.limit_margin_rad
        self.upper = np.array([joint.upper_rad for joint in arm.joints]) - arm.limit_margin_rad
        data = mujoco.MjData(self._model)
        mujoco.mj_kinematics(self._model, data)
        first = self._model.joint(arm.joints[0].name).id
        self.root_m: FloatArray = data.xanchor[first].copy()
        """Where the first joint stands in the base frame, (3,)."""
        self.pose_base_body: FloatArray = build_pose(data.body(str(embodiment.base_body)).xpos, data.body(str(embodiment.base_body)).xmat)
        """The base body in the base frame, which is that of the robot's model (4, 4)."""
        self._turns: float = float(data.xaxis[first, 2]) if self._model.jnt_type[first] == mujoco.mjtJoint.mjJNT_HINGE else 0.0

    def forward(self, qpos: FloatArray) -> FloatArray:
        """Pose of the tool centre point in the base frame (4, 4)."""
        self._configuration.update(qpos)
        pose = self._configuration.get_transform_frame_to_world(self._task.frame_name, "site")
        matrix: FloatArray = pose.as_matrix()
        return matrix

    def turn_towards(self, qpos: FloatArray, point_m: FloatArray) -> FloatArray:
        """A configuration (n,) turned about the first joint until its tool points towards a place of the base frame (2,).

        It stays as it is where the first joint's axis is not upright. The turn is the shortest that keeps the joint's limits.
        """
        if abs(self._turns) < _UPRIGHT:
            return qpos
        tool, place = self.forward(qpos)[:2, 3] - self.root_m[:2], point_m - self.root_m[:2]
        angle = np.sign(self._turns) * (np.arctan2(place[1], place[0]) - np.arctan2(tool[1], tool[0]))
        turns = qpos[0] + (angle + np.pi) % (2 * np.pi) - np.pi + 2 * np.pi * np.array([0.0, -1.0, 1.0])
        within = turns[(turns >= self.lower[0]) & (turns <= self.upper[0])]
        turned = qpos.copy()
        turned[0] = within[0] if len(within) else np.clip(turns[0], self.lower[0], self.upper[0])
        return turned

    def solve(self, pose_base_tcp: FloatArray, seeds: Sequence[FloatArray], *, max_iterations: int = MAX_ITERATIONS) -> FloatArray | None:
        """Joint positions (n,) for a pose, on the same branch as the start that led to it, or ``None``.

        Args:
            pose_base_tcp: Wanted pose of the tool centre point in the base frame.
            seeds: Where to start from, in this order; the first that leads to the pose decides.
            max_iterations: Steps a seed gets.
        """
        self._task.set_target(mink.SE3.from_matrix(pose_base_tcp))
        for seed in seeds:
            solution = self._descend(seed, max_iterations)
            if solution is not None and np.abs(solution - seed)[:-1].max() <= LARGEST_BEND_RAD:
                return solution
        return None

    def _descend(self, seed: FloatArray, max_iterations: int) -> FloatArray | None:
        configuration = self._configuration
        configuration.update(np.clip(seed, self.lower, self.upper))
        best, stalled = np.inf, 0
        for _ in range(max_iterations):
            error = self._task.compute_error(configuration)
            if np.linalg.norm(error[:3]) < POSITION_TOLERANCE_M and np.linalg.norm(error[3:]) < ORIENTATION_TOLERANCE_RAD:
                found: FloatArray = np.clip(configuration.q, self.lower, self.upper)
                return found
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
