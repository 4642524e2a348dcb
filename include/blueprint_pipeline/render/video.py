"""Encodes frames into a video as they are drawn, once, and measures their pixels on the way.

H.264, yuv420p, a keyframe first, no B-frames, a short group of pictures (2 frames, LeRobot's default): datasets cut,
join and seek these files without encoding again. A small preview is encoded on the way. One thread and bit-exact muxing: the same
frames give the same bytes.
"""

from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from scipy import ndimage

from blueprint_pipeline.episode.record import CameraSight, VideoRecord, preview_name
from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.render.encoding import FrameWriter, Mp4Writer
from blueprint_pipeline.render.preview import PreviewWriter

CRF = 23
PRESET = "ultrafast"
GROUP_OF_PICTURES = 2
SHARPNESS_STRIDE = 15
"""Frames between two of which the sharpness is measured."""


class VideoWriter(Mp4Writer):
    """One camera's video, with its preview beside it.

    Args:
        path: File to write, ``.mp4``.
        width: Pixels, even.
        height: Pixels, even.
        fps: Frames a second.
    """

    def __init__(self, path: Path, width: int, height: int, fps: int) -> None:
        super().__init__(path, fps, width, height)
        self._preview = PreviewWriter(path.with_name(preview_name(path.stem)), width, height, fps)
        self._width, self._height, self._fps = width, height, fps
        self._stream.codec_context.gop_size = GROUP_OF_PICTURES
        self._stream.options = {
            "crf": str(CRF),
            "preset": PRESET,
            "x264-params": f"keyint={GROUP_OF_PICTURES}:min-keyint={GROUP_OF_PICTURES}:scenecut=0:bframes=0:threads=1",
        }
        self._reformatter = VideoReformatter()
        self._pixels = PixelStatistics()

    def write(self, image: ImageArray, *, moving: bool) -> None:
        """Append a frame.

        Args:
            image: RGB, (height, width, 3).
            moving: Whether what the camera shows moves at this instant; equal frames count as frozen only then.
        """
        source = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = self._reformatter.reformat(source, format="yuv420p", interpolation="FAST_BILINEAR")
        self._pixels.add(_luma(frame, self._width, self._height), moving=moving)
        self._append(frame)
        self._preview.see(source)

    def close(self) -> None:
        """Finish the video and its preview."""
        super().close()
        self._preview.close()

    def abandon(self) -> None:
        """Write neither."""
        super().abandon()
        self._preview.abandon()

    def record(self, sight: CameraSight | None) -> VideoRecord:
        """What was written, and what the camera sees in it; call after :meth:`close`."""
        return VideoRecord(
            digest=self.digest(),
            frames=self._frames,
            width=self._width,
            height=self._height,
            fps=self._fps,
            codec="h264",
            pix_fmt="yuv420p",
            mean_luma=self._pixels.mean_luma,
            std_luma=self._pixels.std_luma,
            frozen_frames=self._pixels.frozen_frames,
            sight=sight,
            sharpness=self._pixels.sharpness,
        )


class LosslessWriter(FrameWriter):
    """Depth or segmentation of one camera: FFV1 in Matroska, every value exactly as drawn.

    Args:
        path: File to write, ``.mkv``.
        width: Pixels.
        height: Pixels.
        fps: Frames a second.
        pix_fmt: ``gray16le`` or ``gray``.
    """

    def __init__(self, path: Path, width: int, height: int, fps: int, pix_fmt: str) -> None:
        super().__init__(path, "ffv1", fps, container="matroska")
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, pix_fmt
        self._pix_fmt = pix_fmt

    def write(self, values: NDArray[np.uint16] | NDArray[np.uint8]) -> None:
        """Append a frame, (height, width)."""
        packed: NDArray[Any] = np.ascontiguousarray(values)
        self._append(av.VideoFrame.from_ndarray(packed, format=self._pix_fmt))


class PixelStatistics:
    """Brightness, contrast, frozen runs and sharpness of a video, over the luma that is encoded."""

    def __init__(self) -> None:
        self._means: list[float] = []
        self._stds: list[float] = []
        self._sharpness: list[float] = []
        self._last: NDArray[np.uint8] | None = None
        self._run = 1
        self.frozen_frames = 0
        """Longest run of equal consecutive frames while the robot moves; 0 if no two are equal."""

    def add(self, luma: NDArray[np.uint8], *, moving: bool) -> None:
        """Take one frame's luma, (height, width)."""
        mean, of_squares = _mean(luma), _mean(np.square(luma, dtype=np.uint16))
        self._stds.append(float(np.sqrt(max(0.0, of_squares - mean * mean))))
        if len(self._means) % SHARPNESS_STRIDE == 0:
            self._sharpness.append(float(ndimage.laplace(luma.astype(np.float32)).var()))
        self._means.append(mean)
        same = self._last is not None and moving and np.array_equal(luma, self._last)
        self._run = self._run + 1 if same else 1
        if same:
            self.frozen_frames = max(self.frozen_frames, self._run)
        self._last = luma.copy()

    @property
    def mean_luma(self) -> float:
        return float(np.mean(self._means))

    @property
    def std_luma(self) -> float:
        return min(self._stds)

    @property
    def sharpness(self) -> float:
        return min(self._sharpness)


def _mean(values: NDArray[np.uint8] | NDArray[np.uint16]) -> float:
    """The sum is exact, and so equal on every machine."""
    return int(values.sum(dtype=np.uint64)) / values.size


def _luma(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    rows: NDArray[np.uint8] = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a plane is a buffer
    return rows[:height, :width]
