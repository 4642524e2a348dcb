"""The folder of a source scene, local or at any fsspec URL: listed, hashed, read."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

from upath import UPath

from blueprint_pipeline.scene.source_errors import SourceNotFound, SourceRefused, SourceUnreachable, UnsafePath
from blueprint_pipeline.workspace.checksums import FileDigest, digest_files, list_files
from blueprint_pipeline.workspace.store_calls import LOCAL_PROTOCOLS, StoreCalls

Value = TypeVar("Value")
_MAX_FILE_BYTES = 512 * 1024 * 1024


class SourceFiles(Protocol):
    """The files of a source scene, by their names in it."""

    @property
    def names(self) -> frozenset[str]:
        """Names of all files."""

    def read(self, name: str) -> bytes:
        """Bytes of a file."""


class SourceFolder:
    """Reads one source; calls to a server are tried again while that can help.

    Raises:
        SourceRefused: The address is malformed, no installed file system reads it, or it does not let this process in.
        SourceUnreachable: The server does not answer.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        try:
            self._root = UPath(source)
        except (ValueError, ImportError) as error:
            raise SourceRefused(source, str(error)) from error
        self._calls = StoreCalls(self._root.protocol, unreachable=SourceUnreachable, refused=SourceRefused)

    def digests(self) -> dict[str, FileDigest]:
        """sha256 and size of every file.

        Raises:
            SourceNotFound: There is no folder, or it is empty.
        """
        names = self._list()
        return self._call(lambda: digest_files(self._root, names))

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all files, each of which may be read.

        Raises:
            SourceNotFound: There is no folder, or it is empty.
            UnsafePath: It holds a link, a special file, a file that is too big, or a name that leads out of the folder.
        """
        names = self._list()
        if self._root.protocol in LOCAL_PROTOCOLS:
            _validate_plain(Path(self._root.path))
        for name in names:
            self._validate(name)
        return frozenset(names)

    def read(self, name: str) -> bytes:
        """Bytes of a file."""
        path = self._root / name
        return self._call(path.read_bytes)

    def _list(self) -> list[str]:
        names = self._call(lambda: list_files(self._root) if self._root.is_dir() else [])
        if not names:
            raise SourceNotFound(self._source)
        return names

    def _validate(self, name: str) -> None:
        if ".." in PurePosixPath(name).parts or "\\" in name:
            raise UnsafePath(name, "its name leads out of the scene's folder")
        path = self._root / name
        if self._call(lambda: path.stat().st_size) > _MAX_FILE_BYTES:
            raise UnsafePath(name, f"it is larger than {_MAX_FILE_BYTES} bytes")

    def _call(self, work: Callable[[], Value]) -> Value:
        return self._calls(self._source, work)


def _validate_plain(root: Path) -> None:
    for path in root.rglob("*"):
        if path.is_symlink():
            raise UnsafePath(path.relative_to(root).as_posix(), "it is a symbolic link")
        if not (path.is_file() or path.is_dir()):
            raise UnsafePath(path.relative_to(root).as_posix(), "it is neither a file nor a folder")
