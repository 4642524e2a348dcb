"""What tests of replays share."""

import pytest

from blueprint_pipeline.episode.record import EpisodeRecord, recording_path
from blueprint_pipeline.rollout.shard import simulate_shard
from tests.simulation.small_job import small_context, small_folder, write_job


@pytest.fixture(scope="module")
def one_episode(tmp_path_factory):
    """One simulated episode: its scene, plan, record and states."""
    folder = tmp_path_factory.mktemp("job")
    plan = write_job(folder, 1)
    simulate_shard(0, small_context(folder))
    recording = small_folder(folder).local(recording_path(0, plan.episodes[0].episode_id))
    record = EpisodeRecord.model_validate_json((recording / "episode.json").read_bytes())
    assert record.outcome.success
    return small_folder(folder).local("mjcf").parent, plan, record, recording / "states.parquet"
