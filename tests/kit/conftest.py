"""A replay kit of a small job that was really planned and simulated."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from blueprint_pipeline.delivery.bag import PayloadFile, write_payload
from blueprint_pipeline.delivery.kit_starts import dump_starts
from blueprint_pipeline.delivery.replay_kit import KIT_FOLDER, describe_job, list_kit_files
from blueprint_pipeline.episode.record import EpisodeRecord, recording_path
from blueprint_pipeline.kit.starts import STARTS
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.simulation.render_profiles import FAST
from blueprint_pipeline.twin.model import build_scene_model
from tests.simulation.small_job import small_context, small_folder, write_job

SKILLS = ("pick_place", "push")


@dataclass(frozen=True)
class SmallKit:
    """A kit and what it was made from."""

    folder: Path
    """Of the kit."""
    records: dict[str, EpisodeRecord]
    mjcf: Path
    """The twin."""

    def states(self, episode_id: str) -> Path:
        return self.folder / "episodes" / episode_id / "states.parquet"


@pytest.fixture(scope="session")
def small_kit(tmp_path_factory) -> SmallKit:
    """Of a job of two skills, varied; read only."""
    folder = tmp_path_factory.mktemp("small_kit")
    plan = write_job(folder, 4, SKILLS, held_out=4, variation="mild")
    simulate_shard(0, small_context(folder))
    scene = small_folder(folder)
    recordings = {spec.episode_id: scene.local(recording_path(0, spec.episode_id)) for spec in plan.episodes}
    records = {name: EpisodeRecord.model_validate_json((path / "episode.json").read_bytes()) for name, path in recordings.items()}
    assert all(record.outcome.success for record in records.values())
    job = describe_job(plan, list(records.values()), FAST)
    files = list_kit_files(scene.local("mjcf"), plan.robot, job)
    delivered = [(record, recordings[name] / "states.parquet") for name, record in records.items()]
    starts = dump_starts(delivered, plan.held_out, build_scene_model(scene.local("mjcf") / "scene.xml", plan.robot, plan.fps))
    files.append(PayloadFile(f"{KIT_FOLDER}/{STARTS}", starts))
    for name, path in recordings.items():
        files += [PayloadFile(f"{KIT_FOLDER}/episodes/{name}/{file}", path / file) for file in ("states.parquet", "episode.json")]
    write_payload(folder / "bag", files)
    return SmallKit(folder / "bag" / "data" / KIT_FOLDER, records, scene.local("mjcf"))
