"""A file that somebody else reads, hashed on the way."""

import hashlib
import io
from pathlib import Path

from blueprint_pipeline.workspace.checksums import FileDigest

_BLOCK_BYTES = 1 << 20


class HashedReading(io.RawIOBase):
    """Reads a local file for a decoder, which goes through it more or less in order, and hashes what comes by.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._digest = hashlib.sha256()
        self._hashed = 0
        """So many bytes from its start."""

    def readinto(self, block: memoryview) -> int:  # type: ignore[override]  # any buffer will do; io gives a memoryview
        """See :class:`io.RawIOBase`."""
        start = self._file.tell()
        count = self._file.readinto(block)
        if start <= self._hashed < start + count:
            self._digest.update(block[self._hashed - start : count])
            self._hashed = start + count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See :class:`io.RawIOBase`."""
        return self._file.seek(offset, whence)

    def seekable(self) -> bool:
        """See :class:`io.RawIOBase`."""
        return True

    def readable(self) -> bool:
        """See :class:`io.RawIOBase`."""
        return True

    def finish(self) -> FileDigest:
        """The digest of the whole file, what the decoder left out included."""
        self._file.seek(self._hashed)
        while block := self._file.read(_BLOCK_BYTES):
            self._digest.update(block)
            self._hashed += len(block)
        return FileDigest(sha256=self._digest.hexdigest(), size_bytes=self._hashed)

    def close(self) -> None:
        """See :class:`io.RawIOBase`."""
        self._file.close()
        super().close()
