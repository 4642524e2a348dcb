"""Whether the recorded actions are what moved the robot: lag and agreement of setpoints and states."""

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray

_STILL = 1e-4
_MIN_ROWS = 8


def action_state_lag_s(setpoint: FloatArray, reached: FloatArray, *, fps: float, max_lag_s: float = 0.5) -> float | None:
    """Delay of the reached joint positions behind their setpoints [s]; positive: the state comes later.

    The lag at which the cross-correlation of the two velocities (first differences, summed over joints) is largest, refined by a
    parabola through the largest value and its neighbours.

    Args:
        setpoint: Shape (n, n_joints), [rad]: what is commanded at the end of row t.
        reached: Shape (n, n_joints), [rad]: the state at that time.
        fps: Samples a second [Hz].
        max_lag_s: Lags beyond are not searched [s].

    Returns:
        ``None`` where nothing moves, or the rows are fewer than 8.

    Source: rdq ``sync.action_state_lag``; DQAF, arXiv 2605.26349.
    """
    if len(setpoint) < _MIN_ROWS:
        return None
    action, state = np.diff(setpoint, axis=0), np.diff(reached, axis=0)
    if np.abs(action).max() < _STILL / fps or np.abs(state).max() < _STILL / fps:
        return None
    widest = min(int(max_lag_s * fps), len(action) - 2)
    lags = np.arange(-widest, widest + 1)
    correlation = np.array([_correlation(action, state, int(lag)) for lag in lags])
    best = int(correlation.argmax())
    offset = 0.0
    if 0 < best < len(lags) - 1:
        left, middle, right = correlation[best - 1 : best + 2]
        curvature = left - 2 * middle + right
        offset = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(lags[best] + offset) / fps


def _correlation(action: FloatArray, state: FloatArray, lag: int) -> float:
    a, s = (action[: len(action) - lag], state[lag:]) if lag >= 0 else (action[-lag:], state[:lag])
    norm = float(np.linalg.norm(a) * np.linalg.norm(s))
    return float((a * s).sum()) / norm if norm > 0 else 0.0


def action_state_consistency(setpoint: FloatArray, reached: FloatArray, *, fps: float) -> float | None:
    """How well the states follow the actions once their lag is taken out: 1 is perfect, 0 as bad as standing still at the mean.

    ``1 - rms(setpoint(t - lag) - reached(t)) / rms(setpoint - mean(setpoint))`` over all joints, with the lag of
    :func:`action_state_lag_s` and linear interpolation between setpoints. Every position controller lags; that is judged on its own.

    Args:
        setpoint: Shape (n, n_joints), [rad]: what is commanded at the end of row t.
        reached: Shape (n, n_joints), [rad]: the state at that time.
        fps: Samples a second [Hz].

    Returns:
        ``None`` where there is no lag to find (:func:`action_state_lag_s`).

    Source: DQAF, arXiv 2605.26349 (others warn below 0.8 and fail below 0.5); SCIZOR, arXiv 2505.22626.
    """
    errors = tracking_errors(setpoint, reached, fps=fps)
    if errors is None:
        return None
    return 1.0 - float(np.sqrt(np.mean(errors**2))) / float(np.sqrt(np.mean((setpoint - setpoint.mean(axis=0)) ** 2)))


def tracking_errors(setpoint: FloatArray, reached: FloatArray, *, fps: float) -> FloatArray | None:
    """How far the states are from the actions once their lag is taken out, (m, n_joints), [rad]; the m rows that have both.

    ``setpoint(t - lag) - reached(t)`` with the lag of :func:`action_state_lag_s` and linear interpolation between setpoints.

    Args:
        setpoint: Shape (n, n_joints), [rad]: what is commanded at the end of row t.
        reached: Shape (n, n_joints), [rad]: the state at that time.
        fps: Samples a second [Hz].

    Returns:
        ``None`` where there is no lag to find.
    """
    lag_s = action_state_lag_s(setpoint, reached, fps=fps)
    if lag_s is None:
        return None
    rows = np.arange(len(setpoint))
    sources = rows - lag_s * fps
    inside = (sources >= 0) & (sources <= rows[-1])
    shifted = np.stack([np.interp(sources[inside], rows, column) for column in setpoint.T], axis=1)
    errors: FloatArray = shifted - reached[inside]
    return errors
