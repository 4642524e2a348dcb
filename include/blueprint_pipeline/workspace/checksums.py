"""sha256 of files and folders."""

import hashlib
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from upath import UPath

from blueprint_pipeline.workspace.store_calls import LOCAL_PROTOCOLS


class FileDigest(BaseModel):
    """What identifies a file's bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size_bytes: int


def digest_file(path: Path | UPath) -> FileDigest:
    """Hash one file, in 1 MiB blocks.

    Source: FIPS 180-4 (SHA-256).
    """
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
