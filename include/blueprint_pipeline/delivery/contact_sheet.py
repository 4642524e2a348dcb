"""Small moving and still pictures of episodes, for the report page; the same previews give the same bytes.

They are put together from the previews that were made when the episodes were drawn (:mod:`blueprint_pipeline.render.preview`). One silent
H.264 video a camera shows all episodes at once as tiles, sped up; one strip of stills an episode shows how it went. x264 runs on one thread
and without the macroblock tree of its preset ``veryfast``: with it, the bytes depended on what had been in memory before (seen with
PyAV 18.1 on short clips, 13 different files in 16 runs; none differ without it).
"""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.render.preview import PREVIEW_STRIDE, PREVIEW_WIDTH, read_preview, read_stills

MAX_TILES = 24
_LAYOUTS = ((1, 1, PREVIEW_WIDTH), (2, 2, PREVIEW_WIDTH), (6, 3, PREVIEW_WIDTH), (12, 4, PREVIEW_WIDTH), (MAX_TILES, 6, 160))
"""Up to so many videos: columns, and width of a tile in pixels."""
SHEET_FPS = 15
STRIP_STILLS, STILL_WIDTH = 6, 160
_BACKGROUND = 244
_GAP = 4
_MACROBLOCK = 16


def build_contact_sheet(previews: Sequence[Path]) -> bytes:
    """Draw up to :data:`MAX_TILES` episodes as tiles of one MP4, row by row; an episode that ends early stands still.

    Args:
        previews: One camera's previews of the episodes, all of one size, in order.
    """
    shown = previews[:MAX_TILES]
    columns, tile_width = next((columns, width) for most, columns, width in _LAYOUTS if len(shown) <= most)
    tile_height = len(next(read_preview(shown[0], tile_width)))
    width = _whole_blocks(columns * (tile_width + _GAP))
    height = _whole_blocks(ceil(len(shown) / columns) * (tile_height + _GAP))
    canvas = np.full((height, width, 3), _BACKGROUND, dtype=np.uint8)
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=SHEET_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, SHEET_FPS)
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        stream.options = {"crf": "30", "preset": "veryfast", "x264-params": "threads=1:mbtree=0"}
        converter = VideoReformatter()
        for pts, changed in enumerate(_in_step([read_preview(path, tile_width) for path in shown])):
            for index, picture in changed:
                top, left = (index // columns) * (tile_height + _GAP), (index % columns) * (tile_width + _GAP)
                canvas[top : top + tile_height, left : left + tile_width] = picture
            frame = converter.reformat(av.VideoFrame.from_ndarray(canvas, format="rgb24"), format="yuv420p")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()


def sheet_speed(fps: int) -> float:
    """How many times as fast as the episodes a contact sheet runs, whose cameras have ``fps`` frames a second."""
    return SHEET_FPS * PREVIEW_STRIDE / fps


def build_strip(preview: Path) -> bytes:
    """Draw stills of one episode side by side, evenly spread from the first frame to the last, as JPEG."""
    target = io.BytesIO()
    Image.fromarray(np.hstack(read_stills(preview, STRIP_STILLS, STILL_WIDTH))).save(target, format="JPEG", quality=72, optimize=True)
    return target.getvalue()


def _whole_blocks(pixels: int) -> int:
    """Round up to whole macroblocks, so that the encoder has no edge to fill."""
    return ceil(pixels / _MACROBLOCK) * _MACROBLOCK


def _in_step(tiles: Sequence[Iterator[ImageArray]]) -> Iterator[list[tuple[int, ImageArray]]]:
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
