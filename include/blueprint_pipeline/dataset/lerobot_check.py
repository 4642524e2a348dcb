"""Looks at a LeRobot folder and says what is wrong with it: quickly, and without lerobot.

Every rule reads the files themselves: totals against rows, rows against each other, videos packet by packet.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from blueprint_pipeline.dataset.contract import DatasetFinding
from blueprint_pipeline.dataset.features import DONE, INDEX_COLUMNS, SUBTASK
from blueprint_pipeline.dataset.layout import INFO, STATS
from blueprint_pipeline.dataset.statistics import STATISTICS

TIMESTAMP_TOLERANCE_S = 1e-4
"""What lerobot's loader allows between a timestamp and ``frame_index / fps``."""
_ROUNDING = 1e-6
_ARROW = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}


@dataclass(frozen=True)
class ListedEpisode:
    """What the metadata say of one episode."""

    index: int
    length: int
    tasks: tuple[str, ...]
    data: str
    videos: dict[str, tuple[str, int]]
    """By camera: the file, and the first frame in it."""


@dataclass(frozen=True, kw_only=True)
class LerobotFolder:
    """A folder to look at, and how its version's metadata are read."""

    path: Path
    info: dict[str, Any]
    files: tuple[str, ...]
    """What must be there beside ``info.json``, data and videos."""
    load_tasks: Callable[[], list[str]]
    load_subtasks: Callable[[], list[str]]
    list_episodes: Callable[[], list[ListedEpisode]]


Findings = Iterator[DatasetFinding]
Rule = Callable[[LerobotFolder], Findings]


def check_folder(found: LerobotFolder, own: Sequence[Rule] = ()) -> list[DatasetFinding]:
    """Everything that is wrong with a LeRobot folder.

    Args:
        found: The folder.
        own: Rules of its version, after those of all.
    """
    findings: list[DatasetFinding] = []
    for rule in (_check_parts, _check_splits, _check_statistics, _check_rows, _check_videos, *own):
        try:
            findings += rule(found)
        except (OSError, KeyError, TypeError, ValueError, av.FFmpegError) as error:
            where = rule.__name__.strip("_")
            findings.append(DatasetFinding("dataset.unreadable", str(found.path), f"{where}: {type(error).__name__}: {error}"))
            break
    return findings


def _check_parts(found: LerobotFolder) -> Findings:
    """Files that must be there, and totals."""
    folder, info = found.path, found.info
    for name in found.files:
        if not (folder / name).is_file():
            yield DatasetFinding("dataset.file_missing", name, "the file is missing")
    episodes = found.list_episodes()
    if [episode.index for episode in episodes] != list(range(info["total_episodes"])):
        yield DatasetFinding(
            "dataset.wrong_total", INFO, f"total_episodes is {info['total_episodes']}; the list of episodes has {len(episodes)}"
        )
    frames = sum(episode.length for episode in episodes)
    if frames != info["total_frames"]:
        yield DatasetFinding("dataset.wrong_total", INFO, f"total_frames is {info['total_frames']}; the episodes have {frames}")
    tasks = found.load_tasks()
    if len(tasks) != info.get("total_tasks"):
        yield DatasetFinding("dataset.wrong_total", INFO, f"total_tasks is {info.get('total_tasks')}; there are {len(tasks)}")
    for episode in episodes:
        if not episode.tasks or not set(episode.tasks) <= set(tasks):
            yield DatasetFinding("dataset.unknown_task", episode.data, f"episode {episode.index} has instructions {list(episode.tasks)}")


def _check_splits(found: LerobotFolder) -> Findings:
    """Every episode is in one split."""
    ranges = [[int(end) for end in str(value).split(":")] for value in found.info["splits"].values()]
    ends = [0, *(end for _, end in ranges)]
    if [first for first, _ in ranges] != ends[:-1] or ends[-1] != found.info["total_episodes"] or ends != sorted(ends):
        yield DatasetFinding("dataset.splits_wrong", INFO, f"splits are {found.info['splits']} of {found.info['total_episodes']} episodes")


def _check_statistics(found: LerobotFolder) -> Findings:
    """Ten statistics for each feature, of the right shape, finite, in order."""
    folder, info = found.path, found.info
    statistics = json.loads((folder / STATS).read_text(encoding="utf-8"))
    for key, feature in info["features"].items():
        own = statistics.get(key, {})
        missing = [name for name in STATISTICS if name not in own]
        if missing:
            yield DatasetFinding("dataset.statistics_missing", STATS, f"{key} lacks {', '.join(missing)}")
            continue
        shape = (3, 1, 1) if feature["dtype"] == "video" else tuple(feature["shape"])
        values = {name: np.asarray(own[name], dtype=np.float64) for name in STATISTICS}
        if any(value.shape != shape for name, value in values.items() if name != "count") or values["count"].shape != (1,):
            yield DatasetFinding("dataset.statistics_wrong", STATS, f"{key}: expected shape {shape}")
            continue
        order = np.stack([values[name] for name in ("min", "q01", "q10", "q50", "q90", "q99", "max")])
        if not np.isfinite(order).all() or (np.diff(order, axis=0) < -_ROUNDING).any():
            yield DatasetFinding("dataset.statistics_wrong", STATS, f"{key}: min <= q01 <= ... <= q99 <= max does not hold")
        if feature["dtype"] == "video" and (values["std"] <= 0).any():
            yield DatasetFinding("dataset.statistics_wrong", STATS, f"{key}: the deviation of the pixels is 0")


