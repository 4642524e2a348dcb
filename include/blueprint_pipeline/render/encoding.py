"""Files with one stream of frames: on disk as they are encoded, or in memory until they are whole."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer

from blueprint_pipeline.workspace.checksums import FileDigest, digest_file, write_file

FASTSTART = {"movflags": "+faststart"}
"""The index of an MP4 file stands first, so that it plays while it loads."""


class FrameWriter:
    """A file with one stream of frames, equal to the byte whenever it is written again."""

    def __init__(self, path: Path, codec: str, rate: Fraction | int, *, container: str) -> None:
        self.path = path
        self._container = self._open(container)
        self._stream: Any = self._container.add_stream(codec, rate=rate)
        self._stream.time_base = 1 / Fraction(rate)
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.flags |= av.codec.context.Flags.bitexact
        self._frames = 0

    def _open(self, container: str) -> OutputContainer:
        return av.open(str(self.path), "w", format=container, options={"fflags": "+bitexact"})

    def close(self) -> None:
        """Flush the encoder and finish the file."""
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()

    def abandon(self) -> None:
        """Close without finishing, and remove the file."""
        self._container.close()
        self.path.unlink(missing_ok=True)

    def digest(self) -> FileDigest:
        """Of the file; call after :meth:`close`."""
        return digest_file(self.path)

    def _append(self, frame: av.VideoFrame) -> None:
        frame.pts = self._frames
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self._frames += 1


class Mp4Writer(FrameWriter):
    """H.264 in MP4 with its index first, some megabytes.

    It is put together in memory: the index is known last, and on a disk moving it to the front would read and write all of it again.
    """

    def __init__(self, path: Path, rate: Fraction | int, width: int, height: int) -> None:
        self._memory = io.BytesIO()
        super().__init__(path, "libx264", rate, container="mp4")
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.max_b_frames = 0

    def _open(self, container: str) -> OutputContainer:
        return av.open(self._memory, "w", format=container, options={"fflags": "+bitexact", **FASTSTART}, io_open=self._read_again)

    def _read_again(self, _url: str, _flags: int, _options: dict[str, str]) -> io.BytesIO:
        """What the muxer reads while it makes room for the index."""
        return io.BytesIO(self._memory.getvalue())

    def close(self) -> None:
        """Flush the encoder and write the file."""
        super().close()
        write_file(self.path, self._memory.getvalue())
        self._memory = io.BytesIO()
