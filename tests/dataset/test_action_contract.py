"""The lag between action and state is measured, and what is said of it is what was measured."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprint_pipeline.dataset.action_contract import CONTRACT, LAGS, ActionContract, LagMeter, describe_lag, lag_differences
from blueprint_pipeline.dataset.features import ACTION, STATE, build_vector_features
from blueprint_pipeline.dataset.frames import EpisodeFrames, PhaseRun
from tests.dataset.conftest import ARMS

VECTORS = build_vector_features(ARMS, (), (), ())


def episode(arm_lag: int, gripper_lag: int, *, frames: int = 200, seed: int = 0) -> EpisodeFrames:
    """Smooth actions that the arm and the gripper each follow so many frames later, exactly."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0, 0.02, (frames + LAGS, 8)), axis=0).astype(np.float32)
    action = path[LAGS:]
    state = np.hstack([path[LAGS - arm_lag :][:frames, :7], path[LAGS - gripper_lag :][:frames, 7:]])
    return EpisodeFrames("ep_0000", "put it", {STATE: state, ACTION: action}, (PhaseRun("move", len(state)),), success=True)


@given(arm=st.integers(0, LAGS - 1), gripper=st.integers(0, LAGS - 1), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_lag_is_found(arm: int, gripper: int, seed: int) -> None:
    """Arm and gripper apart; at the lag itself nothing is left."""
    meter = LagMeter(VECTORS)
    for number in range(3):
        meter.add(episode(arm, gripper, seed=seed + number))
    found = meter.contract(30)
    assert found is not None
    assert [(part.name, part.lag_frames) for part in found.parts] == [("single_arm", arm), ("gripper", gripper)]
    assert found.parts[0].differences[arm].max_abs == 0.0
    assert found.episodes == 3


def test_every_lag_is_measured_over_the_same_frames() -> None:
    """One value that is off counts at the lags that meet it, with its size."""
    state, action = np.zeros((20, 8), np.float32), np.zeros((20, 8), np.float32)
    action[5, 2] = 1.0
    sums, largest = lag_differences(state, action)
    np.testing.assert_array_equal(sums[:, 2], np.ones(LAGS))
    np.testing.assert_array_equal(largest[:, 2], np.ones(LAGS))


def test_short_episodes_measure_nothing() -> None:
    """An absent figure is absent, and said to be."""
    meter = LagMeter(VECTORS)
    meter.add(episode(1, 1, frames=LAGS - 1))
    assert meter.contract(30) is None
    assert "No episode was long enough" in describe_lag(None)


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_a_dataset_brings_its_contract(dataset: Path, version: str) -> None:
    """The figures are those of the data files, by a lab's own few lines."""
    found = ActionContract.model_validate(json.loads((dataset / version / CONTRACT).read_text()))
    away = []
    for path in sorted((dataset / "v2.1/data").glob("*/*.parquet")):
        table = pq.read_table(path)
        state, action = (np.array(table.column(key).to_pylist())[:, :7] for key in (STATE, ACTION))
        compared = len(state) - LAGS + 1
        away.append(np.abs(action[:compared] - state[2 : compared + 2]))
    assert found.parts[0].differences[2].mean_abs == pytest.approx(np.concatenate(away).mean(), rel=1e-6)
    assert found.parts[0].columns[0].endswith(".pos_rad")
    assert found.parts[1].columns[0].endswith(".width_m")
    assert found.rate_hz == 30


def test_the_sentence_has_the_figures() -> None:
    """As the card says it."""
    meter = LagMeter(VECTORS)
    meter.add(episode(2, 3))
    told = describe_lag(meter.contract(30))
    assert "`single_arm` is nearest to its action 2 frame(s) later (mean difference 0 rad" in told
    assert "`gripper` is nearest to its action 3 frame(s) later" in told
