"""Both datasets are complete, agree with each other, roll over, and are the same when written again."""

import json
import re
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.dataset.features import STEP_COLUMNS
from blueprint_pipeline.dataset.frames import EpisodeFrames, PhaseRun
from blueprint_pipeline.dataset.read import check_dataset
from blueprint_pipeline.dataset.readback import WrittenDataDiffer, episode_statistics, read_pixels, row_groups
from blueprint_pipeline.dataset.tables import Position
from blueprint_pipeline.dataset.video import decode_frames
from blueprint_pipeline.dataset.writer import DatasetWriter
from blueprint_pipeline.workspace.checksums import digest_files, list_files
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.dataset.conftest import FPS, INSTRUCTIONS, PHASES, VECTORS, build_dataset, dataset_spec, load_json

LENGTHS = [40, 43, 46, 49, 52, 55]


def test_one_row_group_an_episode(dataset: Path) -> None:
    """Rows of v3.0 stand in one row group an episode, in order, vectors as fixed-size lists of float32."""
    file = pq.ParquetFile(dataset / "v3.0/data/chunk-000/file-000.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == LENGTHS
    assert str(file.schema_arrow.field("observation.state").type).startswith("fixed_size_list<element: float")
    assert file.read_row_group(3).column("episode_index").unique().to_pylist() == [3]


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_every_release_of_datasets_knows_the_features(dataset: Path, version: str) -> None:
    """``Value`` and ``Sequence`` are read by datasets 2 to 4; ``List`` is unknown before 4.0, which openpi and lerobot 0.3.3 forbid."""
    for path in (dataset / version / "data").glob("*/*.parquet"):
        text = pq.read_schema(path).metadata[b"huggingface"].decode()
        assert set(re.findall(r'"_type": "(\w+)"', text)) == {"Value", "Sequence"}


def test_tasks_have_pandas_index(dataset: Path) -> None:
    """Tasks are read by pandas as lerobot writes them: instruction as index, task_index as column."""
    tasks = pd.read_parquet(dataset / "v3.0/meta/tasks.parquet")
    assert list(tasks.index) == list(INSTRUCTIONS)
    assert tasks.columns.tolist() == ["task_index"]
    assert tasks.loc[INSTRUCTIONS[1]].task_index == 1


def test_episodes_point_at_their_frames(dataset: Path) -> None:
    """Windows of the videos follow each other without gap, and statistics stand beside them."""
    rows = pq.read_table(dataset / "v3.0/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    ends = np.cumsum(LENGTHS)
    assert [row["dataset_to_index"] for row in rows] == ends.tolist()
    key = "observation.images.wrist"
    assert [row[f"videos/{key}/to_timestamp"] for row in rows] == [end / FPS for end in ends]
    assert rows[2]["tasks"] == [INSTRUCTIONS[0]]
    assert np.shape(rows[1][f"stats/{key}/std"]) == (3, 1, 1)
    assert rows[1]["stats/frame_index/max"] == [LENGTHS[1] - 1]


def test_statistics_are_those_of_the_written_values(dataset: Path) -> None:
    """stats.json agrees with numpy over all rows that are in the files, quantiles too, and over all pixels."""
    table = pq.read_table(dataset / "v3.0/data/chunk-000/file-000.parquet")
    stats = load_json(dataset / "v3.0/meta/stats.json")
    for key in (
        "observation.state",
        "action",
        "observation.object_poses",
        "timestamp",
        "index",
        "frame_index",
        "task_index",
        *STEP_COLUMNS,
    ):
        values = np.array(table.column(key).to_pylist(), dtype=np.float64).reshape(table.num_rows, -1)
        np.testing.assert_allclose(stats[key]["mean"], values.mean(0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(stats[key]["std"], values.std(0), rtol=1e-7)
        np.testing.assert_allclose(stats[key]["q01"], np.quantile(values, 0.01, axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(stats[key]["q90"], np.quantile(values, 0.9, axis=0), rtol=1e-9, atol=1e-12)
    frames = [image for _, image in decode_frames(dataset / "v3.0/videos/observation.images.scene/chunk-000/file-000.mp4")]
    pixels = np.stack(frames).reshape(-1, 3) / 255.0
    np.testing.assert_allclose(np.ravel(stats["observation.images.scene"]["std"]), pixels.std(0), rtol=1e-9)
    assert stats["observation.images.scene"]["count"] == [sum(LENGTHS)]


def test_what_happens_in_a_frame_stands_in_its_row(dataset: Path) -> None:
    """Phase, end and success have LeRobot's names and types, and pandas reads the phases' names as lerobot does."""
    table = pq.read_table(dataset / "v3.0/data/chunk-000/file-000.parquet")
    subtasks = pd.read_parquet(dataset / "v3.0/meta/subtasks.parquet")
    assert (list(subtasks.index), subtasks.columns.tolist()) == (list(PHASES), ["subtask_index"])
    ends = np.cumsum(LENGTHS) - 1
    assert np.flatnonzero(table.column("next.done").to_numpy()).tolist() == ends.tolist()
    first = [PHASES[number] for number in table.column("subtask_index").to_pylist()[: LENGTHS[0]]]
    assert first == [PHASES[0]] * 20 + [PHASES[1]] * 20
    for version in ("v3.0", "v2.1"):
        features = load_json(dataset / version / "meta/info.json")["features"]
        assert {name: features[name] for name in STEP_COLUMNS} == {
            "subtask_index": {"dtype": "int64", "shape": [1], "names": None},
            "next.done": {"dtype": "bool", "shape": [1], "names": None},
            "next.success": {"dtype": "bool", "shape": [1], "names": None},
        }


def test_an_episode_that_fails_ends_without_success(tmp_path: Path) -> None:
    """Its end is an end all the same."""
    writer = DatasetWriter(tmp_path, dataset_spec())
    writer.add(replace(frames_of(30, 0), success=False), {}, {})
    writer.close()
    table = pq.read_table(tmp_path / "v3.0/data/chunk-000/file-000.parquet")
    assert table.column("next.done").to_pylist()[-1] is True
    assert not any(table.column("next.success").to_pylist())


def test_twin_has_the_same_rows_and_the_rendered_videos(dataset: Path, scene_with_episodes: SceneFolder) -> None:
    """Each v2.1 file holds its episode's rows of v3.0 and one column for GR00T; its videos are the rendered files."""
    whole = pq.read_table(dataset / "v3.0/data/chunk-000/file-000.parquet")
    start = 0
    for index, length in enumerate(LENGTHS):
        own = pq.read_table(dataset / f"v2.1/data/chunk-000/episode_{index:06d}.parquet")
        assert own.select(whole.column_names).to_pylist() == whole.slice(start, length).to_pylist()
        assert own.column("annotation.human.action.task_description").to_pylist() == own.column("task_index").to_pylist()
        start += length
    rendered = Path(scene_with_episodes.root.path) / "geniesim/renders/shard_0001/ep_0004/wrist.mp4"
    assert (dataset / "v2.1/videos/chunk-000/observation.images.wrist/episode_000004.mp4").read_bytes() == rendered.read_bytes()
    assert [json.loads(line)["length"] for line in (dataset / "v2.1/meta/episodes.jsonl").read_text().splitlines()] == LENGTHS


def test_modality_covers_the_vectors(dataset: Path) -> None:
    """GR00T finds the arm and the gripper in the state."""
    modality = load_json(dataset / "v2.1/meta/modality.json")
    assert modality["state"] == {"single_arm": {"start": 0, "end": 7}, "gripper": {"start": 7, "end": 8}}
    assert modality["video"] == {name: {"original_key": f"observation.images.{name}"} for name in ("scene", "wrist")}


def test_written_again_it_is_the_same(dataset: Path, scene_with_episodes: SceneFolder, tmp_path: Path) -> None:
    """Two datasets of the same episodes are equal byte by byte, and leave no unfinished file."""
    build_dataset(scene_with_episodes, tmp_path)
    assert digest_files(tmp_path, list_files(tmp_path)) == digest_files(dataset, list_files(dataset))
    assert not [name for name in list_files(tmp_path) if name.endswith(".part")]


@pytest.mark.parametrize("limit", ["data_file_bytes", "video_file_bytes"])
def test_data_and_videos_roll_over_together(scene_with_episodes: SceneFolder, tmp_path: Path, limit: str) -> None:
    """Where either is full, both go on in the next file; no episode spans two, and the dataset is sound."""
    whole = 2_100 * 37 * 4 if limit == "data_file_bytes" else 700_000
    build_dataset(scene_with_episodes, tmp_path, **{limit: whole // (20 if limit == "data_file_bytes" else 2)})
    rows = pq.read_table(tmp_path / "v3.0/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    files = [row["data/file_index"] for row in rows]
    assert files == [row["videos/observation.images.scene/file_index"] for row in rows]
    assert files[0] == 0
    assert files[-1] >= 2
    assert {path.name for path in (tmp_path / "v3.0/data/chunk-000").iterdir()} == {
        f"file-{number:03d}.parquet" for number in range(files[-1] + 1)
    }
    assert check_dataset(tmp_path / "v3.0") == []
    one_file = build_dataset(scene_with_episodes, tmp_path / "one")
    assert one_file.frames == sum(LENGTHS)
    assert (tmp_path / "v3.0/meta/stats.json").read_text() == (tmp_path / "one/v3.0/meta/stats.json").read_text()


def test_wrong_rows_are_found_when_read_back(dataset: Path) -> None:
    """Reading back an episode at a wrong place is an error, not a statistic."""
    rows = list(row_groups(pq.ParquetFile(dataset / "v3.0/data/chunk-000/file-000.parquet")))
    assert [table.num_rows for table in rows] == LENGTHS
    with pytest.raises(WrittenDataDiffer, match="episode_index"):
        episode_statistics(rows[1], position=Position(5, LENGTHS[0], 1, (0,)), length=LENGTHS[1], fps=FPS, vectors=VECTORS)


@pytest.mark.parametrize("lengths", [LENGTHS[:-1], [*LENGTHS, 3]])
def test_lost_or_surplus_frames_are_found_when_read_back(dataset: Path, lengths: list[int]) -> None:
    """A video file with other frames than its episodes is an error."""
    with pytest.raises(WrittenDataDiffer, match="decoded frames"):
        list(read_pixels(dataset / "v3.0/videos/observation.images.scene/chunk-000/file-000.mp4", lengths))


def frames_of(length: int, seed: int) -> EpisodeFrames:
    rng = np.random.default_rng(seed)
    vectors = {feature.key: rng.normal(size=(length, feature.size)).astype(np.float32) for feature in VECTORS}
    return EpisodeFrames(f"ep_{seed}", INSTRUCTIONS[seed % 2], vectors, (PhaseRun("approach", length),), success=True)


def test_a_dataset_without_cameras(tmp_path: Path) -> None:
    """State-only datasets have no video path."""
    writer = DatasetWriter(tmp_path, dataset_spec())
    for seed in range(3):
        writer.add(frames_of(30, seed), {}, {})
    assert writer.close().frames == 90
    assert load_json(tmp_path / "v3.0/meta/info.json")["video_path"] is None
    assert check_dataset(tmp_path / "v3.0") == []
    assert check_dataset(tmp_path / "v2.1") == []


@pytest.mark.parametrize(("episodes", "splits"), [(9, {"train": "0:9"}), (10, {"train": "0:9", "val": "9:10"})])
def test_the_last_tenth_is_for_validation(tmp_path: Path, episodes: int, splits: dict[str, str]) -> None:
    """Both formats declare the same split, by episode; statistics are those of all frames."""
    writer = DatasetWriter(tmp_path, dataset_spec())
    for seed in range(episodes):
        writer.add(frames_of(12, seed), {}, {})
    writer.close()
    for version in ("v3.0", "v2.1"):
        assert load_json(tmp_path / version / "meta/info.json")["splits"] == splits
        assert load_json(tmp_path / version / "meta/stats.json")["action"]["count"] == [12 * episodes]
        assert check_dataset(tmp_path / version) == []


def test_an_episode_with_other_columns_is_refused(tmp_path: Path) -> None:
    """A missing vector is named before anything is written of the episode."""
    writer = DatasetWriter(tmp_path, dataset_spec())
    frames = frames_of(30, 0)
    del frames.vectors["action"]
    with pytest.raises(EpisodeUnusable, match="action is absent"):
        writer.add(frames, {}, {})


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_episodes(tmp_path: Path) -> None:
    """3,000 episodes in small files take hardly more memory than 300."""
    spec = dataset_spec(data_file_bytes=4_000_000)

    def write(name: str, episodes: int) -> int:
        writer = DatasetWriter(tmp_path / name, spec, formats=())
        for seed in range(episodes):
            writer.add(frames_of(100, seed), {}, {})
        writer.close()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    few = write("few", 300)
    assert write("many", 3000) - few < 40_000  # kB
