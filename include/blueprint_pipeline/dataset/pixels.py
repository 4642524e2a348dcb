"""Depth and segmentation of every frame, as they were drawn: a lossless video an episode and camera, and what its values mean.

``pixels.json`` (a :class:`PixelIndex`, written last) says what there is;
``{kind}/{camera}/episode_000000.mkv`` holds frame t of the episode with that index as its picture t, FFV1, gray16 or gray8. Intrinsics and
the poses of cameras stand in the sidecar and the store's columns, as for the colour videos: same size, same pixels.

Source: RFC 9043 (FFV1), a lossless codec that ffmpeg and PyAV read.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from blueprint_pipeline.dataset.contract import DatasetSpec, DatasetTotals, WrittenEpisode
from blueprint_pipeline.dataset.errors import EpisodeUnusable
from blueprint_pipeline.dataset.features import VideoFeature
from blueprint_pipeline.dataset.frames import EpisodeFrames, PixelKind, SideVideos
from blueprint_pipeline.dataset.layout import part_path, write_json
from blueprint_pipeline.dataset.tables import Position
from blueprint_pipeline.dataset.video import EpisodeVideo
from blueprint_pipeline.frozen import FrozenModel

INDEX = "pixels.json"
DTYPES: Mapping[PixelKind, str] = {"depth": "uint16", "segmentation": "uint8"}
_MEANINGS: Mapping[PixelKind, str] = {
    "depth": "distance along the viewing axis in whole millimetres; 0: nothing within 65.535 m",
    "segmentation": "the place in `labels` of what the pixel shows",
}


class PixelIndex(FrozenModel):
    """What a folder of pixels holds."""

    schema_version: Literal["1.0"] = "1.0"
    robot_type: str
    fps: int
    width: int
    height: int
    cameras: tuple[str, ...]
    kinds: dict[PixelKind, str]
    """What a value of each kind means."""
    labels: tuple[str, ...]
    """Names that segmentation values count in; empty without segmentation."""
    tasks: tuple[str, ...]
    frames: tuple[int, ...] = Field(min_length=1)
    """Of each episode, in the order of their index."""

    def files(self) -> dict[str, tuple[PixelKind, int]]:
        """Every file that belongs here, with its kind and its number of pictures."""
        return {
            pixel_path(kind, camera, index): (kind, frames)
            for index, frames in enumerate(self.frames)
            for kind in self.kinds
            for camera in self.cameras
        }


def pixel_path(kind: PixelKind, camera: str, episode_index: int) -> str:
    """The file of an episode, below the folder."""
    return f"{kind}/{camera}/episode_{episode_index:06d}.mkv"


class PixelWriter:
    """A folder of pixels in the making.

    Args:
        root: Folder of the dataset; new or empty.
        spec: What all episodes share.
    """

    def __init__(self, root: Path, spec: DatasetSpec) -> None:
        self.root = root
        self._spec = spec
        self._first: SideVideos | None = None
        self._frames: list[int] = []

    def add(self, frames: EpisodeFrames, position: Position, videos: dict[str, EpisodeVideo]) -> tuple[WrittenEpisode, ...]:
        """Copy what was drawn of an episode beside the colour.

        Raises:
            EpisodeUnusable: Nothing was, or something else than of the episodes before it.
        """
        del videos
        drawn = frames.side_videos
        if not drawn.files:
            raise EpisodeUnusable(frames.episode_id, "certificate.json", "depth, segmentation", "neither", "one, or both, drawn by the run")
        self._first = first = self._first or drawn
        if (drawn.files.keys(), drawn.labels) != (first.files.keys(), first.labels):
            raise EpisodeUnusable(
                frames.episode_id, "certificate.json", "depth, segmentation", str(sorted(drawn.files)), f"{sorted(first.files)}, as before"
            )
        for (kind, camera), path in drawn.files.items():
            final = self.root / pixel_path(kind, camera, position.episode_index)
            shutil.copyfile(path, part_path(final))
            part_path(final).replace(final)
        self._frames.append(frames.length)
        return ()

    def record(self, episode: WrittenEpisode) -> None:
        """Statistics are not part of this format."""

    def finish(self, totals: DatasetTotals) -> None:
        """Write what the values mean."""
        drawn = self._first or SideVideos()
        sizes: VideoFeature = totals.videos[0]
        kinds = [kind for kind in DTYPES if any(found == kind for found, _ in drawn.files)]
        index = PixelIndex(
            robot_type=self._spec.robot_type,
            fps=self._spec.fps,
            width=sizes.width,
            height=sizes.height,
            cameras=tuple(dict.fromkeys(camera for _, camera in drawn.files)),
            kinds={kind: _MEANINGS[kind] for kind in kinds},
            labels=drawn.labels,
            tasks=totals.tasks,
            frames=tuple(self._frames),
        )
        write_json(self.root / INDEX, index.model_dump(mode="json"))
