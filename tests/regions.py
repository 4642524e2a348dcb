"""Regions of tasks in tests."""


def square_about(x_m: float, y_m: float, half_m: float = 0.05) -> tuple[tuple[float, float], ...]:
    """Corners of a square, counter-clockwise."""
    return tuple((round(x_m + dx * half_m, 6), round(y_m + dy * half_m, 6)) for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1)))
