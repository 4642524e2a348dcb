"""Statistics of pixels are exact, the deviation above all."""

import numpy as np

from blueprint_pipeline.dataset.images import SAMPLED_FRAMES, count_pixels, empty_counts, image_statistics, sampled_indices


def test_statistics_of_pixels_are_numpys() -> None:
    """Mean, deviation and quantiles of levels scaled to 0 … 1 agree with numpy; the deviation is not 0."""
    images = np.random.default_rng(1).integers(10, 250, (6, 24, 32, 3), dtype=np.uint8)
    counts = empty_counts()
    for image in images:
        counts += count_pixels(image)
    found = image_statistics(counts)
    flat = images.reshape(-1, 3) / 255.0
    expected = {"min": flat.min(0), "max": flat.max(0), "mean": flat.mean(0), "std": flat.std(0), "q01": np.quantile(flat, 0.01, axis=0)}
    for name, values in expected.items():
        assert np.shape(found[name]) == (3, 1, 1)
        np.testing.assert_allclose(np.ravel(found[name]), values, atol=1e-12)
    assert found["count"] == [6]
    assert list(found) == ["min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"]


def test_frames_are_sampled_evenly() -> None:
    """A short episode is counted whole, a long one in evenly spread frames, ends included; always the same ones."""
    assert sampled_indices(7) == set(range(7))
    long = sorted(sampled_indices(1000))
    assert len(long) == SAMPLED_FRAMES
    assert (long[0], long[-1]) == (0, 999)
    assert max(np.diff(long)) <= 11
