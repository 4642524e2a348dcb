"""Small moving and still pictures of episodes, for the report page; the same videos give the same bytes.

One silent H.264 video a camera shows all episodes at once as tiles, sped up; one strip of stills an episode shows how it
went. x264 runs on one thread and without its macroblock tree: with it, the bytes depended on what had been in memory
before (seen with PyAV 18.1 on short clips, 13 different files in 16 runs; none differ without it).
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, islice
from math import ceil
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

MAX_TILES = 24
_LAYOUTS = ((1, 1, 480), (2, 2, 480), (6, 3, 320), (12, 4, 240), (MAX_TILES, 6, 160))
"""Up to so many videos: columns, and width of a tile in pixels."""
SAMPLE_EVERY_KEYFRAMES = 2
"""Every second keyframe is shown, which is every fourth frame: no other frame is decoded."""
SHEET_FPS = 15
STRIP_STILLS, STILL_WIDTH = 6, 160
_BACKGROUND = 244
_GAP = 4
_MACROBLOCK = 16

Picture = NDArray[np.uint8]


def build_contact_sheet(videos: Sequence[Path]) -> bytes:
    """Draw up to :data:`MAX_TILES` videos as tiles of one MP4, row by row; an episode that ends early stands still.

    Args:
        videos: One camera's videos of the episodes, all of one size, in order.
    """
    shown = videos[:MAX_TILES]
    columns, tile_width = next((columns, width) for most, columns, width in _LAYOUTS if len(shown) <= most)
    tile_height = len(next(_sampled_pictures(shown[0], tile_width)))
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
        for pts, changed in enumerate(_in_step([_sampled_pictures(path, tile_width) for path in shown])):
            for index, picture in changed:
                top, left = (index // columns) * (tile_height + _GAP), (index % columns) * (tile_width + _GAP)
                canvas[top : top + tile_height, left : left + tile_width] = picture
            frame = converter.reformat(av.VideoFrame.from_ndarray(canvas, format="rgb24"), format="yuv420p")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()


def build_strip(video: Path) -> bytes:
    """Draw stills of one episode side by side, evenly spread from the first frame to the last, as JPEG."""
    with _open_video(video) as (container, stream):
        packets = list(_sampled_packets(container, stream))
        chosen = np.linspace(0, len(packets) - 1, STRIP_STILLS).round().astype(int).tolist()
        wanted = sorted(set(chosen))
        pictures = dict(zip(wanted, _draw_packets(stream, [packets[index] for index in wanted], STILL_WIDTH), strict=True))
    target = io.BytesIO()
    Image.fromarray(np.hstack([pictures[index] for index in chosen])).save(target, format="JPEG", quality=72, optimize=True)
    return target.getvalue()


def _sampled_pictures(path: Path, width: int) -> Iterator[Picture]:
    """Every second keyframe, RGB (h, width, 3)."""
    with _open_video(path) as (container, stream):
        yield from _draw_packets(stream, _sampled_packets(container, stream), width)


@contextmanager
def _open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        yield container, stream


def _sampled_packets(container: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream]"]:
    """Every second keyframe, as it is encoded."""
    keyframes = (packet for packet in container.demux(stream) if packet.is_keyframe)
    return islice(keyframes, 0, None, SAMPLE_EVERY_KEYFRAMES)


def _draw_packets(stream: VideoStream, packets: Iterable["Packet[VideoStream]"], width: int) -> Iterator[Picture]:
    """Decode keyframes and scale them to a width, (h, width, 3) RGB."""
    scaler = VideoReformatter()  # kept for the whole video: setting one up costs more than scaling a frame
    for packet in chain(packets, [None]):  # last, what the decoder holds back
        for frame in stream.codec_context.decode(packet):
            height = 2 * max(1, round(width * frame.height / frame.width / 2))
            small = scaler.reformat(frame, width=width, height=height, format="rgb24", interpolation="AREA")
            yield np.asarray(small.to_ndarray(), dtype=np.uint8)


def _whole_blocks(pixels: int) -> int:
    """Round up to whole macroblocks, so that the encoder has no edge to fill."""
    return ceil(pixels / _MACROBLOCK) * _MACROBLOCK


def _in_step(tiles: Sequence[Iterator[Picture]]) -> Iterator[list[tuple[int, Picture]]]:
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
