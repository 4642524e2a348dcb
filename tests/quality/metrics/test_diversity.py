"""Diversity of sets whose diversity is known."""

import time

import numpy as np
import pytest

from blueprint_pipeline.quality.metrics.diversity import (
    MAX_COMPARED,
    evenly_spaced,
    initial_state_coverage,
    near_duplicate_share,
    path_distances_m,
    path_diversity,
    resample_path,
    vendi_score,
)


def test_vendi_counts_equal_items_once_and_different_ones_fully():
    assert vendi_score(np.ones((5, 5))) == pytest.approx(1.0)
    assert vendi_score(np.eye(5)) == pytest.approx(5.0)
    two_of_two = np.kron(np.eye(2), np.ones((2, 2)))
    assert vendi_score(two_of_two) == pytest.approx(2.0)
    assert vendi_score(np.zeros((0, 0))) is None


def test_distance_of_shifted_paths_is_the_shift():
    path = resample_path(np.linspace([0, 0, 0], [1, 0, 0], 31))
    distances = path_distances_m([path, path + np.array([0, 0.3, 0.4])])
    assert distances == pytest.approx(np.array([[0, 0.5], [0.5, 0]]), abs=1e-7)


def test_paths_far_apart_count_fully_and_copies_once():
    path = resample_path(np.linspace([0, 0, 0], [1, 0, 0], 31))
    assert path_diversity([path, path + 1.0, path - 1.0]) == pytest.approx(3.0)
    assert path_diversity([path] * 3) == pytest.approx(1.0)
    assert path_diversity([]) is None


def test_near_duplicates_are_later_copies():
    path = resample_path(np.linspace([0, 0, 0], [1, 0, 0], 31))
    assert near_duplicate_share([path, path + 1e-5, path + 0.1, path + 0.2]) == pytest.approx(0.25)
    assert near_duplicate_share([path]) is None


def test_coverage_counts_cells():
    assert initial_state_coverage(np.array([[0.001, 0.001], [0.002, 0.002], [0.1, 0.1], [0.2, 0.1]])) == 0.75
    assert initial_state_coverage(np.zeros((0, 2))) is None


def test_a_large_set_takes_neither_the_time_nor_the_memory_of_all_pairs():
    """100 000 episodes are allowed; all pairs of them would take 80 GB."""
    generator = np.random.default_rng(0)
    shape = resample_path(np.linspace([0, 0, 0], [1, 0, 0], 31), samples=16)
    different = [shape + generator.uniform(-0.5, 0.5, 3) for _ in range(9_000)]
    started_s = time.process_time()
    assert near_duplicate_share([*different, *[different[0]] * 1_000]) == pytest.approx(0.1, abs=0.001)
    assert path_diversity(different) > 100
    assert time.process_time() - started_s < 20
    assert len(evenly_spaced(different, MAX_COMPARED)) == MAX_COMPARED
