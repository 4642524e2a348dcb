"""What lies in a bundle that somebody sent: its tag files first, then every entry, without trusting a name, a size or a kind.

Nothing is hashed but what the caller asks for, so that files which nobody signed cost nothing.
:mod:`blueprint_pipeline.delivery.bundle_archive` reads the same from an archive.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from blueprint_pipeline.delivery.bag import TAGMANIFEST_NAME, TAGS
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.workspace.checksums import FileDigest, digest_files

TAG_NAMES = frozenset({*TAGS, TAGMANIFEST_NAME})
MAX_TAG_BYTES = 64 << 20
"""What is read into memory of a bundle: the lists and the statement of a few hundred thousand files."""
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


class NotABundle(InputError):
    """What is to be verified is not a delivered bundle."""

    code = "delivery.not_a_bundle"
    template = (
        "{path} is not a delivered bundle: {reason}. Give the folder (or a .tar, .tar.gz or .tar.bz2 of it) that holds bagit.txt and "
        "statement.dsse.json."
    )

    path: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """One thing in a bundle."""

    name: str
    """Below the bundle's folder, with ``/``; where ``kind`` is ``outside``, as the archive has it."""
    kind: Literal["file", "folder", "other", "outside"]
    """``other``: a link, a device, a pipe; ``outside``: an archive's member that would not be unpacked below the bundle's folder."""
    size_bytes: int = 0
    special_bits: bool = False
    """A file that would run with its owner's rights (setuid, setgid, sticky)."""


class BundleSource(Protocol):
    """Reads a bundle; twice, in the order of these methods."""

    def read_tags(self) -> dict[str, bytes]:
        """The tag files that are plain files, by name.

        Raises:
            NotABundle: They are larger than :data:`MAX_TAG_BYTES`, or it cannot be told which bundle this is.
        """

    def entries(self, wanted: Callable[[Entry], bool]) -> Iterator[tuple[Entry, FileDigest | None]]:
        """Every entry, in some order, a name perhaps several times; with the digest of those files that are ``wanted``."""


class FolderSource:
    """A bundle as a folder.

    Args:
        path: The folder.

    Raises:
        NotABundle: There is no folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise NotABundle(str(path), "there is nothing at this path")
        self._path = path

    def read_tags(self) -> dict[str, bytes]:
        """See :class:`BundleSource`."""
        tags: dict[str, bytes] = {}
        for name in sorted(TAG_NAMES):
            path = self._path / name
            if path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size + sum(map(len, tags.values())) > MAX_TAG_BYTES:
                raise NotABundle(str(self._path), f"{name} is larger than {MAX_TAG_BYTES} bytes")
            tags[name] = path.read_bytes()
        return tags

    def entries(self, wanted: Callable[[Entry], bool]) -> Iterator[tuple[Entry, FileDigest | None]]:
        """See :class:`BundleSource`."""
        found = sorted(self._walk(self._path, ""), key=lambda entry: entry.name)
        digests = digest_files(self._path, [entry.name for entry in found if wanted(entry)])
        for entry in found:
            yield entry, digests.get(entry.name)

    def _walk(self, folder: Path, prefix: str) -> Iterator[Entry]:
        """Everything below a folder; links are not followed."""
        with os.scandir(folder) as items:
            for item in items:
                name, mode = f"{prefix}{item.name}", item.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    yield Entry(name, "folder")
                    yield from self._walk(Path(item.path), f"{name}/")
                elif stat.S_ISREG(mode):
                    yield Entry(name, "file", item.stat(follow_symlinks=False).st_size, has_special_bits(mode))
                else:
                    yield Entry(name, "other")


def has_special_bits(mode: int) -> bool:
    """Whether a file's mode says more than who may read, write and run it."""
    return bool(mode & _SPECIAL_BITS)
