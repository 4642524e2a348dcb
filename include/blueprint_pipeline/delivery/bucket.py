"""A lab's bucket: a folder or any fsspec URL, with retries, and with what it holds read back by sha256."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from upath import UPath

from blueprint_pipeline.errors import ConfigurationError, TransientError
from blueprint_pipeline.public_url import public_url
from blueprint_pipeline.workspace.checksums import FileDigest, digest_file, list_files
from blueprint_pipeline.workspace.store_calls import LOCAL_PROTOCOLS, StoreCalls, look_up

_REMOTE_THREADS = 8
_LOCAL_THREADS = 2

Result = TypeVar("Result")


class BucketUnreachable(TransientError):
    """The lab's bucket did not answer, after retries."""

    code = "delivery.bucket_unreachable"
    template = "{location} could not be written or read after retries: {reason}. What was uploaded stays staged; run the stage again."

    location: str
    reason: str


class BucketRefused(ConfigurationError):
    """The lab's bucket refuses the call, and would refuse it again."""

    code = "delivery.bucket_refused"
    template = "{location} cannot be used: {reason}. Check the bucket's URL (the lab's profile or connection) and our rights in it."

    location: str
    reason: str


class Bucket:
    """Objects below one URL, by names with ``/``.

    Args:
        url: A folder (relative ones count from the working directory) or a URL such as ``gs://bucket/prefix``.
    """

    def __init__(self, url: str) -> None:
        self.url = public_url(url).rstrip("/")
        self.root = UPath(url if "://" in url else str(Path(url).absolute()))
        self._is_local = self.root.protocol in LOCAL_PROTOCOLS
        self._calls = StoreCalls(self.root.protocol, unreachable=BucketUnreachable, refused=BucketRefused)

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below ``prefix``, relative to it, sorted."""
        folder = self.root / prefix

        def listing() -> list[str]:
            folder.fs.invalidate_cache()
            return list_files(folder) if not self._is_local or folder.exists() else []

        return self._call(prefix, listing)

    def digests(self, names: Iterable[str]) -> dict[str, FileDigest]:
        """Read objects back and hash them."""
        return self._each(names, lambda name: self._call(name, lambda: digest_file(self.root / name)))

    def put(self, files: dict[str, Path]) -> None:
        """Copy local files to names; an object that is there is replaced."""
        self._each(files, lambda name: self._call(name, lambda: self._put_file(files[name], name)))

    def move(self, names: Iterable[tuple[str, str]]) -> None:
        """Give objects (name, new name), in order; within a bucket no byte travels through this process."""
        for name, new_name in names:
            self._call(name, partial(self._move_file, name, new_name))

    def read_bytes(self, name: str) -> bytes | None:
        """Bytes of an object, or ``None`` if there is none."""
        return self._call(name, lambda: look_up(self.root / name, lambda path: bytes(path.read_bytes())))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a small object whole."""

        def write() -> None:
            path = self.root / name
            if not self._is_local:
                path.write_bytes(data)
                return
            beside = Path(path.path).with_name(f".{path.name}.part")
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(data)
            beside.replace(path.path)

        self._call(name, write)

    def remove_folder(self, name: str) -> None:
        """Remove everything below ``name``; nothing there is no error."""

        def remove() -> None:
            folder = self.root / name
            folder.fs.invalidate_cache()
            if folder.exists() if self._is_local else folder.fs.find(folder.path):
                folder.fs.rm(folder.path, recursive=True)
            if self._is_local and folder.parent.exists() and not any(folder.parent.iterdir()):
                folder.parent.rmdir()

        self._call(name, remove)

    def _put_file(self, source: Path, name: str) -> None:
        target = self.root / name
        if self._is_local:
            Path(target.path).parent.mkdir(parents=True, exist_ok=True)
        target.fs.put_file(str(source), target.path)

    def _move_file(self, name: str, new_name: str) -> None:
        source, target = self.root / name, self.root / new_name
        if self._is_local:
            Path(target.path).parent.mkdir(parents=True, exist_ok=True)
            Path(source.path).replace(target.path)
            return
        source.fs.cp_file(source.path, target.path)  # the staged object goes with its folder: a retry must find it

    def _each(self, names: Iterable[str], work: Callable[[str], Result]) -> dict[str, Result]:
        ordered = list(names)
        with ThreadPoolExecutor(max_workers=_LOCAL_THREADS if self._is_local else _REMOTE_THREADS) as pool:
            return dict(zip(ordered, pool.map(work, ordered), strict=True))

    def _call(self, name: str, work: Callable[[], Result]) -> Result:
        return self._calls(f"{self.url}/{name}", work)
