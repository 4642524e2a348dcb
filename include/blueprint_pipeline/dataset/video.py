"""Videos are moved as packets: what was encoded at render time is what the lab gets.

An episode's video must start with a keyframe, hold no B-frames and run at a constant rate, so that episodes can be
joined without encoding and every frame has the time ``frame / fps``.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.video
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from blueprint_pipeline.dataset.features import VideoFeature
from blueprint_pipeline.dataset.layout import GrowingFile
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.workspace.checksums import FileDigest, know_file, read_file
from blueprint_pipeline.workspace.hashed_reading import HashedReading

_MUXER = {"movflags": "+faststart", "fflags": "+bitexact"}
"""The index stands first, so that a video plays while it loads; no encoder name or time gets into the file."""


class VideoMismatch(InputError):
    """A video is not what a dataset needs: one stream, one keyframe at its start, no B-frames, constant rate."""

    code = "dataset.video_mismatch"
    template = "{path}: {field} is {found}, expected {expected}. Render the episode again; videos are remuxed here, never encoded."

    path: str
    field: str
    found: object
    expected: object


@dataclass(frozen=True)
class EpisodeVideo:
    """An episode's video, checked packet by packet, and held in memory while every format takes its packets."""

    path: Path
    data: bytes
    """The file, some megabytes."""
    digest: FileDigest
    feature: VideoFeature
    frames: int
    parameter_sets: bytes
    """The codec's parameter sets; videos that are joined must have the same."""

    def open(self) -> "av.container.InputContainer":
        """To read its packets."""
        return av.open(io.BytesIO(self.data), "r")


def load_episode_video(path: Path, key: str, *, frames: int, fps: int) -> EpisodeVideo:
    """Read a video's packets, without decoding, and check that it can be joined to others.

    Args:
        path: The mp4 as rendered.
        key: LeRobot's name of the camera.
        frames: Frames that the episode has.
        fps: Rate that the dataset has [Hz].

    Raises:
        VideoMismatch: A frame is missing, late or out of order, or the first one is no keyframe.
    """
    if not path.is_file():
        raise VideoMismatch(str(path), "file", "missing", "an mp4")
    keyframes: list[int] = []
    count = 0
    data, digest = read_file(path)
    with av.open(io.BytesIO(data), "r") as container:
        if len(container.streams) != 1 or len(container.streams.video) != 1:
            raise VideoMismatch(str(path), "streams", [stream.type for stream in container.streams], "one video stream")
        stream = container.streams.video[0]
        for packet in _packets(container):
            _validate_packet(path, packet, count, fps)
            if packet.is_keyframe:
                keyframes.append(count)
            count += 1
        context = stream.codec_context
        if count != frames:
            raise VideoMismatch(str(path), "number of frames", count, frames)
        if not keyframes or keyframes[0] != 0:
            raise VideoMismatch(str(path), "first keyframe", keyframes[0] if keyframes else "absent", "frame 0")
        feature = VideoFeature(
            key=key,
            width=context.width,
            height=context.height,
            fps=fps,
            codec=context.name,
            pix_fmt=str(context.pix_fmt),
            gop=max(np.diff([*keyframes, count]).tolist()),
        )
        return EpisodeVideo(path, data, digest, feature, count, bytes(context.extradata or b""))


def _packets(container: "av.container.InputContainer") -> Iterator["av.Packet[av.VideoStream]"]:
    for packet in container.demux(video=0):
        if packet.size:
            yield packet


def _validate_packet(path: Path, packet: "av.Packet[av.VideoStream]", number: int, fps: int) -> None:
    if packet.pts is None or packet.time_base is None or packet.pts != packet.dts:
        raise VideoMismatch(str(path), f"frame {number}: presentation and decoding time", (packet.pts, packet.dts), "equal (no B-frames)")
    if packet.pts * packet.time_base != Fraction(number, fps):
        raise VideoMismatch(str(path), f"frame {number}: time [s]", float(packet.pts * packet.time_base), number / fps)


class VideoFile(GrowingFile):
    """One mp4 of a dataset, made by appending episodes' packets; each packet is read and written once."""

    def __init__(self, path: Path, first: EpisodeVideo) -> None:
        super().__init__(path)
        self.frames = 0
        self._first = first
        self._output = av.open(str(self._part), "w", format="mp4", options=_MUXER)
        with first.open() as template:
            self._stream = self._output.add_stream_from_template(template.streams.video[0])

    def append(self, video: EpisodeVideo) -> None:
        """Add an episode at the end.

        Raises:
            VideoMismatch: It was encoded with other parameters than the file's first episode.
        """
        first = self._first
        if video.parameter_sets != first.parameter_sets or replace(video.feature, gop=first.feature.gop) != first.feature:
            raise VideoMismatch(
                str(video.path), "encoding", video.feature, f"{first.feature} and the same parameter sets, as in {first.path}"
            )
        rate = Fraction(1, video.feature.fps)
        with video.open() as source:
            for number, packet in enumerate(_packets(source)):
                packet.time_base = rate
                packet.pts = packet.dts = self.frames + number
                packet.duration = 1
                packet.stream = self._stream
                self._output.mux(packet)
        self.frames += video.frames
        self.size_bytes += len(video.data)

    def _end(self) -> None:
        self._output.close()


def decode_frames(path: Path, wanted: set[int] | None = None) -> Iterator[tuple[int, npt.NDArray[np.uint8] | None]]:
    """Decode every frame; give its number, and its RGB image (H, W, 3) where ``wanted`` has the number (``None``: all).

    The file is one that this process wrote (:func:`~blueprint_pipeline.workspace.checksums.know_file`): when the last frame was taken, its
    digest is known, and it is not read again to be hashed.
    """
    with HashedReading(path) as file:
        with av.open(file, "r") as container:
            converter = VideoReformatter()  # kept for the whole video: setting one up costs more than converting a frame
            for number, frame in enumerate(container.decode(video=0)):
                if wanted is not None and number not in wanted:
                    yield number, None
                else:
                    yield number, np.asarray(converter.reformat(frame, format="rgb24").to_ndarray(), dtype=np.uint8)
        know_file(path, file.finish())
