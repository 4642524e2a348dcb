"""Writes the v2.1 twin: one data file and one video a camera and episode, and ``modality.json`` for GR00T.

Videos are the rendered files, byte for byte.

Source: lerobot 0.3.3 ``datasets/utils.py``; Isaac-GR00T ``getting_started/data_preparation.md``.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from blueprint_pipeline.dataset.contract import DatasetFinding, DatasetSpec, DatasetTotals, WrittenEpisode, build_splits, render_info
from blueprint_pipeline.dataset.features import ACTION, ANNOTATION, STATE, SUBTASK, VideoFeature, build_info_features
from blueprint_pipeline.dataset.frames import EpisodeFrames
from blueprint_pipeline.dataset.layout import (
    CHUNKS_SIZE,
    INFO,
    STATS,
    json_line,
    part_path,
    write_json,
    write_text,
)
from blueprint_pipeline.dataset.lerobot import LerobotReader, load_lines, video_keys
from blueprint_pipeline.dataset.lerobot_check import Findings, LerobotFolder, ListedEpisode
from blueprint_pipeline.dataset.tables import ParquetFile, Position, data_schema, data_table
from blueprint_pipeline.dataset.video import EpisodeVideo
from blueprint_pipeline.workspace.checksums import move_file, write_file

_DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
_EPISODES = "meta/episodes.jsonl"
_EPISODES_STATS = "meta/episodes_stats.jsonl"
_TASKS = "meta/tasks.jsonl"
_SUBTASKS = "meta/subtasks.jsonl"
_MODALITY = "meta/modality.json"


class V21Writer:
    """A v2.1 dataset in the making, beside its v3.0 twin.

    Args:
        root: Folder of the dataset; new or empty.
        spec: What all episodes share.
    """

    def __init__(self, root: Path, spec: DatasetSpec) -> None:
        self.root = root
        self._spec = spec
        self._schema = data_schema(spec.vectors, annotation=True)
        self._lines = {path: part_path(root / path).open("w", encoding="utf-8") for path in (_EPISODES, _EPISODES_STATS)}

    def add(self, frames: EpisodeFrames, position: Position, videos: dict[str, EpisodeVideo]) -> tuple[WrittenEpisode, ...]:
        """Write an episode's own files."""
        place = {"episode_chunk": position.episode_index // CHUNKS_SIZE, "episode_index": position.episode_index}
        with ParquetFile(self.root / _DATA.format(**place), self._schema) as file:
            file.append(data_table(frames, position, self._spec.fps, self._schema), 0)
        for key, video in videos.items():
            target = self.root / _VIDEO.format(video_key=key, **place)
            part = part_path(target)
            write_file(part, video.data, video.digest)
            move_file(part, target)
        return ()

    def record(self, episode: WrittenEpisode) -> None:
        """Append an episode to the lists of episodes and of statistics."""
        index = episode.position.episode_index
        statistics = episode.statistics()
        statistics[ANNOTATION] = statistics["task_index"]
        self._lines[_EPISODES].write(json_line({"episode_index": index, "tasks": [episode.task], "length": episode.length}))
        self._lines[_EPISODES_STATS].write(json_line({"episode_index": index, "stats": statistics}))

    def finish(self, totals: DatasetTotals) -> None:
        """Write what speaks of the whole dataset, ``info.json`` last."""
        for path, stream in self._lines.items():
            stream.close()
            target = self.root / path
            part_path(target).replace(target)
        write_text(self.root / _TASKS, "".join(json_line({"task_index": index, "task": task}) for index, task in enumerate(totals.tasks)))
        write_text(
            self.root / _SUBTASKS, "".join(json_line({SUBTASK: index, "subtask": name}) for index, name in enumerate(totals.subtasks))
        )
        write_json(self.root / STATS, totals.statistics | {ANNOTATION: totals.statistics["task_index"]})
        write_json(self.root / _MODALITY, self._modality(totals.videos))
        info = {
            "codebase_version": "v2.1",
            "robot_type": self._spec.robot_type,
            "total_episodes": totals.episodes,
            "total_frames": totals.frames,
            "total_tasks": len(totals.tasks),
            "total_videos": totals.episodes * len(totals.videos),
            "total_chunks": (totals.episodes + CHUNKS_SIZE - 1) // CHUNKS_SIZE,
            "chunks_size": CHUNKS_SIZE,
            "fps": self._spec.fps,
            "splits": build_splits(totals.episodes),
            "data_path": _DATA,
            "video_path": _VIDEO if totals.videos else None,
            "features": build_info_features(self._spec.vectors, totals.videos, annotation=True),
            **render_info(self._spec),
        }
        write_json(self.root / INFO, info)

    def _modality(self, videos: Sequence[VideoFeature]) -> dict[str, object]:
        """Which parts of the state and action vectors are which arm and which gripper."""
        parts = {
            vector.key: {name: {"start": part.start, "end": part.stop} for name, part in vector.parts.items()}
            for vector in self._spec.vectors
            if vector.parts
        }
        return {
            "state": parts[STATE],
            "action": parts[ACTION],
            "video": {video.key.rsplit(".", 1)[-1]: {"original_key": video.key} for video in videos},
            "annotation": {ANNOTATION.removeprefix("annotation."): {}},
        }


class V21Reader(LerobotReader):
    """Reads v2.1."""

    def load_tasks(self, folder: Path) -> list[str]:
        """Instructions in the order of their index."""
        return [line["task"] for line in load_lines(folder / _TASKS)]

    def load_subtasks(self, folder: Path) -> list[str]:
        """Names of phases in the order of their index."""
        return [line["subtask"] for line in load_lines(folder / _SUBTASKS)] if (folder / _SUBTASKS).is_file() else []

    def list_episodes(self, folder: Path, info: dict[str, Any]) -> Iterator[ListedEpisode]:
        """All episodes as the metadata list them."""
        for line in load_lines(folder / _EPISODES):
            place = {"episode_chunk": line["episode_index"] // info["chunks_size"], "episode_index": line["episode_index"]}
            videos = {key: (info["video_path"].format(video_key=key, **place), 0) for key in video_keys(info)}
            yield ListedEpisode(line["episode_index"], line["length"], tuple(line["tasks"]), info["data_path"].format(**place), videos)


def _check_modality(found: LerobotFolder) -> Findings:
    """GR00T's parts cover state and action; its names lead to features."""
    info = found.info
    modality = json.loads((found.path / _MODALITY).read_text(encoding="utf-8"))
    for kind, column in (("state", "observation.state"), ("action", "action")):
        parts = sorted((part["start"], part["end"]) for part in modality[kind].values())
        size = info["features"][column]["shape"][0]
        if [start for start, _ in parts] != [0, *(end for _, end in parts[:-1])] or parts[-1][1] != size:
            yield DatasetFinding("dataset.modality_wrong", _MODALITY, f"{kind}: parts {parts} do not cover {column} of {size}")
    for name, part in modality.get("video", {}).items():
        if part["original_key"] not in info["features"]:
            yield DatasetFinding("dataset.modality_wrong", _MODALITY, f"video {name}: there is no {part['original_key']}")
    for name in modality.get("annotation", {}):
        if f"annotation.{name}" not in info["features"]:
            yield DatasetFinding("dataset.modality_wrong", _MODALITY, f"annotation {name}: there is no such column")


READER = V21Reader("v2.1", (_TASKS, STATS, _EPISODES, _EPISODES_STATS, _MODALITY), (_check_modality,))
