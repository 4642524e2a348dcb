"""sha256 of files and folders. A byte is hashed once: where it is read first, or while it is written."""

import hashlib
import io
import os
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from upath import UPath

from blueprint_pipeline.workspace.store_calls import LOCAL_PROTOCOLS

_BLOCK_BYTES = 1 << 20
_TICK_NS = 50_000_000
"""Longer than the steps in which file systems keep time."""
_MOST_KNOWN = 100_000
_known: "KnownDigests" = {}
"""Of this process."""
_lock = threading.Lock()


class FileDigest(BaseModel):
    """What identifies a file's bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size_bytes: int


KnownDigests = dict[tuple[int, ...], FileDigest]
"""Digests by the identity of a local file: where it lies on which disk, its size and its times."""


def digest_file(path: Path | UPath) -> FileDigest:
    """Hash one file, in 1 MiB blocks; a local file that this process hashed before and that nobody touched since is not read again.

    Source: FIPS 180-4 (SHA-256).
    """
    local = _local(path)
    if local is None:
        return _hash(path)
    identity = _identity(local)
    with _lock:
        known = _known.get(identity)
    if known is not None:
        return known
    digest = _hash(local)
    _remember(local, identity, digest)
    return digest


def digest_bytes(data: bytes) -> FileDigest:
    """Digest of bytes in memory."""
    return FileDigest(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def read_file(path: Path) -> tuple[bytes, FileDigest]:
    """A local file and its digest, from one reading; the bytes are hashed unless this process knows them."""
    before = _identity(path)
    data = path.read_bytes()
    with _lock:
        known = _known.get(before)
    if known is not None and _identity(path) == before:
        return data, known
    digest = digest_bytes(data)
    _remember(path, before, digest)
    return data, digest


def write_file(path: Path, data: bytes, digest: FileDigest | None = None) -> FileDigest:
    """Write a local file whose bytes need not be read to be hashed; its folder is made.

    Args:
        path: No other process writes to it.
        data: Its bytes.
        digest: Of these bytes, where the caller knows it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return know_file(path, digest or digest_bytes(data))


def copy_file(source: Path, target: Path) -> FileDigest:
    """Copy a local file, and hash it on the way; the target's folder is made, and no other process writes to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size_bytes = 0
    block = memoryview(bytearray(_BLOCK_BYTES))
    with source.open("rb", buffering=0) as read, target.open("wb") as copy:  # a raw file would write short on a full disk, and say nothing
        while count := read.readinto(block):
            digest.update(block[:count])
            copy.write(block[:count])
            size_bytes += count
    return know_file(target, FileDigest(sha256=digest.hexdigest(), size_bytes=size_bytes))


def know_file(path: Path, digest: FileDigest) -> FileDigest:
    """Remember the digest of a local file that this process has just written whole, or read to its end, and that no other writes to.

    The file gets a time of change to the nanosecond, which no later writing gives it: that one has the time of a tick of the clock.
    """
    now_ns = time.time_ns()
    os.utime(path, ns=(now_ns, now_ns))
    identity = _identity(path)
    if identity[3] == now_ns:
        _keep(identity, digest)
    return digest


def known_below(folder: Path) -> KnownDigests:
    """What this process knows of the files in a folder, for a process that is to read them, too (:func:`adopt_digests`)."""
    identities = [_identity(folder / name) for name in list_files(folder)]
    with _lock:
        return {identity: _known[identity] for identity in identities if identity in _known}


def adopt_digests(known: KnownDigests) -> None:
    """Know what another process of this machine knew; a file that changed since is read."""
    with _lock:
        _known.update(known)


def move_file(source: Path, target: Path) -> None:
    """Rename a file; what was known of its bytes stays known."""
    before = _identity(source)
    source.replace(target)
    with _lock:
        known = _known.pop(before, None)
        if known is not None:
            _known[_identity(target)] = known


def _local(path: Path | UPath) -> Path | None:
    if isinstance(path, UPath):
        return Path(path.path) if path.protocol in LOCAL_PROTOCOLS else None
    return path


def _identity(path: Path) -> tuple[int, ...]:
    """What changes whenever a file's bytes do: the kernel sets its change time (ctime), and no program can set it back."""
    stat = path.stat()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _remember(path: Path, identity: tuple[int, ...], digest: FileDigest) -> None:
    """Keep a digest, unless the file changed meanwhile or may yet change within the same tick of the file system's clock."""
    if _identity(path) != identity or time.time_ns() - identity[3] < _TICK_NS:
        return
    _keep(identity, digest)


def _keep(identity: tuple[int, ...], digest: FileDigest) -> None:
    with _lock:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[identity] = digest


def _hash(path: Path | UPath) -> FileDigest:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")  # type: ignore[arg-type]  # UPath types it too widely
        return FileDigest(sha256=digest.hexdigest(), size_bytes=stream.seek(0, io.SEEK_END))


def list_files(root: Path | UPath) -> list[str]:
    """Paths of all files under ``root``, relative to it, with ``/``, sorted.

    An object store is asked for its list once: gcsfs answers "no file" where a look at a single object fails.
    """
    prefix = root.path.rstrip("/") if isinstance(root, UPath) else root.as_posix()
    if isinstance(root, UPath) and root.protocol not in LOCAL_PROTOCOLS:
        found = [path for path in root.fs.find(prefix) if path != prefix and not path.endswith("/")]
        return sorted(path[len(prefix) + 1 :] for path in found)
    return sorted(
        path.as_posix()[len(prefix) + 1 :] if isinstance(path, Path) else path.path[len(prefix) + 1 :]
        for path in root.rglob("*")
        if path.is_file()
    )


def digest_files(root: Path | UPath, names: Iterable[str]) -> dict[str, FileDigest]:
    """Hash ``names`` under ``root`` on two threads (sha256 leaves the interpreter lock), in the order given."""
    ordered = list(names)
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(ordered, pool.map(lambda name: digest_file(root / name), ordered), strict=True))
