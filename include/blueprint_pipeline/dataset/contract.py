"""What a dataset format must do: write episodes as they come, and say of a folder what is in it and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from blueprint_pipeline.dataset.features import WHOLE_COLUMNS, VectorFeature, VideoFeature
from blueprint_pipeline.dataset.frames import EpisodeFrames
from blueprint_pipeline.dataset.images import PixelCounts, image_statistics
from blueprint_pipeline.dataset.layout import DATA_FILE_BYTES, VIDEO_FILE_BYTES
from blueprint_pipeline.dataset.statistics import Statistics
from blueprint_pipeline.dataset.tables import Position
from blueprint_pipeline.dataset.video import EpisodeVideo
from blueprint_pipeline.simulation.render_profiles import RenderProfile

EPISODES_A_VALIDATION = 10
"""One of so many episodes is for validation."""
StatisticLists = dict[str, dict[str, list[object]]]
"""The ten statistics by feature."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """What all episodes of a dataset share."""

    fps: int
    robot_type: str
    vectors: tuple[VectorFeature, ...]
    render_profile: RenderProfile | None
    """How good the pictures of every episode are; ``None``: the simulator drew in the one way that it has."""
    data_file_bytes: int = DATA_FILE_BYTES
    video_file_bytes: int = VIDEO_FILE_BYTES


@dataclass(frozen=True)
class WrittenEpisode:
    """An episode that was read back from its files."""

    position: Position
    task: str
    length: int
    first_frame: int
    """Its first frame in the store's video file."""
    columns: dict[str, Statistics]
    pixels: dict[str, PixelCounts]

    def statistics(self) -> StatisticLists:
        """The ten statistics of every feature, as LeRobot stores them."""
        return statistics_as_lists(self.columns, self.pixels)


def statistics_as_lists(columns: dict[str, Statistics], pixels: dict[str, PixelCounts]) -> StatisticLists:
    """The ten statistics by feature: vectors as lists, cameras as (3, 1, 1)."""
    plain = {key: found.as_lists(integer=key in WHOLE_COLUMNS) for key, found in columns.items()}
    return plain | {key: image_statistics(counts) for key, counts in pixels.items()}


@dataclass(frozen=True, kw_only=True)
class DatasetTotals:
    """What is known of a dataset when its last episode is in."""

    episodes: int
    frames: int
    tasks: tuple[str, ...]
    """Instructions, in the order of their index."""
    subtasks: tuple[str, ...]
    """Names of phases, in the order of their index."""
    videos: tuple[VideoFeature, ...]
    statistics: StatisticLists


def build_splits(episodes: int) -> dict[str, str]:
    """``splits`` of ``info.json``: the last episode of ten is for validation, as one range at the end, as LeRobot writes them.

    Episodes stand in the plan's order, in which skills and objects take turns; starts and goals are drawn for each episode by itself. So
    the last ones are like the others. Fewer than ten episodes are not split.

    >>> build_splits(24)
    {'train': '0:22', 'val': '22:24'}
    """
    training = episodes - episodes // EPISODES_A_VALIDATION
    splits = {"train": f"0:{training}"}
    return splits if training == episodes else splits | {"val": f"{training}:{episodes}"}


def render_info(spec: DatasetSpec) -> dict[str, object]:
    """What ``info.json`` says beside LeRobot's own keys: the render profile with all of its settings."""
    return {"render_profile": spec.render_profile.model_dump(mode="json") if spec.render_profile else None}


class FormatWriter(Protocol):
    """A dataset in the making: made with its folder, which is new or empty, and a :class:`DatasetSpec`."""

    root: Path

    def add(self, frames: EpisodeFrames, position: Position, videos: dict[str, EpisodeVideo]) -> Sequence[WrittenEpisode]:
        """Append an episode; the store gives those of its episodes that it has read back by now, others nothing."""

    def record(self, episode: WrittenEpisode) -> None:
        """Learn of an episode's statistics, in the order of the episodes."""

    def finish(self, totals: DatasetTotals) -> None:
        """Write what speaks of the whole dataset; last of all the file without which nobody sees a dataset."""


@dataclass(frozen=True)
class DatasetDescription:
    """What a dataset says of itself."""

    folder: str
    version: str
    """Name of its format."""
    robot_type: str
    fps: int
    episodes: int
    frames: int
    tasks: tuple[str, ...]
    features: dict[str, dict[str, Any]]
    size_bytes: int


@dataclass(frozen=True)
class DatasetFinding:
    """One thing that is wrong, in which file, and what was expected."""

    code: str
    path: str
    message: str


class FormatReader(Protocol):
    """Reads a dataset of its format, without the libraries that train on it."""

    def mismatch(self, folder: Path) -> str | None:
        """Why a folder is not of this format; ``None``: it says that it is."""

    def describe(self, folder: Path) -> DatasetDescription:
        """What a dataset says of itself.

        Raises:
            NotADataset: Its description cannot be read.
        """

    def check(self, folder: Path) -> list[DatasetFinding]:
        """Everything that is wrong with a dataset; an empty list: nothing was found.

        Raises:
            NotADataset: Its description cannot be read.
        """
