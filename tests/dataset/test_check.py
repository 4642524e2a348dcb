"""A sound dataset has no findings; each kind of damage has its own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from blueprint_pipeline.dataset.errors import NotADataset
from blueprint_pipeline.dataset.read import check_dataset, describe_dataset
from tests.dataset.conftest import load_json, write_video

DATA = "data/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.scene/chunk-000/file-000.mp4"


@pytest.fixture
def v30(dataset: Path, tmp_path: Path) -> Path:
    shutil.copytree(dataset / "v3.0", tmp_path / "v3.0")
    return tmp_path / "v3.0"


@pytest.fixture
def v21(dataset: Path, tmp_path: Path) -> Path:
    shutil.copytree(dataset / "v2.1", tmp_path / "v2.1")
    return tmp_path / "v2.1"


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    value = load_json(path)
    change(value)
    path.write_text(json.dumps(value))


def edit_rows(path: Path, name: str, row: int, value: object) -> None:
    """Change one value of a parquet file, keeping its row groups."""
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(number) for number in range(file.num_row_groups)]
    column = groups[0].column(name).to_pylist()
    column[row] = value
    position, kind = groups[0].column_names.index(name), groups[0].schema.field(name)
    groups[0] = groups[0].set_column(position, kind, pa.array(column, kind.type))
    with pq.ParquetWriter(path, groups[0].schema) as writer:
        for group in groups:
            writer.write_table(group.cast(groups[0].schema))


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_a_sound_dataset_has_no_findings(dataset: Path, version: str) -> None:
    """What the writer wrote passes, and says of itself what is in it."""
    assert check_dataset(dataset / version) == []
    found = describe_dataset(dataset / version)
    assert (found.version, found.episodes, found.frames, found.fps, len(found.tasks)) == (version, 6, 285, 30, 2)
    assert found.size_bytes > 100_000


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda root: edit_json(root / "meta/info.json", lambda info: info.update(total_frames=286)), "dataset.wrong_total"),
        (lambda root: edit_json(root / "meta/info.json", lambda info: info.update(total_tasks=3)), "dataset.wrong_total"),
        (lambda root: (root / "meta/tasks.parquet").unlink(), "dataset.file_missing"),
        (lambda root: edit_json(root / "meta/stats.json", lambda stats: stats["action"].pop("q99")), "dataset.statistics_missing"),
        (
            lambda root: edit_json(root / "meta/stats.json", lambda stats: stats["action"]["q01"].__setitem__(0, 99.0)),
            "dataset.statistics_wrong",
        ),
        (
            lambda root: edit_json(root / "meta/stats.json", lambda stats: stats["observation.images.scene"].update(std=[[[0.0]]] * 3)),
            "dataset.statistics_wrong",
        ),
        (
            lambda root: edit_json(root / "meta/stats.json", lambda stats: stats["timestamp"].update(mean=[0.1, 0.2])),
            "dataset.statistics_wrong",
        ),
        (lambda root: edit_rows(root / DATA, "index", 3, 4), "dataset.rows_wrong"),
        (lambda root: edit_rows(root / DATA, "timestamp", 3, 0.15), "dataset.timestamp_wrong"),
        (lambda root: edit_rows(root / DATA, "next.done", 3, True), "dataset.rows_wrong"),
        (lambda root: edit_rows(root / DATA, "subtask_index", 3, 2), "dataset.unknown_subtask"),
        (lambda root: edit_rows(root / DATA, "subtask_index", 3, -1), "dataset.unknown_subtask"),
        (lambda root: (root / "meta/subtasks.parquet").unlink(), "dataset.unknown_subtask"),
        (lambda root: edit_json(root / "meta/info.json", lambda info: info.update(splits={"train": "0:5"})), "dataset.splits_wrong"),
        (
            lambda root: edit_json(root / "meta/info.json", lambda info: info.update(splits={"train": "0:5", "val": "4:6"})),
            "dataset.splits_wrong",
        ),
        (lambda root: edit_rows(root / DATA, "observation.state", 3, [float("nan")] * 8), "dataset.not_finite"),
        (lambda root: (root / VIDEO).unlink(), "dataset.file_missing"),
        (lambda root: write_video(root / VIDEO, 284, 0), "dataset.video_wrong"),
        (lambda root: (root / DATA).unlink(), "dataset.file_missing"),
        (lambda root: (root / DATA).write_bytes(b"PAR1 no"), "dataset.unreadable"),
    ],
)
def test_damage_is_found(v30: Path, damage: Callable[[Path], None], code: str) -> None:
    """Each kind of damage to a v3.0 dataset is found under its code, with the file's name."""
    damage(v30)
    findings = check_dataset(v30)
    assert code in {finding.code for finding in findings}
    assert all(finding.path and finding.message for finding in findings)


def test_an_episode_that_begins_without_a_keyframe_is_found(v30: Path) -> None:
    """With a longer group of pictures an odd first frame of an episode is no keyframe."""
    rows = pq.read_table(v30 / "meta/episodes/chunk-000/file-000.parquet")
    name = "videos/observation.images.scene/from_timestamp"
    times = rows.column(name).to_pylist()
    times[1] += 1 / 30
    pq.write_table(rows.set_column(rows.column_names.index(name), name, pa.array(times)), v30 / "meta/episodes/chunk-000/file-000.parquet")
    assert [finding.message for finding in check_dataset(v30)] == ["frame 41 begins an episode and is no keyframe"]


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda root: edit_json(root / "meta/modality.json", lambda m: m["state"]["gripper"].update(start=6)), "dataset.modality_wrong"),
        (
            lambda root: edit_json(root / "meta/modality.json", lambda m: m["video"]["scene"].update(original_key="x")),
            "dataset.modality_wrong",
        ),
        (
            lambda root: edit_json(root / "meta/modality.json", lambda m: m["annotation"].update({"human.other": {}})),
            "dataset.modality_wrong",
        ),
        (lambda root: (root / "meta/episodes_stats.jsonl").unlink(), "dataset.file_missing"),
        (lambda root: (root / "meta/subtasks.jsonl").write_text('{"subtask_index": 0, "subtask": "lift"}\n'), "dataset.unknown_subtask"),
        (lambda root: (root / "data/chunk-000/episode_000002.parquet").unlink(), "dataset.file_missing"),
        (lambda root: edit_rows(root / "data/chunk-000/episode_000002.parquet", "frame_index", 1, 7), "dataset.rows_wrong"),
        (lambda root: (root / "meta/tasks.jsonl").write_text('{"task_index": 0, "task": "something else"}\n'), "dataset.unknown_task"),
    ],
)
def test_damage_of_the_twin_is_found(v21: Path, damage: Callable[[Path], None], code: str) -> None:
    """Each kind of damage to a v2.1 dataset is found under its code."""
    damage(v21)
    assert code in {finding.code for finding in check_dataset(v21)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "is missing"),
        ("{", "is not JSON"),
        ('{"codebase_version": "v3.0"}', "lacks robot_type"),
        (
            '{"codebase_version": "v9", "robot_type": "", "fps":1, "features":{}, "total_episodes": 0, "total_frames": 0, "data_path": ""}',
            "codebase_version is v9",
        ),
    ],
)
def test_what_is_no_dataset_is_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    """A folder without a readable info.json is refused with the reason."""
    if content is not None:
        (tmp_path / "meta").mkdir()
        (tmp_path / "meta/info.json").write_text(content)
    with pytest.raises(NotADataset, match=reason):
        check_dataset(tmp_path)
