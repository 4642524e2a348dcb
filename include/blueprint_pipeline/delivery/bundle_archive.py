"""A bundle as an archive: tar, gzip or bzip2 around it, read in bounded memory whatever its bytes are.

An archive says of itself how much it holds, and can lie. So members are forgotten as soon as they were looked at; headers that tarfile
reads into memory are small or refused; kinds of members that no bundle needs (sparse files, global headers) are refused; and what a few
bytes expand to has a limit. The program of a lab must not be brought down by what it verifies.

Source: CPython ``tarfile`` (``_proc_member`` and ``_proc_gnusparse_*`` are the entry points of a member's header); RFC 8493 §4.1 (an
archive holds the bag as one top folder).
"""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self, cast

from blueprint_pipeline.delivery.bundle_source import MAX_TAG_BYTES, TAG_NAMES, Entry, NotABundle, has_special_bits
from blueprint_pipeline.workspace.checksums import FileDigest

_BLOCK_BYTES = 1 << 20
_MAX_HEADER_BYTES = 64 << 10
"""Of a member's extended header: a long name and attributes."""
_MAX_RATIO = 100
"""Unpacked over packed bytes, beyond the first blocks: what a bundle holds is compressed already."""
_FREE_BYTES = 16 << 20
"""What may be unpacked before the ratio counts: lists and zeros at the end."""
_EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_DAMAGED = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined]  # tarfile has them since 2.7; its type stubs leave them out
_REFUSED = {tarfile.GNUTYPE_SPARSE: "a sparse file", tarfile.XGLTYPE: "a global header"}
_TAG_DEPTH = 2
"""Tag files lie at the top, or in the one top folder."""
_UNREADABLE = (tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, OverflowError, RecursionError)
"""What tarfile and the decompressors raise on bytes that are no archive."""


class ArchiveSource:
    """A bundle as an archive.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._top = ""

    def read_tags(self) -> dict[str, bytes]:
        """See :class:`~blueprint_pipeline.delivery.bundle_source.BundleSource`."""
        tags: dict[str, bytes] = {}
        tops: set[str] = set()
        with self._open() as archive:
            for member in _members(archive):
                parts = _parts(member.name)
                if parts is None or parts[-1:] != [*TAG_NAMES & {*parts[-1:]}] or len(parts) > _TAG_DEPTH or not _is_plain(member):
                    continue
                tops.add("/".join(parts[:-1]))
                if len(tops) > 1:
                    raise NotABundle(str(self._path), f"it holds tag files of several bundles, in {' and '.join(map(repr, sorted(tops)))}")
                if member.size + sum(map(len, tags.values())) > MAX_TAG_BYTES:
                    raise NotABundle(str(self._path), f"{parts[-1]} is larger than {MAX_TAG_BYTES} bytes")
                tags.setdefault(parts[-1], b"".join(_blocks(archive, member)))
        self._top = next(iter(tops), "")
        return tags

    def entries(self, wanted: Callable[[Entry], bool]) -> Iterator[tuple[Entry, FileDigest | None]]:
        """See :class:`~blueprint_pipeline.delivery.bundle_source.BundleSource`."""
        with self._open() as archive:
            for member in _members(archive):
                entry = self._entry(member)
                if entry is None:
                    continue
                digest = None
                if entry.kind == "file" and wanted(entry):
                    running = hashlib.sha256()
                    for block in _blocks(archive, member):
                        running.update(block)
                    digest = FileDigest(sha256=running.hexdigest(), size_bytes=member.size)
                yield entry, digest
            if not _is_blank(archive):
                yield Entry("(bytes after the end of the archive)", "outside"), None

    def _entry(self, member: tarfile.TarInfo) -> Entry | None:
        """A member as an entry of the bundle; ``None``: the bundle's own folder."""
        parts = _parts(member.name)
        top = [self._top] if self._top else []
        if parts is None or parts[: len(top)] != top:
            return Entry(member.name, "outside")
        name = "/".join(parts[len(top) :])
        if member.isdir():
            return Entry(name, "folder") if name else None
        if not name:
            return Entry(member.name, "outside")
        if not _is_plain(member):
            return Entry(name, "other")
        return Entry(name, "file", member.size, has_special_bits(member.mode))

    @contextmanager
    def _open(self) -> Iterator[tarfile.TarFile]:
        try:
            with self._path.open("rb") as packed, tarfile.TarFile(fileobj=_unpack(packed), tarinfo=_Member) as archive:
                yield archive
        except _UNREADABLE as error:
            raise NotABundle(str(self._path), f"the archive cannot be read ({error})") from error


