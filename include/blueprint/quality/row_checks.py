"""Check millions of rows of a dataset at once: numbers, limits, clock and order, velocity and jerk within each episode.

Rows are worked off in blocks that fit the processor's cache, in the rows' own precision; episodes are told apart by a mask of
their first rows, never by grouping. Findings are counted, and located only where there are some.
"""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

_BLOCK_ROWS = 4800
_JERK_ROWS = 3
"""A third difference reaches this many rows back."""

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]


class RowLimits(BaseModel):
    """What rows must keep to; joint limits in the columns' order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: float
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    max_velocity: float
    """Largest change of any column a second."""
    max_jerk: float
    """Largest third difference of any column times fps^3."""
    timestamp_tolerance_s: float = 1e-4
    """LeRobot's loader refuses more."""


class RowFinding(BaseModel):
    """One kind of fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    rows: int
    """How many rows have it."""
    first_row: int


class _Tally:
    """Counts faults by check, and keeps the first row of each."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def add(self, check: str, faulty: npt.NDArray[np.bool_], offset: int) -> None:
        count = int(np.count_nonzero(faulty))
        if count:
            self._first.setdefault(check, offset + int(faulty.argmax()))
            self._rows[check] = self._rows.get(check, 0) + count

    def findings(self) -> list[RowFinding]:
        return [RowFinding(check=check, rows=rows, first_row=self._first[check]) for check, rows in sorted(self._rows.items())]


def check_rows(episode_index: Integers, frame_index: Integers, timestamp_s: Floats, values: Floats, limits: RowLimits) -> list[RowFinding]:
    """Findings over the rows of a dataset; empty where all is right.

    Args:
        episode_index: Shape (n,), rows of an episode together.
        frame_index: Shape (n,), 0, 1, 2... within each episode.
        timestamp_s: Shape (n,), ``frame_index / fps``.
        values: Shape (n, d), e.g. joint positions [rad].
        limits: What the rows must keep to.

    Raises:
        ValueError: Shapes do not fit together, or there is no row: nothing was checked.
    """
    if not len(values) or values.shape != (len(episode_index), len(limits.lower)) or len(limits.lower) != len(limits.upper):
        raise ValueError(f"values have shape {values.shape}, expected ({len(episode_index)}, {len(limits.lower)}) with at least one row")
    starts = np.empty(len(episode_index), dtype=bool)
    starts[0] = True
    np.not_equal(episode_index[1:], episode_index[:-1], out=starts[1:])
    tally = _Tally()
    _check_clock(starts, frame_index, timestamp_s, limits, tally)
    for begin in range(0, len(values), _BLOCK_ROWS):
        back = max(begin - _JERK_ROWS, 0)
        columns = np.ascontiguousarray(values[back : begin + _BLOCK_ROWS].T)
        with np.errstate(invalid="ignore"):
            _check_numbers(columns[:, begin - back :], begin, limits, tally)
            _check_motion(columns, starts[back : begin + _BLOCK_ROWS], (begin, back), limits, tally)
    return tally.findings()


def _check_numbers(columns: Floats, begin: int, limits: RowLimits, tally: _Tally) -> None:
    lower, upper = (np.asarray(ends, dtype=columns.dtype)[:, None] for ends in (limits.lower, limits.upper))
    low, high = columns.min(axis=1, keepdims=True), columns.max(axis=1, keepdims=True)
    if not (np.isfinite(low) & np.isfinite(high)).all():
        tally.add("finite", _in_any(~np.isfinite(columns)), begin)
    if not ((low >= lower) & (high <= upper)).all():
        tally.add("limits", _in_any((columns < lower) | (columns > upper)), begin)


def _check_clock(starts: npt.NDArray[np.bool_], frame_index: Integers, timestamp_s: Floats, limits: RowLimits, tally: _Tally) -> None:
    steps = np.empty_like(frame_index)
    steps[0] = frame_index[0]
    np.subtract(frame_index[1:], frame_index[:-1], out=steps[1:])
    steps -= 1
    steps[starts] = frame_index[starts]
    tally.add("frame_index", steps != 0, 0)
    error_s = np.abs(timestamp_s - frame_index / limits.fps)
    tally.add("timestamp", ~(error_s <= limits.timestamp_tolerance_s), 0)


def _check_motion(columns: Floats, starts: npt.NDArray[np.bool_], rows: tuple[int, int], limits: RowLimits, tally: _Tally) -> None:
    """First and third differences within episodes; a difference that reaches over an episode's start is none.

    Args:
        columns: Shape (d, m): a block's rows, and before them those that its third differences reach back to.
        starts: Shape (m,): first rows of episodes.
        rows: The block's first own row, and the first row of ``columns``.
        limits: What the rows must keep to.
        tally: Takes what is found.
    """
    begin, back = rows
    first = columns[:, 1:] - columns[:, :-1]  # the difference that ends at row r stands at r - back - 1
    resets = np.flatnonzero(starts[1:])
    first[:, resets] = 0
    most = limits.max_velocity / limits.fps
    if not max(first.max(initial=0), -first.min(initial=0)) <= most:
        own = max(begin - back - 1, 0)
        tally.add("velocity", _in_any(np.abs(first[:, own:]) > most), back + own + 1)
    second = first[:, 1:] - first[:, :-1]
    third = second[:, 1:] - second[:, :-1]  # the one that ends at row r stands at r - back - 3
    for reach in range(_JERK_ROWS):
        places = resets + 1 + reach - _JERK_ROWS
        third[:, places[(places >= 0) & (places < third.shape[1])]] = 0
    most = limits.max_jerk / limits.fps**3
    if not max(third.max(initial=0), -third.min(initial=0)) <= most:
        own = max(begin - back - _JERK_ROWS, 0)
        tally.add("jerk", _in_any(np.abs(third[:, own:]) > most), back + own + _JERK_ROWS)


def _in_any(faulty: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return np.asarray(faulty.any(axis=0), dtype=np.bool_)
