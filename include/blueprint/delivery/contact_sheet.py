"""Small moving and still pictures of episodes, for the report page.

One silent H.264 video a camera shows all episodes at once as tiles, sped up; one strip of stills an episode shows how it
went. One encoder thread and bit-exact muxing: the same videos give the same bytes.
"""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

TILE_WIDTH, TILE_HEIGHT = 160, 120
COLUMNS = 6
MAX_TILES = 24
SAMPLE_EVERY = 3
"""Every third frame is shown."""
SHEET_FPS = 15
STRIP_STILLS = 6
_BACKGROUND = 244
_GAP = 4

ImageArray = NDArray[np.uint8]


def build_contact_sheet(videos: Sequence[Path]) -> bytes:
    """Draw up to :data:`MAX_TILES` videos as tiles of one MP4, row by row; an episode that ends early stands still.

    Args:
        videos: One camera's videos of the episodes, in order.
    """
    shown = videos[:MAX_TILES]
    columns = min(COLUMNS, len(shown))
    rows = ceil(len(shown) / columns)
    width, height = columns * (TILE_WIDTH + _GAP), rows * (TILE_HEIGHT + _GAP)
    canvas = np.full((height, width, 3), _BACKGROUND, dtype=np.uint8)
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=SHEET_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, SHEET_FPS)
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        stream.options = {"crf": "30", "preset": "veryfast", "x264-params": "threads=1"}
        tiles = [_sampled_frames(path) for path in shown]
        for pts, images in enumerate(_in_step(tiles)):
            for index, image in images:
                top, left = (index // columns) * (TILE_HEIGHT + _GAP), (index % columns) * (TILE_WIDTH + _GAP)
                canvas[top : top + TILE_HEIGHT, left : left + TILE_WIDTH] = image
            frame = av.VideoFrame.from_ndarray(canvas, format="rgb24")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()


def build_strip(video: Path) -> bytes:
    """Draw stills of one episode side by side, evenly spread from the first frame to the last, as JPEG."""
    frames = list(_sampled_frames(video))
    chosen = [frames[index] for index in np.linspace(0, len(frames) - 1, STRIP_STILLS).round().astype(int)]
    target = io.BytesIO()
    Image.fromarray(np.hstack(chosen)).save(target, format="JPEG", quality=72, optimize=True)
    return target.getvalue()


def _sampled_frames(path: Path) -> Iterator[ImageArray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(container.decode(stream)):
            if index % SAMPLE_EVERY == 0:
                small = frame.reformat(width=TILE_WIDTH, height=TILE_HEIGHT, format="rgb24", interpolation="AREA")
                yield np.asarray(small.to_ndarray(), dtype=np.uint8)


def _in_step(tiles: Sequence[Iterator[ImageArray]]) -> Iterator[list[tuple[int, ImageArray]]]:
    """Advance all videos together; each step lists the tiles that changed."""
    running = dict(enumerate(tiles))
    while running:
        step = []
        for index, frames in list(running.items()):
            image = next(frames, None)
            if image is None:
                del running[index]
            else:
                step.append((index, image))
        if step:
            yield step
