"""How sure a share of successes is."""

import math

_CONFIDENT = 1.959964
"""Standard deviations of a 95 % interval."""


def wilson(held: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    share, square = held / of, _CONFIDENT**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = _CONFIDENT * math.sqrt(share * (1 - share) / of + square / (4 * of**2)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)
