"""Writes the dataset in every format from one stream of episodes, in memory that does not grow with their number."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blueprint_pipeline.dataset.action_contract import CONTRACT, ActionContract, LagMeter
from blueprint_pipeline.dataset.contract import DatasetSpec, DatasetTotals, FormatWriter, WrittenEpisode, statistics_as_lists
from blueprint_pipeline.dataset.features import VideoFeature
from blueprint_pipeline.dataset.formats import FORMATS, STORE, FormatName, usual_formats
from blueprint_pipeline.dataset.frames import EpisodeFrames, validate_sizes
from blueprint_pipeline.dataset.images import PixelCounts
from blueprint_pipeline.dataset.layout import SIDECAR, json_line, part_path, write_json
from blueprint_pipeline.dataset.lerobot_v30 import V30Writer
from blueprint_pipeline.dataset.readback import dataset_statistics
from blueprint_pipeline.dataset.statistics import Moments
from blueprint_pipeline.dataset.tables import Position
from blueprint_pipeline.dataset.video import EpisodeVideo
from blueprint_pipeline.rows import load_code


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """What was written."""

    episodes: int
    frames: int
    duration_s: float
    tasks: tuple[str, ...]
    subtasks: tuple[str, ...]
    """Phases of the motions."""
    videos: tuple[VideoFeature, ...]
    contract: ActionContract | None
    """What an action means, and how late the robot follows; ``None`` where no episode was long enough to measure it."""


class DatasetWriter:
    """The dataset in every format that is wanted, with the sidecar of each episode's provenance.

    Args:
        folder: Gets a folder a format, each of which must be new.
        spec: What all episodes share.
        formats: Which; those of every dataset if not given. The store is always among them.
    """

    def __init__(self, folder: Path, spec: DatasetSpec, formats: Sequence[FormatName] | None = None) -> None:
        wanted = dict.fromkeys((STORE, *(usual_formats() if formats is None else formats)))
        self._spec = spec
        self._store = V30Writer(folder / STORE, spec)
        self._others: list[FormatWriter] = [load_code(FORMATS[name].writer)(folder / name, spec) for name in wanted if name != STORE]
        self._sidecar = part_path(self._store.root / SIDECAR).open("w", encoding="utf-8")
        self._tasks: dict[str, int] = {}
        self._subtasks: dict[str, int] = {}
        self._videos: dict[str, VideoFeature] = {}
        self._moments: dict[str, Moments] = {}
        self._pixels: dict[str, PixelCounts] = {}
        self._lag = LagMeter(spec.vectors)
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
        self._lag.add(frames)
        task = self._tasks.setdefault(frames.task, len(self._tasks))
        subtasks = tuple(self._subtasks.setdefault(run.name, len(self._subtasks)) for run in frames.phases)
        position = Position(self._episodes, self._frames, task, subtasks)
        for key, video in videos.items():
            known = self._videos.setdefault(key, video.feature)
            self._videos[key] = replace(known, gop=max(known.gop, video.feature.gop))
        for writer in self._others:
            writer.add(frames, position, videos)
        for written in self._store.add(frames, position, videos):
            self._record(written)
        self._sidecar.write(json_line({"episode_index": position.episode_index, **provenance}))
        self._episodes += 1
        self._frames += frames.length

    def _record(self, episode: WrittenEpisode) -> None:
        for writer in self._others:
            writer.record(episode)
        for key, statistics in episode.columns.items():
            before = self._moments.get(key)
            self._moments[key] = before + statistics.moments if before else statistics.moments
        for key, counts in episode.pixels.items():
            seen = self._pixels.get(key)
            self._pixels[key] = seen + counts if seen else counts

    def close(self) -> DatasetSummary:
        """Finish every dataset."""
        for written in self._store.close_file():
            self._record(written)
        self._sidecar.close()
        sidecar = self._store.root / SIDECAR
        part_path(sidecar).replace(sidecar)
        columns = dataset_statistics(self._store.data_files, self._spec.vectors, self._moments)
        totals = DatasetTotals(
            episodes=self._episodes,
            frames=self._frames,
            tasks=tuple(self._tasks),
            subtasks=tuple(self._subtasks),
            videos=tuple(self._videos.values()),
            statistics=statistics_as_lists(columns, self._pixels),
        )
        for writer in self._others:
            part = part_path(writer.root / SIDECAR)
            shutil.copyfile(sidecar, part)
            part.replace(writer.root / SIDECAR)
        contract = self._lag.contract(self._spec.fps)
        for writer in (self._store, *self._others):
            if contract is not None:
                write_json(writer.root / CONTRACT, contract.model_dump(mode="json"))
            writer.finish(totals)
        return DatasetSummary(
            episodes=totals.episodes,
            frames=totals.frames,
            duration_s=totals.frames / self._spec.fps,
            tasks=totals.tasks,
            subtasks=totals.subtasks,
            videos=totals.videos,
            contract=contract,
        )
