"""How economically a robot moves: detours, standing idle, chatter of the gripper, joints near their ends. Reported only."""

import numpy as np
import numpy.typing as npt

from blueprint_pipeline.geometry.arrays import FloatArray

_SHORTEST_PATH_M = 1e-3
_MIN_ROWS = 2


def path_efficiency(position_m: FloatArray) -> float | None:
    """Straight-line distance over distance travelled, 0 to 1; 1 is a straight line.

    ``|p_n - p_0| / sum |p_{i+1} - p_i|``, of one phase (a whole pick-and-place returns home: its efficiency is near 0).

    Args:
        position_m: Shape (n, 3), world frame [m].

    Returns:
        ``None`` where less than 1 mm was travelled.

    Source: RoboticsData ``score_lerobot_episodes``; adduct ``smoothness.path_efficiency``.
    """
    if len(position_m) < _MIN_ROWS:
        return None
    travelled_m = float(np.linalg.norm(np.diff(position_m, axis=0), axis=1).sum())
    return float(np.linalg.norm(position_m[-1] - position_m[0])) / travelled_m if travelled_m >= _SHORTEST_PATH_M else None


def share_in_runs(mask: npt.NDArray[np.bool_], *, shortest: int) -> float:
    """Share of samples that lie in unbroken runs of True of at least ``shortest`` samples, 0 to 1. ``mask`` has shape (n,), n > 0."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= shortest].sum()) / len(mask)


def idle_ratio(joint_velocity: FloatArray, *, fps: float, threshold: float = 0.005, shortest_s: float = 0.5) -> float | None:
    """Share of samples in which the arm stands still for long, 0 to 1.

    Speed is the norm of the joint velocities over its largest value in the episode; samples below ``threshold`` count
    where they last at least ``shortest_s``. Others warn at 0.1 and fail at 0.3; here it is reported.

    Args:
        joint_velocity: Shape (n, n_joints), [rad/s].
        fps: Samples a second [Hz].
        threshold: Share of the largest speed.
        shortest_s: Shortest standstill that counts [s].

    Returns:
        ``None`` where the arm never moved.

    Source: DQAF, arXiv 2605.26349; defaults as in deepen-grade 0.4.1.
    """
    norm = np.linalg.norm(joint_velocity, axis=1)
    peak = float(norm.max(initial=0.0))
    return share_in_runs(norm / peak < threshold, shortest=int(np.ceil(shortest_s * fps))) if peak > 0 else None


def gripper_chatter_hz(command_m: FloatArray, *, fps: float, dead_band_m: float = 1e-4) -> float | None:
    """Reversals of the commanded opening a second [Hz]; one pick-and-place closes once and opens once.

    A reversal is a change of the sign of the command's steps; steps within ``dead_band_m`` have no sign. Others warn at
    2 Hz and fail at 5 Hz; here it is reported.

    Args:
        command_m: Commanded opening, shape (n,), [m].
        fps: Samples a second [Hz].
        dead_band_m: Smaller steps are none [m].

    Returns:
        ``None`` for fewer than two samples.

    Source: DQAF, arXiv 2605.26349.
    """
    if len(command_m) < _MIN_ROWS:
        return None
    steps = np.diff(command_m)
    signs = np.sign(steps[np.abs(steps) > dead_band_m])
    return float(np.count_nonzero(np.diff(signs))) * fps / (len(command_m) - 1)


def joint_limit_saturation(
    joint_position: FloatArray, lower: FloatArray, upper: FloatArray, *, fps: float, margin: float = 0.02, shortest_s: float = 0.2
) -> float:
    """Share of samples in which any joint stays near an end of its range, 0 to 1.

    Near is within ``margin`` of the range, for at least ``shortest_s``. Others warn at 0.1 and fail at 0.25; here it is reported.

    Args:
        joint_position: Shape (n, n_joints), [rad].
        lower: Shape (n_joints,), [rad].
        upper: Shape (n_joints,), [rad].
        fps: Samples a second [Hz].
        margin: Share of a joint's range.
        shortest_s: Shortest stay that counts [s].

    Source: DQAF, arXiv 2605.26349, with the robot's true limits.
    """
    band = margin * (upper - lower)
    near = (joint_position <= lower + band) | (joint_position >= upper - band)
    return max(share_in_runs(near[:, joint], shortest=int(np.ceil(shortest_s * fps))) for joint in range(near.shape[1]))
