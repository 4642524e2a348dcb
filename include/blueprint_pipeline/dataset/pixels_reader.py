"""Reads a folder of depth and segmentation back: what it says of itself, and whether every picture is there."""

from collections.abc import Iterator
from pathlib import Path

import av
from pydantic import ValidationError

from blueprint_pipeline.dataset.contract import DatasetDescription, DatasetFinding
from blueprint_pipeline.dataset.errors import NotADataset
from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.dataset.frames import PixelKind
from blueprint_pipeline.dataset.pixels import DTYPES, INDEX, PixelIndex

_PIX_FMTS: dict[PixelKind, str] = {"depth": "gray16le", "segmentation": "gray"}


class PixelReader:
    """Reads it."""

    def mismatch(self, folder: Path) -> str | None:
        """Why a folder is not of this format; ``None``: it says that it is."""
        return None if (folder / INDEX).is_file() else f"{INDEX} is missing"

    def describe(self, folder: Path) -> DatasetDescription:
        """What a dataset says of itself.

        Raises:
            NotADataset: Its index cannot be read.
        """
        index = load_index(folder)
        return DatasetDescription(
            folder=str(folder),
            version="depth_segmentation",
            robot_type=index.robot_type,
            fps=index.fps,
            episodes=len(index.frames),
            frames=sum(index.frames),
            tasks=index.tasks,
            features={
                f"{kind}.{camera}": {"dtype": DTYPES[kind], "shape": [index.height, index.width]}
                for kind in index.kinds
                for camera in index.cameras
            },
            size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        )

    def check(self, folder: Path) -> list[DatasetFinding]:
        """Files that are missing, too many, or of another length, size or kind than the index says; each is decoded.

        Raises:
            NotADataset: Its index cannot be read.
        """
        index = load_index(folder)
        wanted = index.files()
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.mkv")}
        findings = [_finding("missing", name, f"{INDEX} counts on it") for name in sorted(wanted.keys() - found)]
        findings += [_finding("unknown", name, f"no episode of {INDEX} has it") for name in sorted(found - wanted.keys())]
        for name in sorted(found & wanted.keys()):
            findings += _check_video(folder, name, index, *wanted[name])
        return findings


def load_index(folder: Path) -> PixelIndex:
    """What a folder of pixels holds.

    Raises:
        NotADataset: It does not say.
    """
    try:
        return PixelIndex.model_validate_json((folder / INDEX).read_bytes())
    except (OSError, ValidationError) as error:
        raise NotADataset(str(folder), f"{INDEX} cannot be read ({error})", list(FORMATS)) from error


def _finding(code: str, path: str, message: str) -> DatasetFinding:
    return DatasetFinding(f"pixels.{code}", path, message)


def _check_video(folder: Path, name: str, index: PixelIndex, kind: PixelKind, frames: int) -> Iterator[DatasetFinding]:
    expected = (_PIX_FMTS[kind], index.width, index.height)
    pictures, highest = 0, 0
    try:
        with av.open(str(folder / name)) as video:
            stream = video.streams.video[0]
            found = (stream.codec_context.pix_fmt, stream.width, stream.height)
            if found != expected:
                yield _finding("other_pictures", name, f"{found}, expected {expected}")
                return
            for picture in video.decode(stream):
                pictures += 1
                highest = max(highest, int(picture.to_ndarray().max()))
    except (av.FFmpegError, IndexError, OSError) as error:
        yield _finding("unreadable", name, str(error))
        return
    if pictures != frames:
        yield _finding("length", name, f"{pictures} pictures, expected {frames}")
    if kind == "segmentation" and highest >= len(index.labels):
        yield _finding("label", name, f"the value {highest} has no name among {len(index.labels)} labels")


READER = PixelReader()
