"""Gates on the task: every condition of success holds, as the simulator judged and as the states show."""

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.quality.gates.case import EpisodeCase, Measurement, not_measured
from blueprint_pipeline.quality.tiers import GateRule
from blueprint_pipeline.robot.embodiment import ROBOT_PREFIX

ALWAYS_CHECKED = ("lifted", "arrived", "released", "at_rest", "untouched")


def measure_task_predicate(case: EpisodeCase, _rule: GateRule) -> Measurement:
    """Conditions that did not hold, or that nobody checked, by the simulator's own account."""
    checks = {check.name: check for check in case.record.outcome.predicate}
    if not checks:
        return not_measured("the predicate was never evaluated")
    wanted = [*ALWAYS_CHECKED, "upright"] if case.spec.task.upright else list(ALWAYS_CHECKED)
    found = [f"{name} was not checked" for name in wanted if name not in checks]
    failing = [check for check in checks.values() if not check.held]
    found += [f"{check.name}: {check.value:.4g} {check.unit}, limit {check.limit:.4g}" for check in failing]
    return Measurement(float(len(found)), "; ".join(found), Origin.SIMULATED)


def measure_task_recheck(case: EpisodeCase, arrays: EpisodeArrays, rule: GateRule) -> Measurement:
    """Conditions of success that the recorded states contradict: lifted, arrived, upright, at rest, untouched by the robot."""
    task = case.spec.task
    if task.target_object not in case.record.object_ids:
        return not_measured(f"the target {task.target_object} is not recorded")
    pose = arrays.object_poses[:, case.record.object_ids.index(task.target_object)]
    window = min(int(np.ceil(rule.parameters["window_s"] * case.fps)), arrays.frames)
    lift_m = float(pose[:, 2].max() - pose[0, 2])
    off_m = float(np.hypot(pose[-1, 0] - task.goal_position_m[0], pose[-1, 1] - task.goal_position_m[1]))
    speed_m_s = float((np.linalg.norm(np.diff(pose[-window - 1 :, :3], axis=0), axis=1) * case.fps).max(initial=0.0))
    touches = _robot_touches(arrays, task.target_object, from_row=arrays.frames - window)
    tilt_rad = _tilt_rad(pose[0, 3:], pose[-1, 3:])
    found = [f"lifted only {lift_m * 1000:.1f} mm"] if lift_m < rule.parameters["lift_m"] else []
    found += [f"{off_m * 1000:.1f} mm off the goal, radius {task.goal_radius_m * 1000:.0f} mm"] if off_m > task.goal_radius_m else []
    found += [f"tilted by {tilt_rad:.3f} rad, at most {task.max_tilt_rad:.3f}"] if task.upright and tilt_rad > task.max_tilt_rad else []
    found += [f"moves at {speed_m_s * 1000:.1f} mm/s at the end"] if speed_m_s > rule.parameters["rest_speed_m_s"] else []
    found += [f"touched by {', '.join(touches)} at the end"] if touches else []
    return Measurement(float(len(found)), "; ".join(found))


def _robot_touches(arrays: EpisodeArrays, target: str, *, from_row: int) -> list[str]:
    late = {name for name, row in zip(arrays.contacts.pair, arrays.contacts.row, strict=True) if row >= from_row}
    bodies = {body for name in late for body in name.split("|") if target in name.split("|")}
    return sorted(body for body in bodies if body.startswith(ROBOT_PREFIX))


def _tilt_rad(start_wxyz: FloatArray, end_wxyz: FloatArray) -> float:
    """Angle between the world's up axis and where the object's rotation took it [rad]: a turn about the vertical is no tilt.

    With the rotation from start to end ``q = q_end * conj(q_start)``, the up axis' new height is ``1 - 2 (q_x^2 + q_y^2)``.
    """
    (a, b, c, d), (w, x, y, z) = end_wxyz, start_wxyz
    turn_x = -a * x + b * w - c * z + d * y
    turn_y = -a * y + b * z + c * w - d * x
    return float(np.arccos(np.clip(1.0 - 2.0 * (turn_x**2 + turn_y**2), -1.0, 1.0)))
