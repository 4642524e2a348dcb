"""Writes both datasets from one stream of episodes, in memory that does not grow with their number."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from blueprint_pipeline.dataset.features import VideoFeature
from blueprint_pipeline.dataset.frames import EpisodeFrames, validate_sizes
from blueprint_pipeline.dataset.images import PixelCounts
from blueprint_pipeline.dataset.layout import SIDECAR, json_line, part_path
from blueprint_pipeline.dataset.lerobot_v21 import V21Writer
from blueprint_pipeline.dataset.lerobot_v30 import DatasetSpec, V30Writer, WrittenEpisode, statistics_as_lists
from blueprint_pipeline.dataset.readback import dataset_statistics
from blueprint_pipeline.dataset.statistics import Moments
from blueprint_pipeline.dataset.tables import Position
from blueprint_pipeline.dataset.video import EpisodeVideo


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """What was written."""

    episodes: int
    frames: int
    duration_s: float
    tasks: tuple[str, ...]
    videos: tuple[VideoFeature, ...]


class DatasetWriter:
    """The v3.0 dataset, its v2.1 twin, and the sidecar of each episode's provenance in both.

    Args:
        folder: Gets ``v3.0/`` and, where wanted, ``v2.1/``; both must be new.
        spec: What all episodes share.
        twin: Whether the v2.1 twin is written.
    """

    def __init__(self, folder: Path, spec: DatasetSpec, *, twin: bool = True) -> None:
        self._spec = spec
        self._v30 = V30Writer(folder / "v3.0", spec)
        self._v21 = V21Writer(folder / "v2.1", spec) if twin else None
        self._sidecar = part_path(self._v30.root / SIDECAR).open("w", encoding="utf-8")
        self._tasks: dict[str, int] = {}
        self._videos: dict[str, VideoFeature] = {}
        self._moments: dict[str, Moments] = {}
        self._pixels: dict[str, PixelCounts] = {}
        self._episodes = 0
        self._frames = 0

    def add(self, frames: EpisodeFrames, videos: dict[str, EpisodeVideo], provenance: dict[str, object]) -> None:
        """Append an episode.

        Args:
            frames: Its vectors.
            videos: By feature key; the same keys for every episode.
            provenance: What its line in the sidecar says beside ``episode_index``.

        Raises:
            EpisodeUnusable: Its vectors are not those of the dataset.
            VideoMismatch: A video cannot be joined to those before it.
        """
        validate_sizes(frames, self._spec.vectors)
        position = Position(self._episodes, self._frames, self._tasks.setdefault(frames.task, len(self._tasks)))
        for key, video in videos.items():
            known = self._videos.setdefault(key, video.feature)
            self._videos[key] = replace(known, gop=max(known.gop, video.feature.gop))
        if self._v21 is not None:
            self._v21.add(frames, position, videos)
        for written in self._v30.add(frames, position, videos):
            self._record(written)
        self._sidecar.write(json_line({"episode_index": position.episode_index, **provenance}))
        self._episodes += 1
        self._frames += frames.length

    def _record(self, episode: WrittenEpisode) -> None:
        if self._v21 is not None:
            self._v21.record(episode)
        for key, statistics in episode.columns.items():
            before = self._moments.get(key)
            self._moments[key] = before + statistics.moments if before else statistics.moments
        for key, counts in episode.pixels.items():
            seen = self._pixels.get(key)
            self._pixels[key] = seen + counts if seen else counts

    def close(self) -> DatasetSummary:
        """Finish both datasets."""
        for written in self._v30.close_file():
            self._record(written)
        self._sidecar.close()
        sidecar = self._v30.root / SIDECAR
        part_path(sidecar).replace(sidecar)
        tasks, videos = list(self._tasks), list(self._videos.values())
        columns = dataset_statistics(self._v30.data_files, self._spec.vectors, self._moments)
        statistics = statistics_as_lists(columns, self._pixels)
        totals = {"frames": self._frames, "episodes": self._episodes}
        self._v30.finish(tasks, videos, statistics, **totals)
        if self._v21 is not None:
            part = part_path(self._v21.root / SIDECAR)
            shutil.copyfile(sidecar, part)
            part.replace(self._v21.root / SIDECAR)
            self._v21.finish(tasks, videos, statistics, **totals)
        return DatasetSummary(
            episodes=self._episodes, frames=self._frames, duration_s=self._frames / self._spec.fps, tasks=tuple(tasks), videos=tuple(videos)
        )
