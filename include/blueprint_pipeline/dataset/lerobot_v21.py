"""Writes the v2.1 twin: one data file and one video a camera and episode, and ``modality.json`` for GR00T.

Videos are the rendered files, byte for byte.

Source: lerobot 0.3.3 ``datasets/utils.py``; Isaac-GR00T ``getting_started/data_preparation.md``.
"""

import shutil
from pathlib import Path

from blueprint_pipeline.dataset.features import ACTION, ANNOTATION, STATE, VideoFeature, build_info_features
from blueprint_pipeline.dataset.frames import EpisodeFrames
from blueprint_pipeline.dataset.layout import (
    CHUNKS_SIZE,
    DATA_V21,
    EPISODES_STATS_V21,
    EPISODES_V21,
    INFO,
    MODALITY,
    STATS,
    TASKS_V21,
    VIDEO_V21,
    json_line,
    part_path,
    write_json,
    write_text,
)
from blueprint_pipeline.dataset.lerobot_v30 import DatasetSpec, WrittenEpisode
from blueprint_pipeline.dataset.tables import ParquetFile, Position, data_schema, data_table
from blueprint_pipeline.dataset.video import EpisodeVideo


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
        self._lines = {path: part_path(root / path).open("w", encoding="utf-8") for path in (EPISODES_V21, EPISODES_STATS_V21)}

    def add(self, frames: EpisodeFrames, position: Position, videos: dict[str, EpisodeVideo]) -> None:
        """Write an episode's own files."""
        place = {"episode_chunk": position.episode_index // CHUNKS_SIZE, "episode_index": position.episode_index}
        with ParquetFile(self.root / DATA_V21.format(**place), self._schema) as file:
            file.append(data_table(frames, position, self._spec.fps, self._schema), 0)
        for key, video in videos.items():
            target = self.root / VIDEO_V21.format(video_key=key, **place)
            part = part_path(target)
            shutil.copyfile(video.path, part)
            part.replace(target)

    def record(self, episode: WrittenEpisode) -> None:
        """Append an episode to the lists of episodes and of statistics."""
        index = episode.position.episode_index
        statistics = episode.statistics()
        statistics[ANNOTATION] = statistics["task_index"]
        self._lines[EPISODES_V21].write(json_line({"episode_index": index, "tasks": [episode.task], "length": episode.length}))
        self._lines[EPISODES_STATS_V21].write(json_line({"episode_index": index, "stats": statistics}))

    def finish(
        self, tasks: list[str], videos: list[VideoFeature], statistics: dict[str, dict[str, list[object]]], *, frames: int, episodes: int
    ) -> None:
        """Write what speaks of the whole dataset, ``info.json`` last."""
        for path, stream in self._lines.items():
            stream.close()
            target = self.root / path
            part_path(target).replace(target)
        write_text(self.root / TASKS_V21, "".join(json_line({"task_index": index, "task": task}) for index, task in enumerate(tasks)))
        write_json(self.root / STATS, statistics | {ANNOTATION: statistics["task_index"]})
        write_json(self.root / MODALITY, self._modality(videos))
        info = {
            "codebase_version": "v2.1",
            "robot_type": self._spec.robot_type,
            "total_episodes": episodes,
            "total_frames": frames,
            "total_tasks": len(tasks),
            "total_videos": episodes * len(videos),
            "total_chunks": (episodes + CHUNKS_SIZE - 1) // CHUNKS_SIZE,
            "chunks_size": CHUNKS_SIZE,
            "fps": self._spec.fps,
            "splits": {"train": f"0:{episodes}"},
            "data_path": DATA_V21,
            "video_path": VIDEO_V21 if videos else None,
            "features": build_info_features(self._spec.vectors, videos, annotation=True),
        }
        write_json(self.root / INFO, info)

    def _modality(self, videos: list[VideoFeature]) -> dict[str, object]:
        """Which parts of the state and action vectors are the arm and the gripper (the last one)."""
        sizes = {vector.key: vector.size for vector in self._spec.vectors}
        parts = {
            key: {"single_arm": {"start": 0, "end": sizes[key] - 1}, "gripper": {"start": sizes[key] - 1, "end": sizes[key]}}
            for key in (STATE, ACTION)
        }
        return {
            "state": parts[STATE],
            "action": parts[ACTION],
            "video": {video.key.rsplit(".", 1)[-1]: {"original_key": video.key} for video in videos},
            "annotation": {ANNOTATION.removeprefix("annotation."): {}},
        }
