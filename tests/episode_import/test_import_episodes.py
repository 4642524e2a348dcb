"""Recordings are ingested whole, or every loss is named."""

import json

import pyarrow.parquet as pq
import pytest

from blueprint_pipeline.episode.errors import NothingAudited
from blueprint_pipeline.episode_import.import_episodes import IMPORT_EPISODES, EpisodesLost, ImportRequest
from blueprint_pipeline.workspace.checksums import digest_file
from tests.quality import synthetic, synthetic_scene

REQUEST = ImportRequest(scene_id="kitchen")


@pytest.fixture
def root(tmp_path):
    """Three recordings in two shards: two sound ones and a failed attempt."""
    root = tmp_path / "scene"
    episodes = [synthetic.build_episode(0), synthetic.build_episode(1), synthetic.failed_attempt(2, shard_index=1)]
    synthetic_scene.write_plan(root, synthetic.build_plan([episode.spec for episode in episodes]))
    for episode in episodes:
        synthetic_scene.write_episode(root, episode)
    return root


@pytest.fixture
def context(root):
    return synthetic_scene.context_at(root)


def read(context, name):
    return json.loads((context.staging / "geniesim" / name).read_bytes())


def folder(root, index=1):
    return root / f"geniesim/recordings/shard_0000/ep_{index:06d}"


def test_a_whole_job_is_taken_in_and_accounted_for(root, context):
    result = IMPORT_EPISODES.run(REQUEST, context)
    assert (result.planned, result.recorded, result.succeeded, result.failed_attempts) == (3, 3, 2, 1)
    job, manifest = read(context, "job.json"), read(context, "import_manifest.json")
    assert (job["status"], job["job_metrics"]["quality_pass_rate"]) == ("completed", pytest.approx(2 / 3))
    assert job["job_metrics"]["duration_seconds"] == pytest.approx(2 * 250 / 30)
    assert manifest["schema_version"] == "1.2"
    assert manifest["episodes"] == {"downloaded": 3, "passed_validation": 2, "filtered": 1, "download_errors": 0}
    assert manifest["validation"]["episodes"]["filtered_episode_ids"] == ["ep_000002"]
    assert manifest["verification"]["checksums"]["success"]
    assert manifest["loss_ledger"] == []


def test_checksums_are_of_what_is_on_disk(root, context):
    IMPORT_EPISODES.run(REQUEST, context)
    synthetic_scene.promote(context)
    checksums = json.loads((root / "geniesim/checksums.json").read_bytes())
    on_disk = {path.relative_to(root / "geniesim").as_posix() for path in (root / "geniesim").rglob("*") if path.is_file()}
    assert set(checksums["files"]) == on_disk - {"checksums.json"}
    for name, digest in checksums["files"].items():
        assert digest_file(root / "geniesim" / name).model_dump() == digest


def test_taking_in_twice_gives_the_same_bytes(root, context):
    def bytes_of_run():
        IMPORT_EPISODES.run(REQUEST, context)
        return {path.name: path.read_bytes() for path in (context.staging / "geniesim").iterdir()}

    assert bytes_of_run() == bytes_of_run()


def remove_folder(root):
    for path in folder(root).iterdir():
        path.unlink()


def remove_states(root):
    (folder(root) / "states.parquet").unlink()


def flip_a_byte(root):
    path = folder(root) / "states.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def cut(root):
    path = folder(root) / "states.parquet"
    path.write_bytes(path.read_bytes()[:-10])


def break_json(root):
    (folder(root) / "episode.json").write_text("{")


def drop_a_column(root):
    path = folder(root) / "states.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["qvel"]), path)
    edit_record(root, states=digest_file(path).model_dump())


def edit_record(root, **edits):
    path = folder(root) / "episode.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | edits))


def add_a_stranger(root):
    synthetic_scene.write_episode(root, synthetic.build_episode(7))


@pytest.mark.parametrize(
    ("damage", "kind", "told"),
    [
        (remove_folder, "missing", "ep_000001: geniesim/recordings/shard_0000/ep_000001/episode.json is missing"),
        (remove_states, "missing", "ep_000001: states.parquet is missing"),
        (flip_a_byte, "digest_mismatch", "ep_000001: states.parquet has sha256"),
        (cut, "size_mismatch", "ep_000001: states.parquet has"),
        (break_json, "unreadable", "ep_000001"),
        (drop_a_column, "invalid_schema", "qvel"),
        (lambda root: edit_record(root, job_id="job-000000000000"), "not_planned", "expected"),
        (lambda root: edit_record(root, spec=synthetic.build_spec(1).model_copy(update={"seed": 9}).model_dump()), "not_planned", "spec"),
        (lambda root: edit_record(root, states=None), "invalid_schema", "no states are recorded"),
        (add_a_stranger, "not_planned", "ep_000007 is not in the plan"),
    ],
)
def test_a_lost_episode_is_an_error_with_evidence(root, context, damage, kind, told):
    damage(root)
    with pytest.raises(EpisodesLost, match=r"1 episodes of scene kitchen are missing, damaged or unplanned \(3 were planned\)") as caught:
        IMPORT_EPISODES.run(REQUEST, context)
    assert told in str(caught.value)
    ledger = read(context, "import_manifest.json")["loss_ledger"]
    assert [loss["error"] for loss in ledger] == [kind]
    assert read(context, "job.json")["status"] == "failed"
    assert not (context.staging / "geniesim/checksums.json").exists()


def test_a_job_without_episodes_is_no_pass(root, context):
    synthetic_scene.write_plan(root, synthetic.build_plan([]))
    with pytest.raises(NothingAudited):
        IMPORT_EPISODES.run(REQUEST, context)
