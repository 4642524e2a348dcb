"""Files that are written beside their place and renamed: readers see the whole file, or none."""

import contextlib
import os
import uuid
from pathlib import Path
from time import time

_PART = ".part"
"""End of the name of a file that is being written."""
_LEFT_PART_S = 86400.0
"""Age from which a part is what a killed process left [s]."""


def is_part(path: str) -> bool:
    """Whether a path is of a file that is being written."""
    name = path.rpartition("/")[2]
    return name.startswith(".") and name.endswith(_PART)


def part_of(path: Path, folder: Path) -> Path:
    """Where this call writes what becomes ``path``, in a folder of the same disk; other pods may write there, too."""
    return folder / f".{path.name}.{uuid.uuid4().hex}{_PART}"


def remove_left_parts(folder: Path) -> None:
    """Remove what killed processes were copying; a copy that is still under way was written to lately."""
    for part in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            if time() - part.stat().st_mtime > _LEFT_PART_S:
                part.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write beside, then rename: readers see the whole file, or none."""
    beside = part_of(path, path.parent)
    with beside.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
