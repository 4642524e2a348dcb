"""All reported measures of one episode, and of a set, by name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.quality.metrics import activity, diversity, smoothness, tracking
from blueprint_pipeline.task.outcome import Phase


@dataclass(frozen=True, kw_only=True)
class JointRange:
    """Ends of all arms' joints, shape (n_joints,) each [rad]."""

    lower_rad: FloatArray
    upper_rad: FloatArray


def measure_skill(
    arrays: EpisodeArrays, phases: Sequence[Phase], joints: JointRange, *, travel_phases: Sequence[str], arm: int, fps: int
) -> dict[str, float | None]:
    """Scores of how well an episode was moved; ``None`` where one cannot be measured. They drop no episode.

    The efficiency of the tool's path is measured in each of ``travel_phases``, in the first of that name.

    Units stand in the names; names without one are shares from 0 to 1, but ``sparc`` and ``ldlj``, which have no unit.

    Args:
        arrays: The recording.
        phases: Of the motion.
        joints: Ends of all arms' joints.
        travel_phases: Names of those in which the tool travels.
        arm: Index of the arm that acted: its tool and its gripper are looked at.
        fps: Frames a second.
    """
    tool_m = arrays.ee_pose[:, arm, :3]
    speed_m_s = smoothness.speed(tool_m, fps=fps) if arrays.frames else np.zeros(0)
    setpoint, reached = arrays.robot_command[:-1], arrays.robot_qpos[1:]
    found: dict[str, float | None] = {
        "duration_s": arrays.frames / fps,
        "sparc": smoothness.sparc(speed_m_s, fps=fps),
        "ldlj": smoothness.ldlj(speed_m_s, fps=fps),
        "idle_ratio": activity.idle_ratio(arrays.robot_qvel, fps=fps),
        "gripper_chatter_hz": activity.gripper_chatter_hz(arrays.gripper_command_m[:, arm], fps=fps),
        "action_state_lag_s": tracking.action_state_lag_s(setpoint, reached, fps=fps),
        "action_state_consistency": tracking.action_state_consistency(setpoint, reached, fps=fps),
        "tool_path_m": float(np.linalg.norm(np.diff(tool_m, axis=0), axis=1).sum()),
        "joint_limit_saturation": (
            activity.joint_limit_saturation(arrays.robot_qpos, joints.lower_rad, joints.upper_rad, fps=fps)
            if arrays.robot_qpos.shape[1] == len(joints.lower_rad)
            else None
        ),
    }
    spans = {phase.name: (phase.start_frame, phase.end_frame) for phase in reversed(phases)}
    for name in travel_phases:
        start, end = spans.get(name, (0, 0))
        found[f"path_efficiency_{name}"] = activity.path_efficiency(tool_m[start : end + 1]) if end > start else None
    return found


def measure_set(paths: Sequence[FloatArray], starts_m: FloatArray) -> dict[str, float | None]:
    """How much the kept episodes differ from each other.

    Args:
        paths: Path of the tool of each episode, resampled alike (:func:`blueprint_pipeline.quality.metrics.diversity.resample_path`).
        starts_m: Where each target started, shape (n, 2), world x and y [m].
    """
    return {
        "episodes": float(len(paths)),
        "effective_episodes": diversity.path_diversity(paths),
        "near_duplicate_share": diversity.near_duplicate_share(paths),
        "initial_state_coverage": diversity.initial_state_coverage(starts_m),
    }