class _Member(tarfile.TarInfo):
    """A member of an archive whose headers take little memory."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """The next member; tarfile itself takes a header that is damaged, or cut off, for the end of the archive."""
        try:
            return super().fromtarfile(archive)
        except _DAMAGED as error:
            raise tarfile.ReadError(str(error)) from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _REFUSED:
            raise tarfile.ReadError(f"it holds {_REFUSED[self.type]}")
        if self.type in _EXTENDED and self.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]  # what tarfile calls for each member; its type stubs leave it out
        return found

    def _refuse_sparse(self, *_: object) -> None:
        raise tarfile.ReadError("it holds a sparse file")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


class _Unpacked(io.RawIOBase):
    """What a compressed file unpacks to, read forwards, as far as it does not expand to more than it may."""

    def __init__(self, packed: IO[bytes], unpacked: IO[bytes]) -> None:
        self._packed, self._unpacked = packed, unpacked

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise ValueError("an archive is read in blocks")
        data = self._unpacked.read(size)
        if self.tell() > _FREE_BYTES + _MAX_RATIO * self._packed.tell():
            raise tarfile.ReadError(f"it expands to more than {_MAX_RATIO} times its size")
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or offset < self.tell():
            raise ValueError("an archive is read forwards")
        while (left := offset - self.tell()) > 0 and self.read(min(left, _BLOCK_BYTES)):
            pass
        return self.tell()

    def tell(self) -> int:
        return self._unpacked.tell()


def _unpack(packed: IO[bytes]) -> IO[bytes]:
    """The tar in a file.

    Raises:
        tarfile.ReadError: It is compressed in a way that takes as much memory as its writer chose.
    """
    magic = packed.read(6)
    packed.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", _Unpacked(packed, cast("IO[bytes]", gzip.GzipFile(fileobj=packed))))
    if magic[:3] == b"BZh":
        return cast("IO[bytes]", _Unpacked(packed, bz2.BZ2File(packed)))
    if magic == b"\xfd7zXZ\0" or magic[:4] == b"\x28\xb5\x2f\xfd":
        raise tarfile.ReadError("it is compressed with xz or zstd, which ask for as much memory as their writer chose; unpack it first")
    return packed


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """All members, each forgotten after its turn: a small file can hold millions of headers."""
    listed = cast("Any", archive).members
    while (member := archive.next()) is not None:
        listed.clear()
        yield member


def _blocks(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    stream = archive.extractfile(member)
    while stream and (block := stream.read(_BLOCK_BYTES)):
        yield block


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.isreg() and not member.issparse()


def _is_blank(archive: tarfile.TarFile) -> bool:
    """Whether nothing but zeros follows the block of zeros that ends the members: another program may read on where this one stops."""
    stream = cast("IO[bytes]", archive.fileobj)
    while block := stream.read(_BLOCK_BYTES):
        if block.strip(b"\0"):
            return False
    return True


def _parts(name: str) -> list[str] | None:
    """The parts of a member's name; ``None`` where it leads out of its folder or can be read in two ways."""
    parts = name.removesuffix("/").split("/")
    while parts[:1] == ["."]:
        parts = parts[1:]
    return None if {"", ".", ".."} & {*parts} else parts