def _check_rows(found: LerobotFolder) -> Findings:
    """Columns, numbering and times of every episode."""
    folder, info = found.path, found.info
    subtasks = len(found.load_subtasks())
    first = 0
    groups: dict[str, int] = {}
    for episode in found.list_episodes():
        path = folder / episode.data
        if not path.is_file():
            yield DatasetFinding("dataset.file_missing", episode.data, f"episode {episode.index} has no data file")
            first += episode.length
            continue
        with pq.ParquetFile(path) as file:
            group = groups.get(episode.data, 0)
            groups[episode.data] = group + 1
            if group >= file.num_row_groups:
                yield DatasetFinding("dataset.rows_wrong", episode.data, f"episode {episode.index} has no row group of its own")
            else:
                table = file.read_row_group(group)
                yield from _check_episode_rows(table, episode, first, info)
                yield from _check_steps(table, episode, subtasks)
        first += episode.length


def _check_episode_rows(table: pa.Table, episode: ListedEpisode, first: int, info: dict[str, Any]) -> Findings:
    where, number = f"episode {episode.index}", np.arange(episode.length)
    if table.num_rows != episode.length:
        yield DatasetFinding("dataset.rows_wrong", episode.data, f"{where} has {table.num_rows} rows, expected {episode.length}")
        return
    for key, feature in info["features"].items():
        if feature["dtype"] != "video":
            yield from _check_column(table, key, feature, episode)
    expected = {"frame_index": number, "index": number + first, "episode_index": np.full(episode.length, episode.index)}
    for name in INDEX_COLUMNS[:3]:
        if name in table.column_names and not np.array_equal(table.column(name).to_numpy(), expected[name]):
            yield DatasetFinding("dataset.rows_wrong", episode.data, f"{where}: {name} does not count up as it must")
    if "timestamp" in table.column_names:
        late = float(np.abs(table.column("timestamp").to_numpy().astype(np.float64) - number / info["fps"]).max())
        if late > TIMESTAMP_TOLERANCE_S:
            yield DatasetFinding("dataset.timestamp_wrong", episode.data, f"{where}: a timestamp is {late:.6f} s off frame_index / fps")


def _check_steps(table: pa.Table, episode: ListedEpisode, subtasks: int) -> Findings:
    """Phases that have a name; an end at the end, and nowhere else."""
    if SUBTASK in table.column_names and not np.isin(table.column(SUBTASK).to_numpy(), range(subtasks)).all():
        yield DatasetFinding("dataset.unknown_subtask", episode.data, f"episode {episode.index} has a {SUBTASK} without a name")
    last = np.arange(table.num_rows) == table.num_rows - 1
    if DONE in table.column_names and not np.array_equal(table.column(DONE).to_numpy(), last):
        yield DatasetFinding("dataset.rows_wrong", episode.data, f"episode {episode.index}: {DONE} is not true in its last frame alone")


def _check_column(table: pa.Table, key: str, feature: dict[str, Any], episode: ListedEpisode) -> Findings:
    if key not in table.column_names:
        yield DatasetFinding("dataset.column_missing", episode.data, f"episode {episode.index}: column {key} is missing")
        return
    kind = table.schema.field(key).type
    scalar = _ARROW.get(feature["dtype"])
    size = feature["shape"][0]
    if kind != scalar and not (pa.types.is_fixed_size_list(kind) and kind.value_type == scalar and kind.list_size == size):
        yield DatasetFinding(
            "dataset.column_wrong", episode.data, f"episode {episode.index}: {key} is {kind}, expected {feature['dtype']}[{size}]"
        )
        return
    column = table.column(key).combine_chunks()
    values = (column.flatten() if pa.types.is_fixed_size_list(kind) else column).to_numpy(zero_copy_only=False)
    if column.null_count or not np.isfinite(values.astype(np.float64)).all():
        yield DatasetFinding(
            "dataset.not_finite", episode.data, f"episode {episode.index}: {key} has a value that is missing or not finite"
        )


def _check_videos(found: LerobotFolder) -> Findings:
    """Frames of every video file against the episodes in it; a keyframe where an episode begins."""
    folder, info = found.path, found.info
    expected: dict[str, list[tuple[int, int]]] = {}
    for episode in found.list_episodes():
        for path, start in episode.videos.values():
            expected.setdefault(path, []).append((start, episode.length))
    for name, parts in expected.items():
        if not (folder / name).is_file():
            yield DatasetFinding("dataset.file_missing", name, "the video is missing")
            continue
        with av.open(str(folder / name)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        total = sum(length for _, length in parts)
        if len(packets) != total:
            yield DatasetFinding("dataset.video_wrong", name, f"the video has {len(packets)} frames, its episodes {total}")
            continue
        times = np.array(
            [float(packet.pts * packet.time_base) if packet.pts is not None and packet.time_base else np.nan for packet in packets]
        )
        if not np.abs(times - np.arange(total) / info["fps"]).max() <= TIMESTAMP_TOLERANCE_S:
            yield DatasetFinding("dataset.video_wrong", name, "a frame does not stand at its number / fps")
        for start, _ in parts:
            if not packets[start].is_keyframe:
                yield DatasetFinding("dataset.video_wrong", name, f"frame {start} begins an episode and is no keyframe")
