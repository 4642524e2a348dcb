"""The ten statistics are those of numpy, in closed form, over added parts, and over written blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blueprint_pipeline.dataset.statistics import (
    QUANTILES,
    Statistics,
    compute_statistics,
    constant_statistics,
    count_quantiles,
    exact_quantiles,
    float_keys,
    keys_to_floats,
    ramp_statistics,
)

SHARES = list(QUANTILES.values())
floats = st.floats(-1e6, 1e6, width=32)
matrices = hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 60)), elements=floats)


def assert_equals_numpy(found: Statistics, values: np.ndarray) -> None:
    wide = values.astype(np.float64)
    np.testing.assert_array_equal(found.moments.low, wide.min(axis=1))
    np.testing.assert_array_equal(found.moments.high, wide.max(axis=1))
    np.testing.assert_allclose(found.moments.mean, wide.mean(axis=1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.moments.std, wide.std(axis=1), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.quantiles, np.quantile(wide, SHARES, axis=1), rtol=1e-9, atol=1e-9)


@given(matrices)
def test_statistics_of_an_episode_are_numpys(values: np.ndarray) -> None:
    """Minimum, maximum, mean, deviation and interpolated quantiles agree with numpy in float64."""
    assert_equals_numpy(compute_statistics(values), values)


@given(st.integers(-5, 50), st.integers(1, 300))
def test_a_ramp_needs_no_values(first: int, count: int) -> None:
    """The closed form of a counting column equals the statistics of its values."""
    assert_equals_numpy(ramp_statistics(first, count), np.arange(first, first + count, dtype=np.float32)[None])


def test_a_constant_needs_no_values() -> None:
    """The closed form of a constant column equals the statistics of its values."""
    assert_equals_numpy(constant_statistics(7, 20), np.full((1, 20), 7, dtype=np.float32))


@given(matrices, st.integers(1, 59))
def test_moments_add_up(values: np.ndarray, cut: int) -> None:
    """Moments of two parts added are those of the whole."""
    if cut >= values.shape[1]:
        cut = values.shape[1] // 2
    if cut == 0:
        return
    total = compute_statistics(values[:, :cut]).moments + compute_statistics(values[:, cut:]).moments
    whole = compute_statistics(values).moments
    assert total.count == whole.count
    np.testing.assert_allclose(total.mean, whole.mean, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(total.std, whole.std, rtol=1e-5, atol=1e-5)


@given(hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_keys_keep_the_order_of_floats(values: np.ndarray) -> None:
    """Sorting keys sorts the values, and each key gives its value back."""
    keys = float_keys(values)
    np.testing.assert_array_equal(keys_to_floats(keys), values.astype(np.float64))
    np.testing.assert_array_equal(keys_to_floats(np.sort(keys)), np.sort(values).astype(np.float64))


@given(matrices, st.integers(1, 20))
def test_quantiles_over_blocks_are_exact(values: np.ndarray, block: int) -> None:
    """Counting in two passes over blocks gives numpy's quantiles of the whole, not an average of the blocks' own."""
    keys = float_keys(values)
    found = exact_quantiles(
        lambda: (keys[:, first : first + block] for first in range(0, keys.shape[1], block)), keys.shape[0], keys.shape[1], keys_to_floats
    )
    np.testing.assert_allclose(found, np.quantile(values.astype(np.float64), SHARES, axis=1), rtol=1e-9, atol=1e-9)


def test_quantiles_of_a_histogram() -> None:
    """Quantiles of counted levels equal those of the values."""
    values = np.random.default_rng(0).integers(0, 256, (3, 1000))
    counts = np.stack([np.bincount(row, minlength=256) for row in values])
    np.testing.assert_allclose(count_quantiles(counts), np.quantile(values, SHARES, axis=1))


@pytest.mark.parametrize("integer", [True, False])
def test_lists_have_ten_statistics(integer: bool) -> None:
    """Whole-number columns have whole minima and maxima, as LeRobot stores them."""
    plain = ramp_statistics(0, 11).as_lists(integer=integer)
    assert list(plain) == ["min", "max", "mean", "std", "count", *QUANTILES]
    assert plain["max"] == [10]
    assert isinstance(plain["max"][0], int) is integer
    assert plain["count"] == [11]
