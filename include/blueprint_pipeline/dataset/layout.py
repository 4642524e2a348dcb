"""Where datasets lie, what LeRobot's versions share, and how files are written.

Source: lerobot 0.4.4 ``datasets/utils.py``.
"""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from blueprint_pipeline.episode.record import Selection

DATASET_PATH = "geniesim/lerobot"
"""Folder of the scene that holds one folder a format version."""
CERTIFICATION_PATH = "geniesim/certification/report.json"
DATASET_PATHS: dict[Selection, str] = {"kept": DATASET_PATH, "failures": "geniesim/failures"}
CERTIFICATION_PATHS: dict[Selection, str] = {"kept": CERTIFICATION_PATH, "failures": "geniesim/certification/failures.json"}
FAILURES_INDEX = f"{DATASET_PATHS['failures']}/failures.json"
"""How many failures there are of which kind, also where there is none and so no dataset."""

CHUNKS_SIZE = 1000
"""Files (v3.0) or episodes (v2.1) in one chunk folder."""
DATA_FILE_BYTES = 100 * 1024**2
VIDEO_FILE_BYTES = 200 * 1024**2

CARD = "README.md"
INFO = "meta/info.json"
STATS = "meta/stats.json"
SIDECAR = "meta/blueprint_pipeline/episodes.jsonl"
"""Each episode's provenance, in every format."""


def part_path(path: Path) -> Path:
    """Where a file is written before it is renamed to ``path``; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.part")


class GrowingFile(ABC):
    """A file of a dataset that is appended to, and gets its name when it is whole; use it in a ``with`` block, or close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._part = part_path(path)

    @abstractmethod
    def _end(self) -> None:
        """Write what ends the file, and let go of it."""

    def close(self) -> None:
        """End the file and give it its name."""
        self._end()
        self._part.replace(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._end()


def write_text(path: Path, text: str) -> None:
    """Write a file beside, then rename it."""
    part = part_path(path)
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write indented JSON; numbers that are not finite are refused, keys keep their order.

    Raises:
        ValueError: A number is not finite.
    """
    write_text(path, json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False) + "\n")


def json_line(value: object) -> str:
    """One line of a JSON Lines file.

    Raises:
        ValueError: A number is not finite.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
