"""Inverse kinematics of one arm: joint positions that bring the tool centre point to a pose.

Differential kinematics as a quadratic program within joint limits (mink, daqp), from several starts, in a fixed
number of iterations: the same question always gets the same answer.
"""

from collections.abc import Sequence

import mink
import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.transforms import build_pose, pose_from_quat, shift, turn_about_z
from blueprint_pipeline.robot.arm import Arm
from blueprint_pipeline.robot.embodiment import Embodiment

POSITION_TOLERANCE_M = 5e-4
ORIENTATION_TOLERANCE_RAD = 5e-3
MAX_ITERATIONS = 40
LARGEST_FROM_DEFAULT_RAD = 2.3
"""Of any joint but the first and the last, between a solution and the default: half a turn (3.1 rad) is another branch."""
LARGEST_BEND_RAD = 1.3
"""Of any joint but the last, which turns the hand, from where a solution was sought: more means that shoulder, elbow or wrist flipped.

At 1.6 two of 24 pushes of a seven-axis arm brought a joint farther from its default than the gate ``branch`` allows. Of 1,008 ways to
hold a hand that leans up to 55 degrees, anywhere in the working area, 878 are reached within 1.3, and 901 within 1.6."""
_STALLED = 0.98
_STALL_ITERATIONS = 6
_ALIGNED = 0.999
"""Cosine between a joint's axis and another from which the joint turns about that one: the first about the base's z axis, the last about
the hand's approach."""
_NEAR_ROOT_M = 1e-3
_SOLVER = "daqp"
_STRETCH_M = 0.04
"""Between the places for which the arm's default is stretched once and kept."""
_TURN_RAD = np.radians(15.0)
"""Between the turns of a hand that its last joint does not turn."""


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
        self._reached: dict[tuple[int, ...], FloatArray] = {}
        self._hands: dict[tuple[bytes, int], FloatArray] = {}
        last, approach = self._model.joint(arm.joints[-1].name).id, data.site_xmat[self._site].reshape(3, 3)[:, 2]
        self._arm_turns = self._sense_about(data, first, np.array([0.0, 0.0, 1.0]))
        self._hand_turns = self._sense_about(data, last, approach)

    def _sense_about(self, data: mujoco.MjData, joint: int, axis: FloatArray) -> int:
        """1 for a joint that turns about an axis (3,), -1 for one that turns the other way round, 0 for one that does neither."""
        along = float(data.xaxis[joint] @ axis) if self._model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE else 0.0
        return round(along) if abs(along) >= _ALIGNED else 0

    def forward(self, qpos: FloatArray) -> FloatArray:
        """Pose of the tool centre point in the base frame (4, 4)."""
        self._configuration.update(qpos)
        pose = self._configuration.get_transform_frame_to_world(self._task.frame_name, "site")
        matrix: FloatArray = pose.as_matrix()
        return matrix

    def reach_towards(self, point_m: FloatArray) -> FloatArray:
        """The default configuration (n,), stretched and turned until its tool is about where a place of the base frame (3,) is.

        The hand is held as by default, and the arm stays on the default's branch: a place that it does not reach so is approached as far
        as it goes. An arm whose first joint's axis is upright is turned as a whole, so that all bearings are alike; another one, as a
        humanoid's, is moved to the side.
        """
        if not self._arm_turns:
            cell = np.round(point_m / _STRETCH_M).astype(int)
            return self._stretched(tuple(cell.tolist()), cell * _STRETCH_M)
        away, up = round(float(np.linalg.norm(point_m[:2] - self.root_m[:2])) / _STRETCH_M), round(point_m[2] / _STRETCH_M)
        default = np.array(self.arm.default_qpos_rad)
        outward = self.forward(default)[:2, 3] - self.root_m[:2]
        if (far_m := float(np.linalg.norm(outward))) < _NEAR_ROOT_M:  # a tool over the first joint heads nowhere
            return self._turn_towards(default, point_m[:2])
        goal_m = np.array([*(self.root_m[:2] + away * _STRETCH_M * outward / far_m), up * _STRETCH_M])
        return self._turn_towards(self._stretched((away, up), goal_m), point_m[:2])

    def _stretched(self, cell: tuple[int, ...], goal_m: FloatArray) -> FloatArray:
        """The default configuration moved straight to a place of the base frame (3,), in steps of :data:`_STRETCH_M`; kept by its cell."""
        if cell in self._reached:
            return self._reached[cell]
        qpos = np.array(self.arm.default_qpos_rad)
        pose = self.forward(qpos)
        way_m = goal_m - pose[:3, 3]
        steps = max(1, int(np.ceil(np.linalg.norm(way_m) / _STRETCH_M)))
        for share in np.arange(1, steps + 1) / steps:
            solution = self.solve(shift(pose, share * way_m), [qpos])
            if solution is None:
                break
            qpos = solution
        self._reached[cell] = qpos
        return qpos

    def turn_hand(self, qpos: FloatArray, rotation_base_tcp: FloatArray) -> FloatArray:
        """A configuration (n,) with the hand turned about its approach until the fingers close as in a rotation (3, 3), as near as it goes.

        The last joint turns it where that lies along the approach; else the whole wrist does, in steps of :data:`_TURN_RAD`.
        """
        closing = self.forward(qpos)[:3, :3].T @ rotation_base_tcp[:, 1]
        angle_rad = float(np.arctan2(-closing[0], closing[1]))
        if self._hand_turns:
            return self._turned(qpos, -1, self._hand_turns * angle_rad)
        return self._wrist_turned(qpos, round(angle_rad / _TURN_RAD))

    def _wrist_turned(self, qpos: FloatArray, turns: int) -> FloatArray:
        """A configuration (n,) with the hand turned on the spot by a number of steps, as many as it goes; each is kept."""
        if turns == 0:
            return qpos
        if (key := (qpos.tobytes(), turns)) not in self._hands:
            before = self._wrist_turned(qpos, turns - int(np.sign(turns)))
            pose = self.forward(qpos)
            pose[:3, :3] = pose[:3, :3] @ turn_about_z(turns * _TURN_RAD)[:3, :3]
            found = self.solve(pose, [before])
            self._hands[key] = before if found is None else found
        return self._hands[key]

    def _turn_towards(self, qpos: FloatArray, point_m: FloatArray) -> FloatArray:
        """A configuration (n,) turned about the upright first joint until its tool points towards a place of the base frame (2,)."""
        tool, place = self.forward(qpos)[:2, 3] - self.root_m[:2], point_m - self.root_m[:2]
        return self._turned(qpos, 0, self._arm_turns * float(np.arctan2(place[1], place[0]) - np.arctan2(tool[1], tool[0])))

    def _turned(self, qpos: FloatArray, joint: int, angle_rad: float) -> FloatArray:
        """A configuration with one joint turned by an angle, the shortest way that keeps the joint's limits; else up to a limit."""
        turns = qpos[joint] + (angle_rad + np.pi) % (2 * np.pi) - np.pi + 2 * np.pi * np.array([0.0, -1.0, 1.0])
        within = turns[(turns >= self.lower[joint]) & (turns <= self.upper[joint])]
        turned = qpos.copy()
        turned[joint] = within[0] if len(within) else np.clip(turns[0], self.lower[joint], self.upper[joint])
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
            if solution is not None and np.abs(solution - seed)[:-1].max() <= LARGEST_BEND_RAD and self._keeps_branch(solution):
                return solution
        return None

    def _keeps_branch(self, qpos: FloatArray) -> bool:
        """Whether shoulder, elbow and wrist are on the default's side; from one start to the next they could creep over to the other."""
        bend = np.abs(qpos - np.array(self.arm.default_qpos_rad))[1:-1]
        return bool(bend.max(initial=0.0) <= LARGEST_FROM_DEFAULT_RAD)

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
