"""Small pictures of an episode, made while it is drawn: contact sheets and stills come from them, and no video is decoded for that.

``{camera}.preview.mp4`` shows every fourth frame.
"""

from collections.abc import Container, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter

from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.render.encoding import Mp4Writer

PREVIEW_STRIDE = 4
"""Frames of the episode between two pictures."""
PREVIEW_WIDTH = 240
"""Pixels at most; the height follows."""


class PreviewWriter(Mp4Writer):
    """The small pictures of one camera.

    Args:
        path: File to write, ``.mp4``.
        width: Of the camera's own frames, pixels.
        height: Of these.
        fps: Frames of the episode a second.
    """

    def __init__(self, path: Path, width: int, height: int, fps: int) -> None:
        small = min(PREVIEW_WIDTH, width)
        super().__init__(path, Fraction(fps, PREVIEW_STRIDE), small, height_at(small, width, height))
        self._stream.options = {"crf": "27", "preset": "ultrafast", "x264-params": "threads=1"}
        self._scaler = VideoReformatter()
        self._seen = 0

    def see(self, frame: av.VideoFrame) -> None:
        """Take a frame of the episode, if it is one to show."""
        if self._seen % PREVIEW_STRIDE == 0:
            size = {"width": self._stream.width, "height": self._stream.height}
            self._append(self._scaler.reformat(frame, **size, format="yuv420p", interpolation="AREA"))
        self._seen += 1


def read_preview(path: Path, width: int | None = None) -> Iterator[ImageArray]:
    """Pictures of a preview, as they are or scaled to a width: RGB (h, w, 3)."""
    with av.open(str(path)) as container:
        for _, image in _decode(container, width, None):
            yield image


def read_stills(path: Path, count: int, width: int | None = None) -> list[ImageArray]:
    """So many pictures of a preview, evenly spread from the first to the last: RGB (h, w, 3)."""
    with av.open(str(path)) as container:
        chosen = np.linspace(0, container.streams.video[0].frames - 1, count).round().astype(int).tolist()
        pictures = dict(_decode(container, width, set(chosen)))
    return [pictures[number] for number in chosen]


def _decode(container: InputContainer, width: int | None, wanted: Container[int] | None) -> Iterator[tuple[int, ImageArray]]:
    """Numbers and pictures of those that are wanted (``None``: all)."""
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    scaler = VideoReformatter()  # kept for the whole file: setting one up costs more than scaling a picture
    for number, frame in enumerate(container.decode(stream)):
        if wanted is None or number in wanted:
            shown = width or frame.width
            height = height_at(shown, frame.width, frame.height)
            small = scaler.reformat(frame, width=shown, height=height, format="rgb24", interpolation="AREA")
            yield number, np.asarray(small.to_ndarray(), dtype=np.uint8)


def height_at(width: int, of_width: int, of_height: int) -> int:
    """Even height of a picture that is scaled to a width."""
    return 2 * max(1, round(width * of_height / of_width / 2))
