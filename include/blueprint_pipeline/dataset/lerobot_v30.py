"""Writes LeRobot v3.0: many episodes a file, data and video files rolling over together.

Data and videos of one episode have the same chunk and file index, and no episode spans two files. A file's rows and
frames are read back when it is closed; statistics come from there.

Source: lerobot 0.4.4 ``datasets/utils.py``.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from blueprint_pipeline.dataset.contract import DatasetSpec, DatasetTotals, WrittenEpisode, build_splits, render_info
from blueprint_pipeline.dataset.features import SUBTASK, build_info_features
from blueprint_pipeline.dataset.frames import EpisodeFrames
from blueprint_pipeline.dataset.layout import (
    CHUNKS_SIZE,
    DATA_FILE_BYTES,
    INFO,
    STATS,
    VIDEO_FILE_BYTES,
    write_json,
)
from blueprint_pipeline.dataset.lerobot import LerobotReader, video_keys
from blueprint_pipeline.dataset.lerobot_check import ListedEpisode
from blueprint_pipeline.dataset.readback import episode_statistics, read_pixels, row_groups
from blueprint_pipeline.dataset.tables import ParquetFile, Position, data_schema, data_table, episodes_schema, write_texts
from blueprint_pipeline.dataset.video import EpisodeVideo, VideoFile

_EPISODES_A_ROW_GROUP = 64
_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_TASKS = "meta/tasks.parquet"
_SUBTASKS = "meta/subtasks.parquet"


def chunk_and_file(number: int) -> tuple[int, int]:
    """Chunk and file index of the ``number``-th file."""
    return number // CHUNKS_SIZE, number % CHUNKS_SIZE


@dataclass(frozen=True)
class _Waiting:
    position: Position
    task: str
    length: int
    first_frame: int


class V30Writer:
    """A v3.0 dataset in the making.

    Args:
        root: Folder of the dataset; new or empty.
        spec: What all episodes share.
    """

    def __init__(self, root: Path, spec: DatasetSpec) -> None:
        self.root = root
        self.data_files: list[Path] = []
        self._spec = spec
        self._schema = data_schema(spec.vectors, annotation=False)
        self._data: ParquetFile | None = None
        self._videos: dict[str, VideoFile] = {}
        self._waiting: list[_Waiting] = []
        self._episodes: ParquetFile | None = None
        self._episodes_schema: pa.Schema | None = None
        self._episode_rows: list[dict[str, object]] = []
        self._episode_files = 0

    def record(self, episode: WrittenEpisode) -> None:
        """Nothing: it wrote down itself what it read back."""

    def add(self, frames: EpisodeFrames, position: Position, videos: dict[str, EpisodeVideo]) -> list[WrittenEpisode]:
        """Append an episode; give the episodes of the file that became full and was read back."""
        table = data_table(frames, position, self._spec.fps, self._schema)
        size = table.nbytes
        done = list(self.close_file()) if self._is_full(size, videos) else []
        if self._data is None:
            self._data = self._open_file(videos)
        self._data.append(table, size)
        first_frame = self._waiting[-1].first_frame + self._waiting[-1].length if self._waiting else 0
        for key, video in videos.items():
            self._videos[key].append(video)
        self._waiting.append(_Waiting(position, frames.task, frames.length, first_frame))
        return done

    def _is_full(self, size_bytes: int, videos: dict[str, EpisodeVideo]) -> bool:
        if self._data is None:
            return False
        if self._data.size_bytes + size_bytes > self._spec.data_file_bytes:
            return True
        return any(self._videos[key].size_bytes + len(video.data) > self._spec.video_file_bytes for key, video in videos.items())

    def _open_file(self, videos: dict[str, EpisodeVideo]) -> ParquetFile:
        chunk, file = chunk_and_file(len(self.data_files))
        path = self.root / _DATA.format(chunk_index=chunk, file_index=file)
        self.data_files.append(path)
        self._videos = {
            key: VideoFile(self.root / _VIDEO.format(video_key=key, chunk_index=chunk, file_index=file), video)
            for key, video in videos.items()
        }
        return ParquetFile(path, self._schema)

    def close_file(self) -> Iterator[WrittenEpisode]:
        """Finish the open data and video files, read them back, and record their episodes."""
        if self._data is None:
            return
        self._data.close()
        for video in self._videos.values():
            video.close()
        lengths = [episode.length for episode in self._waiting]
        with ThreadPoolExecutor(len(self._videos) or 1) as pool:  # decoders let go of the interpreter's lock
            found = pool.map(lambda video: list(read_pixels(video.path, lengths)), self._videos.values())
            pixels = dict(zip(self._videos, found, strict=True))
        with pq.ParquetFile(self._data.path) as file:
            for number, (waiting, table) in enumerate(zip(self._waiting, row_groups(file), strict=True)):
                columns = episode_statistics(
                    table, position=waiting.position, length=waiting.length, fps=self._spec.fps, vectors=self._spec.vectors
                )
                counted = {key: counts[number] for key, counts in pixels.items()}
                written = WrittenEpisode(waiting.position, waiting.task, waiting.length, waiting.first_frame, columns, counted)
                self._list(written)
                yield written
        self._data, self._videos, self._waiting = None, {}, []

    def _list(self, episode: WrittenEpisode) -> None:
        chunk, file = chunk_and_file(len(self.data_files) - 1)
        row: dict[str, object] = {
            "episode_index": episode.position.episode_index,
            "tasks": [episode.task],
            "length": episode.length,
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": episode.position.first_index,
            "dataset_to_index": episode.position.first_index + episode.length,
        }
        for key in episode.pixels:
            row |= {f"videos/{key}/chunk_index": chunk, f"videos/{key}/file_index": file}
            row[f"videos/{key}/from_timestamp"] = episode.first_frame / self._spec.fps
            row[f"videos/{key}/to_timestamp"] = (episode.first_frame + episode.length) / self._spec.fps
        for key, statistics in episode.statistics().items():
            row |= {f"stats/{key}/{name}": value for name, value in statistics.items()}
        self._episode_rows.append(row)
        if self._episodes_schema is None:
            self._episodes_schema = episodes_schema(self._spec.vectors, list(episode.pixels))
        if len(self._episode_rows) == _EPISODES_A_ROW_GROUP:
            self._flush_episodes(self._episodes_schema)

    def _flush_episodes(self, schema: pa.Schema) -> None:
        if self._episodes is not None and self._episodes.size_bytes > self._spec.data_file_bytes:
            self._episodes.close()
            self._episodes = None
        if self._episodes is None:
            chunk, file = chunk_and_file(self._episode_files)
            self._episodes = ParquetFile(self.root / _EPISODES.format(chunk_index=chunk, file_index=file), schema)
            self._episode_files += 1
        chunk, file = chunk_and_file(self._episode_files - 1)
        own = {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        table = pa.Table.from_pylist([row | own for row in self._episode_rows], schema=schema)
        self._episodes.append(table, table.nbytes)
        self._episode_rows = []

    def finish(self, totals: DatasetTotals) -> None:
        """Write what speaks of the whole dataset; ``info.json``, without which nobody sees a dataset, last."""
        if self._episode_rows and self._episodes_schema is not None:
            self._flush_episodes(self._episodes_schema)
        if self._episodes is not None:
            self._episodes.close()
        write_texts(self.root / _TASKS, "task_index", totals.tasks)
        write_texts(self.root / _SUBTASKS, SUBTASK, totals.subtasks)
        write_json(self.root / STATS, totals.statistics)
        info = {
            "codebase_version": "v3.0",
            "robot_type": self._spec.robot_type,
            "total_episodes": totals.episodes,
            "total_frames": totals.frames,
            "total_tasks": len(totals.tasks),
            "chunks_size": CHUNKS_SIZE,
            "data_files_size_in_mb": DATA_FILE_BYTES // 1024**2,
            "video_files_size_in_mb": VIDEO_FILE_BYTES // 1024**2,
            "fps": self._spec.fps,
            "splits": build_splits(totals.episodes),
            "data_path": _DATA,
            "video_path": _VIDEO if totals.videos else None,
            "features": build_info_features(self._spec.vectors, totals.videos, annotation=False),
            **render_info(self._spec),
        }
        write_json(self.root / INFO, info)


class V30Reader(LerobotReader):
    """Reads v3.0."""

    def load_tasks(self, folder: Path) -> list[str]:
        """Instructions in the order of their index."""
        return _load_texts(folder / _TASKS, "task_index")

    def load_subtasks(self, folder: Path) -> list[str]:
        """Names of phases in the order of their index."""
        return _load_texts(folder / _SUBTASKS, SUBTASK) if (folder / _SUBTASKS).is_file() else []

    def list_episodes(self, folder: Path, info: dict[str, Any]) -> Iterator[ListedEpisode]:
        """All episodes as the metadata list them."""
        for path in sorted((folder / "meta/episodes").glob("*/*.parquet")):
            names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
            for row in pq.read_table(path, columns=names).to_pylist():
                yield _listed(row, info)


def _load_texts(path: Path, column: str) -> list[str]:
    table = pq.read_table(path)
    name = next(name for name in table.column_names if name != column)
    return [str(value) for value in table.sort_by(column).column(name).to_pylist()]


def _listed(row: dict[str, Any], info: dict[str, Any]) -> ListedEpisode:
    data = info["data_path"].format(chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])
    videos = {}
    for key in video_keys(info):
        place = {"chunk_index": row[f"videos/{key}/chunk_index"], "file_index": row[f"videos/{key}/file_index"]}
        videos[key] = (info["video_path"].format(video_key=key, **place), round(row[f"videos/{key}/from_timestamp"] * info["fps"]))
    return ListedEpisode(row["episode_index"], row["length"], tuple(row["tasks"]), data, videos)


READER = V30Reader("v3.0", (_TASKS, STATS))
