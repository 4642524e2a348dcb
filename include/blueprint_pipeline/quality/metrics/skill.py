"""All reported measures of one episode, and of a set, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blueprint_pipeline.episode.arrays import EpisodeArrays
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.quality.metrics import activity, diversity, smoothness, spread, tracking
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


@dataclass(frozen=True, kw_only=True)
class EpisodeSet:
    """What is measured over the kept episodes of a job; one entry an episode."""

    paths: Sequence[FloatArray]
    """Path of the tool, resampled alike (:func:`blueprint_pipeline.quality.metrics.diversity.resample_path`)."""
    targets: Sequence[str]
    """Which object, or part of one, was moved."""
    instructions: Sequence[str]
    objects: Sequence[str]
    """Of the episodes that move an object: which."""
    starts_m: FloatArray
    """Where it started, (n_objects, 2) [m]."""
    headings_rad: FloatArray
    """Its turn about the vertical when it started, (n_objects,)."""
    ends_m: FloatArray
    """Where it ended, (n_objects, 2) [m]."""
    parts: Sequence[tuple[str, str]]
    """Of the episodes that move a part: by which skill, and which."""
    opened_at: FloatArray
    """How far it was open when they began, (n_parts,) [m] or [rad]."""
    places_m2: Mapping[str, FloatArray] | None
    """Of each object that the job takes the covariance of all places where it has room, (2, 2) [m²]; ``None``: the plan does not say."""
    ranges: Mapping[tuple[str, str], tuple[float, float]] | None
    """Of each part that a skill of the job takes, how far it may be open at the start, at least and at most; ``None``: the same."""


SET_MEASURES = frozenset(
    {
        "episodes",
        "object_episodes",
        "part_episodes",
        "part_start_spread",
        "start_spread",
        "heading_spread",
        "goal_spread",
        "object_balance",
        "effective_objects",
        "effective_sentences",
        "effective_episodes",
        "near_duplicate_share",
        "initial_state_coverage",
    }
)
"""What :func:`measure_set` measures."""


def measure_set(episodes: EpisodeSet) -> dict[str, float | None]:
    """How wide the kept episodes spread, and how different they are.

    ``start_spread``, ``goal_spread`` and ``heading_spread`` are shares of what the scene allows each object
    (:mod:`blueprint_pipeline.quality.metrics.spread`), and ``part_start_spread`` of the range in which each skill finds each part;
    ``part_episodes`` are those of parts that can begin at more than one place: a button always begins out.
    ``object_balance`` is the effective number of objects and parts over all that the job takes.
    """
    whole, ranges, objects = episodes.places_m2, episodes.ranges, spread.effective_number(episodes.targets)
    taken = {*(whole or {}), *(part for _, part in ranges or {})}
    return {
        "episodes": float(len(episodes.paths)),
        "object_episodes": float(len(episodes.objects)),
        "part_episodes": float(sum(ranges is None or ranges[part][0] < ranges[part][1] for part in episodes.parts)),
        "start_spread": None if whole is None else spread.ellipse_share(episodes.starts_m, episodes.objects, whole),
        "heading_spread": spread.heading_spread(episodes.headings_rad, episodes.objects),
        "goal_spread": None if whole is None else spread.ellipse_share(episodes.ends_m, episodes.objects, whole),
        "part_start_spread": None if ranges is None else spread.range_share(episodes.opened_at, episodes.parts, ranges),
        "object_balance": None if objects is None or not taken else objects / len(taken),
        "effective_objects": objects,
        "effective_sentences": spread.effective_number(episodes.instructions),
        "effective_episodes": diversity.path_diversity(episodes.paths),
        "near_duplicate_share": diversity.near_duplicate_share(episodes.paths),
        "initial_state_coverage": diversity.initial_state_coverage(episodes.starts_m),
    }
