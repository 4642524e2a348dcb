"""Gates on the robot: within its limits, and moved by the recorded actions."""

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.quality.gates.case import EpisodeCase, Measurement, RobotLimits, not_measured
from blueprint_pipeline.quality.metrics.tracking import action_state_consistency, action_state_lag_s, tracking_errors
from blueprint_pipeline.quality.tiers import GateRule


def measure_joint_position(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest distance of a joint beyond its range [rad]; 0 where all stay within."""
    robot = case.robot
    if arrays.robot_qpos.shape[1] != len(robot.joints):
        return _wrong_width(arrays.robot_qpos, robot)
    beyond = np.maximum(np.maximum(robot.lower_rad - arrays.robot_qpos, arrays.robot_qpos - robot.upper_rad), 0.0)
    return _worst(beyond, robot)


def measure_joint_velocity(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest joint speed as a share of that joint's limit."""
    if arrays.robot_qvel.shape[1] != len(case.robot.joints):
        return _wrong_width(arrays.robot_qvel, case.robot)
    return _worst(np.abs(arrays.robot_qvel) / case.robot.velocity_rad_s, case.robot)


def measure_joint_torque(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest joint torque as a share of that joint's limit."""
    if arrays.robot_torque.shape[1] != len(case.robot.joints):
        return _wrong_width(arrays.robot_torque, case.robot)
    if np.isnan(arrays.robot_torque).any():
        return not_measured(f"{case.record.simulator.name} told no torque")
    return _worst(np.abs(arrays.robot_torque) / case.robot.torque_nm, case.robot)


def measure_state_continuity(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest disagreement of positions and velocities, as a share of the joint's velocity limit.

    ``|(q[t + 1] - q[t]) * fps - (v[t] + v[t + 1]) / 2| / v_max``: large where rows were dropped, repeated or frozen, or where
    velocities have another unit or order than positions. Within its acceleration limit a an arm gives at most ``a / (4 fps v_max)``.
    """
    if arrays.robot_qpos.shape[1] != len(case.robot.joints):
        return _wrong_width(arrays.robot_qpos, case.robot)
    step = np.diff(arrays.robot_qpos, axis=0) * case.fps
    return _worst(np.abs(step - (arrays.robot_qvel[:-1] + arrays.robot_qvel[1:]) / 2) / case.robot.velocity_rad_s, case.robot)


def measure_action_state_lag(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """How long states come after their setpoints [s]; 0 where they come before."""
    lag_s = action_state_lag_s(*joint_setpoints(arrays), fps=case.fps)
    if lag_s is None:
        return not_measured("no arm moves")
    return Measurement(max(lag_s, 0.0), f"lag of states behind setpoints {lag_s * 1000:.0f} ms")


def measure_action_state_lead(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """How long states come before their setpoints [s]: no cause comes after its effect."""
    lag_s = action_state_lag_s(*joint_setpoints(arrays), fps=case.fps)
    if lag_s is None:
        return not_measured("no arm moves")
    return Measurement(max(-lag_s, 0.0), f"lag of states behind setpoints {lag_s * 1000:.0f} ms")


def measure_action_state_consistency(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """1 less the root mean square tracking error, its lag taken out, over the spread of the setpoints."""
    value = action_state_consistency(*joint_setpoints(arrays), fps=case.fps)
    return not_measured("the setpoints do not move") if value is None else Measurement(value, "setpoints against the states they led to")


def measure_tracking_error(case: EpisodeCase, arrays: EpisodeArrays, _rule: GateRule) -> Measurement:
    """Largest distance of any joint from its setpoint [rad], the lag taken out: a score over all joints hides one that counts otherwise."""
    if arrays.robot_qpos.shape[1] != len(case.robot.joints):
        return _wrong_width(arrays.robot_qpos, case.robot)
    errors = tracking_errors(*joint_setpoints(arrays), fps=case.fps)
    return not_measured("the setpoints do not move") if errors is None else _worst(np.abs(errors), case.robot)


def joint_setpoints(arrays: EpisodeArrays) -> tuple[FloatArray, FloatArray]:
    """Setpoints of all arms' joints, and the positions at the ends of their frames. Shape (T, n_joints) each, [rad].

    Row t's setpoint is reached at the end of frame t, which is row t + 1's state.
    """
    return arrays.robot_command[:-1], arrays.robot_qpos[1:]


def _worst(values: FloatArray, robot: RobotLimits) -> Measurement:
    row, joint = np.unravel_index(int(values.argmax()), values.shape)
    return Measurement(float(values[row, joint]), f"{robot.joints[joint]} in frame {row}")


def _wrong_width(found: FloatArray, robot: RobotLimits) -> Measurement:
    return not_measured(f"{found.shape[1]} joints are recorded, the embodiment has {len(robot.joints)}")
