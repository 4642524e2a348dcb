"""Tests of replay: what was recorded comes out again, bit by bit, or the episode is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from blueprint_pipeline.episode.states import SCHEMA
from blueprint_pipeline.render.replay import ReplayVerdict, replay_episode
from blueprint_pipeline.workspace.checksums import digest_file
from tests.render.recorded import FRAMES, Recorded, record_lift


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Recorded:
    return record_lift(tmp_path_factory.mktemp("recorded"))


def judge(recorded: Recorded) -> ReplayVerdict:
    simulator, loaded = recorded.load()
    return replay_episode(simulator, loaded, recorded.record, recorded.states)


def tamper(recorded: Recorded, folder: Path, column: str, change) -> Recorded:
    """A copy whose column was changed, with the record telling the new digest: only a replay can notice."""
    table = pq.read_table(recorded.states)
    values = np.stack([np.array(row, dtype=np.float64) for row in table[column].to_pylist()])
    values = change(values)
    index = table.column_names.index(column)
    table = table.set_column(index, SCHEMA.field(column), pa.array(values.tolist(), pa.list_(pa.float64())))
    path = folder / "states.parquet"
    pq.write_table(table, path)
    return replace(recorded, states=path, record=recorded.record.model_copy(update={"states": digest_file(path)}))


def test_recorded_episode_replays(recorded) -> None:
    """In a simulator of its own, every row is the same."""
    verdict = judge(recorded)
    assert verdict.replayed
    assert (verdict.first_difference_frame, verdict.max_abs_qpos_difference, verdict.refusal) == (None, 0.0, None)


def test_recording_twice_gives_the_same_bytes(recorded, tmp_path) -> None:
    """``states.parquet`` of the same motion has the same sha256."""
    assert record_lift(tmp_path).record.states == recorded.record.states


def test_every_frame_is_shown_while_it_stands(recorded) -> None:
    """The watcher sees frames 0 to T - 1, in order."""
    seen: list[int] = []
    simulator, loaded = recorded.load()
    replay_episode(simulator, loaded, recorded.record, recorded.states, watch=seen.append)
    assert seen == list(range(FRAMES))


def test_states_of_lower_precision_do_not_replay(recorded, tmp_path) -> None:
    """Rounding the recorded qpos to float32 is found at once."""
    verdict = judge(tamper(recorded, tmp_path, "qpos", lambda values: values.astype(np.float32).astype(np.float64)))
    assert not verdict.replayed
    assert verdict.first_difference_frame == 0
    assert 0 < verdict.max_abs_qpos_difference < 1e-6


def test_changed_setpoints_do_not_replay(recorded, tmp_path) -> None:
    """A millionth of a radian in one setpoint is found in the next row, and watching ends there."""

    def nudge(values: np.ndarray) -> np.ndarray:
        values[20, 0] += 1e-6
        return values

    changed = tamper(recorded, tmp_path, "ctrl", nudge)
    seen: list[int] = []
    simulator, loaded = changed.load()
    verdict = replay_episode(simulator, loaded, changed.record, changed.states, watch=seen.append)
    assert (verdict.replayed, verdict.first_difference_frame) == (False, 21)
    assert seen[-1] == 20
    assert verdict.refusal is not None
    assert verdict.refusal.code == "episode.not_replayed"


def test_changed_file_is_refused_unread(recorded, tmp_path) -> None:
    """Bytes other than those recorded are not executed at all."""
    path = tmp_path / "states.parquet"
    path.write_bytes(recorded.states.read_bytes() + b" ")
    verdict = judge(replace(recorded, states=path))
    assert (verdict.replayed, verdict.refusal.code) == (False, "workspace.file_changed")
    missing = judge(replace(recorded, states=tmp_path / "none.parquet"))
    assert (missing.replayed, missing.refusal.code) == (False, "workspace.file_changed")


def test_other_model_is_refused(recorded, tmp_path) -> None:
    """A heavier block, and the episode is not of this scene any more."""
    changed = tmp_path / "scene/mjcf/scene.xml"
    changed.parent.mkdir(parents=True)
    changed.write_text((recorded.scene / "mjcf/scene.xml").read_text().replace('mass="0.1"', 'mass="0.11"'))
    verdict = judge(replace(recorded, scene=tmp_path / "scene"))
    assert (verdict.replayed, verdict.refusal.code) == (False, "episode.not_replayed")
    assert "model" in verdict.refusal.message


def test_episode_without_states_is_refused(recorded) -> None:
    """Nothing moved, nothing replays."""
    verdict = judge(replace(recorded, record=recorded.record.model_copy(update={"states": None})))
    assert (verdict.replayed, verdict.refusal.code) == (False, "episode.nothing_moved")


def test_unreadable_states_are_refused(recorded, tmp_path) -> None:
    """A file that is no Parquet, though its digest was recorded."""
    path = tmp_path / "states.parquet"
    path.write_bytes(b"not parquet")
    broken = replace(recorded, states=path, record=recorded.record.model_copy(update={"states": digest_file(path)}))
    assert judge(broken).refusal.code == "episode.states_unreadable"
