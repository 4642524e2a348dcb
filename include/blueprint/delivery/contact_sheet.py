"""Small moving and still pictures of episodes, for the report page.

One silent H.264 video a camera shows all episodes at once as tiles, sped up; one strip of stills an episode shows how it
went. Pictures stay in the planes that the decoder gives (Y, Cb, Cr) and are scaled by Pillow: swscale, which reads past
the end of rows, gave now and then other bytes for the same video. One encoder thread and bit-exact muxing do the rest.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

TILE_WIDTH = 160
COLUMNS = 6
MAX_TILES = 24
SAMPLE_EVERY = 3
"""Every third frame is shown."""
SHEET_FPS = 15
STRIP_STILLS = 6
_GAP = 4
_PAPER_Y, _NEUTRAL = 228, 128
_MACROBLOCK = 16
_PIXEL_FORMAT = "yuv420p"

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class _Picture:
    """A small picture in 4:2:0: full luma (h, w), both chroma planes (h / 2, w / 2); limited range."""

    y: Plane
    cb: Plane
    cr: Plane

    @property
    def height(self) -> int:
        return len(self.y)


def build_contact_sheet(videos: Sequence[Path]) -> bytes:
    """Draw up to :data:`MAX_TILES` videos as tiles of one MP4, row by row; an episode that ends early stands still.

    Args:
        videos: One camera's videos of the episodes, all of one size, in order.
    """
    shown = videos[:MAX_TILES]
    columns = min(COLUMNS, len(shown))
    tile_height = next(_sampled_pictures(shown[0])).height
    width, height = _whole(columns * (TILE_WIDTH + _GAP)), _whole(ceil(len(shown) / columns) * (tile_height + _GAP))
    canvas = _Picture(
        *(np.full((height // part, width // part), value, np.uint8) for part, value in ((1, _PAPER_Y), (2, _NEUTRAL), (2, _NEUTRAL)))
    )
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=SHEET_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, _PIXEL_FORMAT
        stream.time_base = Fraction(1, SHEET_FPS)
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        stream.options = {"crf": "30", "preset": "veryfast", "x264-params": "threads=1"}
        for pts, changed in enumerate(_in_step([_sampled_pictures(path) for path in shown])):
            for index, picture in changed:
                _paste(canvas, picture, top=(index // columns) * (tile_height + _GAP), left=(index % columns) * (TILE_WIDTH + _GAP))
            planes = np.concatenate([plane.ravel() for plane in (canvas.y, canvas.cb, canvas.cr)]).reshape(-1, width)
            frame = av.VideoFrame.from_ndarray(planes, format=_PIXEL_FORMAT)
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()


def build_strip(video: Path) -> bytes:
    """Draw stills of one episode side by side, evenly spread from the first frame to the last, as JPEG."""
    pictures = list(_sampled_pictures(video))
    chosen = [pictures[index] for index in np.linspace(0, len(pictures) - 1, STRIP_STILLS).round().astype(int)]
    target = io.BytesIO()
    Image.fromarray(np.hstack([_to_rgb(picture) for picture in chosen])).save(target, format="JPEG", quality=72, optimize=True)
    return target.getvalue()


def _sampled_pictures(path: Path) -> Iterator[_Picture]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(container.decode(stream)):
            if index % SAMPLE_EVERY == 0:
                yield _shrink(frame if frame.format.name == _PIXEL_FORMAT else frame.reformat(format=_PIXEL_FORMAT))


def _shrink(frame: av.VideoFrame) -> _Picture:
    planes = np.asarray(frame.to_ndarray(), dtype=np.uint8)
    width, height = frame.width, frame.height
    y, chroma = planes[:height], planes[height:].reshape(2, height // 2, width // 2)
    half_height = max(1, round(TILE_WIDTH * height / width / 2))
    cb, cr = (_resize(plane, TILE_WIDTH // 2, half_height) for plane in chroma)
    return _Picture(_resize(y, TILE_WIDTH, 2 * half_height), cb, cr)


def _resize(plane: Plane, width: int, height: int) -> Plane:
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BOX))


def _whole(pixels: int) -> int:
    """Round up to whole macroblocks, so that the encoder has no edge to fill."""
    return ceil(pixels / _MACROBLOCK) * _MACROBLOCK


def _paste(canvas: _Picture, picture: _Picture, *, top: int, left: int) -> None:
    for target, source, part in ((canvas.y, picture.y, 1), (canvas.cb, picture.cb, 2), (canvas.cr, picture.cr, 2)):
        rows, columns = source.shape
        target[top // part : top // part + rows, left // part : left // part + columns] = source


def _to_rgb(picture: _Picture) -> Plane:
    """Full-range RGB, (h, w, 3).

    Source: ITU-R BT.601, limited range.
    """
    y = 1.164383 * (picture.y.astype(np.float64) - 16.0)
    cb, cr = (plane.repeat(2, axis=0).repeat(2, axis=1).astype(np.float64) - 128.0 for plane in (picture.cb, picture.cr))
    rgb = np.stack([y + 1.596027 * cr, y - 0.391762 * cb - 0.812968 * cr, y + 2.017232 * cb], axis=-1)
    return np.clip(rgb.round(), 0, 255).astype(np.uint8)


def _in_step(tiles: Sequence[Iterator[_Picture]]) -> Iterator[list[tuple[int, _Picture]]]:
    """Advance all videos together; each step lists the tiles that changed."""
    running = dict(enumerate(tiles))
    while running:
        step = []
        for index, pictures in list(running.items()):
            picture = next(pictures, None)
            if picture is None:
                del running[index]
            else:
                step.append((index, picture))
        if step:
            yield step
