"""Rows at scale: a sound dataset has no finding, each planted fault has its own, on any side of a block's edge."""

import numpy as np
import pytest

from blueprint.quality.row_checks import RowLimits, check_rows

FRAMES, EPISODES = 300, 70
LIMITS = RowLimits(fps=30, lower=(-2.0,) * 3, upper=(2.0,) * 3, max_velocity=3.0, max_jerk=50.0)
EDGE = 9600
"""A block begins at this row, and so does an episode."""


@pytest.fixture
def rows():
    time_s = np.tile(np.arange(FRAMES) / 30, EPISODES).astype(np.float32)
    phase = np.repeat(np.arange(EPISODES), FRAMES)[:, None] + np.arange(3)
    values = np.sin(time_s[:, None] + phase).astype(np.float32)
    return [np.repeat(np.arange(EPISODES), FRAMES), np.tile(np.arange(FRAMES), EPISODES), time_s, values]


def test_a_sound_dataset_has_no_finding(rows):
    """Jumps from one episode to the next are no movement."""
    assert check_rows(*rows, LIMITS) == []


@pytest.mark.parametrize("row", [5, EDGE - 2, EDGE + 3, EDGE + 150, 70 * 300 - 5])
@pytest.mark.parametrize(
    ("column", "change", "check"),
    [
        (3, lambda _: np.nan, "finite"),
        (3, lambda _: np.inf, "limits"),
        (3, lambda _: -2.5, "limits"),
        (3, lambda value: value + 0.2, "velocity"),
        (3, lambda value: value + 0.004, "jerk"),
        (2, lambda value: value + 0.001, "timestamp"),
        (2, lambda _: np.nan, "timestamp"),
        (1, lambda value: value + 1, "frame_index"),
    ],
)
def test_a_planted_fault_is_found_where_it_is(rows, row, column, change, check):
    target = rows[column]
    place = (row, 1) if target.ndim == 2 else row
    target[place] = change(target[place])
    found = {finding.check: finding for finding in check_rows(*rows, LIMITS)}
    assert check in found
    assert found[check].first_row == row


def test_a_value_that_is_no_number_hides_no_other_fault(rows):
    rows[3][40] = np.nan
    rows[3][60] += 0.5
    found = {finding.check: finding for finding in check_rows(*rows, LIMITS)}
    assert found["velocity"].first_row == 60
    assert found["finite"].first_row == 40


def reference(rows):
    """The same by looking at each row."""
    index, _, _, values = rows
    faults = {"velocity": [], "jerk": []}
    for row in range(1, len(values)):
        if index[row] == index[row - 1] and np.abs(values[row] - values[row - 1]).max() * 30 > LIMITS.max_velocity:
            faults["velocity"].append(row)
        if row >= 3 and index[row] == index[row - 3]:
            third = values[row] - 3 * values[row - 1] + 3 * values[row - 2] - values[row - 3]
            if np.abs(third).max() * 30**3 > LIMITS.max_jerk:
                faults["jerk"].append(row)
    return faults


def test_counts_are_those_of_a_plain_loop(rows):
    rng = np.random.default_rng(1)
    for row in rng.integers(0, len(rows[3]), 200):
        rows[3][row] += rng.normal(scale=0.2)
    expected = reference(rows)
    found = {finding.check: finding for finding in check_rows(*rows, LIMITS)}
    for check, faulty in expected.items():
        assert (found[check].rows, found[check].first_row) == (len(faulty), faulty[0])


def test_no_row_is_no_pass(rows):
    with pytest.raises(ValueError, match="at least one row"):
        check_rows(*(part[:0] for part in rows), LIMITS)
