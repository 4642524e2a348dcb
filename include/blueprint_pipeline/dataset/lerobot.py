"""Reads a LeRobot folder of any version: totals, instructions, and where each episode's rows and frames are."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blueprint_pipeline.dataset.contract import DatasetDescription, DatasetFinding
from blueprint_pipeline.dataset.errors import NotADataset
from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.dataset.layout import INFO
from blueprint_pipeline.dataset.lerobot_check import LerobotFolder, ListedEpisode, Rule, check_folder

_NEEDED = ("codebase_version", "robot_type", "fps", "features", "total_episodes", "total_frames", "data_path")


class LerobotReader(ABC):
    """Reads one version of LeRobot's format.

    Args:
        version: ``codebase_version``, which is the format's name.
        files: What must be there beside ``info.json``, data and videos.
        rules: What this version must obey beside the rules of all.
    """

    def __init__(self, version: str, files: tuple[str, ...], rules: tuple[Rule, ...] = ()) -> None:
        self.version = version
        self._files = files
        self._rules = rules

    @abstractmethod
    def load_tasks(self, folder: Path) -> list[str]:
        """Instructions in the order of their index."""

    @abstractmethod
    def load_subtasks(self, folder: Path) -> list[str]:
        """Names of phases in the order of their index; none where nothing names them."""

    @abstractmethod
    def list_episodes(self, folder: Path, info: dict[str, Any]) -> Iterator[ListedEpisode]:
        """All episodes as the metadata list them."""

    def mismatch(self, folder: Path) -> str | None:
        """Why a folder is not of this version; ``None``: it says that it is."""
        info = _load_info(folder)
        if isinstance(info, str):
            return info
        version = info.get("codebase_version")
        return None if version == self.version else f"codebase_version is {version}"

    def describe(self, folder: Path) -> DatasetDescription:
        """What a dataset says of itself.

        Raises:
            NotADataset: ``info.json`` is not that of a dataset.
        """
        info = self._load(folder)
        return DatasetDescription(
            folder=str(folder),
            version=self.version,
            robot_type=str(info["robot_type"]),
            fps=int(info["fps"]),
            episodes=int(info["total_episodes"]),
            frames=int(info["total_frames"]),
            tasks=tuple(self.load_tasks(folder)),
            features=info["features"],
            size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        )

    def check(self, folder: Path) -> list[DatasetFinding]:
        """Everything that is wrong with a dataset; an empty list: nothing was found.

        Raises:
            NotADataset: ``info.json`` is not that of a dataset.
        """
        info = self._load(folder)
        found = LerobotFolder(
            path=folder,
            info=info,
            files=self._files,
            load_tasks=lambda: self.load_tasks(folder),
            load_subtasks=lambda: self.load_subtasks(folder),
            list_episodes=lambda: list(self.list_episodes(folder, info)),
        )
        return check_folder(found, self._rules)

    def _load(self, folder: Path) -> dict[str, Any]:
        info = _load_info(folder)
        if isinstance(info, str):
            raise NotADataset(str(folder), info, list(FORMATS))
        missing = [key for key in _NEEDED if key not in info]
        if missing:
            raise NotADataset(str(folder), f"{INFO} lacks {', '.join(missing)}", list(FORMATS))
        return info


def _load_info(folder: Path) -> dict[str, Any] | str:
    """``info.json``, or why it cannot be read."""
    path = folder / INFO
    if not path.is_file():
        return f"{INFO} is missing"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        return f"{INFO} is not JSON ({error})"
    return info if isinstance(info, dict) else f"{INFO} is no JSON object"


def video_keys(info: dict[str, Any]) -> list[str]:
    """Features that are videos."""
    return [key for key, feature in info["features"].items() if feature["dtype"] == "video"]


def load_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
