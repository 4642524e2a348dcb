"""How smooth a movement is, from its speed profile. Reported only: no episode is dropped for it."""

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray

_MIN_SAMPLES = 5
_STANDSTILL_M_S = 1e-6


def speed(position_m: FloatArray, *, fps: float) -> FloatArray:
    """Speed of a point from its path, central differences, [m/s].

    Args:
        position_m: Shape (n, 3), world frame.
        fps: Samples a second [Hz].

    Returns:
        Shape (n,).
    """
    return np.asarray(np.linalg.norm(np.gradient(position_m, 1.0 / fps, axis=0), axis=1), dtype=np.float64)


def sparc(
    speed_m_s: FloatArray, *, fps: float, cutoff_hz: float = 10.0, amplitude_threshold: float = 0.05, pad_level: int = 4
) -> float | None:
    """Spectral arc length of a speed profile; dimensionless, below 0, nearer to 0 is smoother.

    ``-sum sqrt((df / (f_last - f_first))^2 + (dV)^2)`` over the magnitude spectrum V of the speed, normalised to a
    largest value of 1, up to the last frequency <= ``cutoff_hz`` whose V >= ``amplitude_threshold``. A single bell-shaped
    movement has about -1.4 to -1.9. It grows in length with the number of submovements, so compare like tasks only.

    Args:
        speed_m_s: Shape (n,), [m/s].
        fps: Samples a second [Hz].
        cutoff_hz: Frequencies above are left out [Hz].
        amplitude_threshold: Share of the largest magnitude below which the spectrum counts as ended.
        pad_level: The spectrum is zero-padded to ``2 ** (ceil(log2 n) + pad_level)`` points.

    Returns:
        ``None`` where fewer than 5 samples are given or nothing moves.

    Source: S. Balasubramanian et al., "On the analysis of movement smoothness", J NeuroEng Rehabil 12:112 (2015).
    """
    if len(speed_m_s) < _MIN_SAMPLES or speed_m_s.max() < _STANDSTILL_M_S:
        return None
    n_fft = int(2 ** (np.ceil(np.log2(len(speed_m_s))) + pad_level))
    frequency = np.arange(n_fft // 2 + 1) * (fps / n_fft)
    magnitude = np.abs(np.fft.rfft(speed_m_s, n_fft))
    magnitude = magnitude / magnitude.max()
    selected = np.flatnonzero((frequency <= cutoff_hz) & (magnitude >= amplitude_threshold))
    first, last = selected[0], selected[-1]
    if last <= first:
        return None
    f, v = frequency[first : last + 1], magnitude[first : last + 1]
    return -float(np.sum(np.sqrt((np.diff(f) / (f[-1] - f[0])) ** 2 + np.diff(v) ** 2)))


def ldlj(speed_m_s: FloatArray, *, fps: float) -> float | None:
    """Log dimensionless jerk of a speed profile; dimensionless, larger is smoother.

    ``-ln( (T^3 / v_peak^2) * integral (d2v/dt2)^2 dt )``. A minimum-jerk movement has -ln 204.8 = -5.32. The second
    derivative is the central second difference, the integral the trapezoid rule over the inner samples.

    Args:
        speed_m_s: Shape (n,), [m/s].
        fps: Samples a second [Hz].

    Returns:
        ``None`` where fewer than 5 samples are given, nothing moves, or the speed is constant.

    Source: S. Balasubramanian et al., IEEE Trans. Biomed. Eng. 59(8) (2012) and J NeuroEng Rehabil 12:112 (2015).
    """
    if len(speed_m_s) < _MIN_SAMPLES or speed_m_s.max() < _STANDSTILL_M_S:
        return None
    step_s = 1.0 / fps
    duration_s = (len(speed_m_s) - 1) * step_s
    jerk = np.diff(speed_m_s, n=2) / step_s**2
    whole = float(np.trapezoid(jerk**2, dx=step_s)) + float(jerk[0] ** 2 + jerk[-1] ** 2) * step_s
    dimensionless = duration_s**3 / float(speed_m_s.max()) ** 2 * whole
    return -float(np.log(dimensionless)) if dimensionless > 0 else None
