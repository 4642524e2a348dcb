"""What a LeRobot folder (v3.0 or v2.1) says of itself: totals, instructions, and where each episode's rows and frames are."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq

from blueprint_pipeline.dataset.layout import EPISODES_V21, INFO, TASKS_V21, TASKS_V30, Version
from blueprint_pipeline.errors import InputError


class NotADataset(InputError):
    """A folder is no LeRobot dataset."""

    code = "dataset.not_a_dataset"
    template = "{folder} is not a LeRobot dataset: {reason}. Expected a folder with meta/info.json of v3.0 or v2.1."

    folder: str
    reason: str


@dataclass(frozen=True)
class DatasetDescription:
    """What a dataset says of itself."""

    folder: str
    version: Version
    robot_type: str
    fps: int
    episodes: int
    frames: int
    tasks: tuple[str, ...]
    features: dict[str, dict[str, Any]]
    size_bytes: int


@dataclass(frozen=True)
class ListedEpisode:
    """What the metadata say of one episode."""

    index: int
    length: int
    tasks: tuple[str, ...]
    data: str
    videos: dict[str, tuple[str, int]]
    """By camera: the file, and the first frame in it."""


def describe_dataset(folder: Path) -> DatasetDescription:
    """Read what a dataset says of itself.

    Raises:
        NotADataset: The folder has no readable ``meta/info.json`` of v3.0 or v2.1.
    """
    info = load_info(folder)
    version = info["codebase_version"]
    return DatasetDescription(
        folder=str(folder),
        version=version,
        robot_type=str(info["robot_type"]),
        fps=int(info["fps"]),
        episodes=int(info["total_episodes"]),
        frames=int(info["total_frames"]),
        tasks=tuple(load_tasks(folder, version)),
        features=info["features"],
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )


def load_info(folder: Path) -> dict[str, Any]:
    """Read ``info.json``.

    Raises:
        NotADataset: It is missing, not JSON, or of another version.
    """
    path = folder / INFO
    if not path.is_file():
        raise NotADataset(str(folder), f"{INFO} is missing")
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise NotADataset(str(folder), f"{INFO} is not JSON ({error})") from error
    missing = [
        key
        for key in ("codebase_version", "robot_type", "fps", "features", "total_episodes", "total_frames", "data_path")
        if key not in info
    ]
    if missing:
        raise NotADataset(str(folder), f"{INFO} lacks {', '.join(missing)}")
    if info["codebase_version"] not in get_args(Version):
        raise NotADataset(str(folder), f"codebase_version is {info['codebase_version']}")
    found: dict[str, Any] = info
    return found


def load_tasks(folder: Path, version: Version) -> list[str]:
    """Instructions in the order of their index."""
    if version == "v2.1":
        return [line["task"] for line in _lines(folder / TASKS_V21)]
    table = pq.read_table(folder / TASKS_V30)
    name = next(name for name in table.column_names if name != "task_index")
    return [str(value) for value in table.sort_by("task_index").column(name).to_pylist()]


def load_episodes(folder: Path, info: dict[str, Any]) -> list[ListedEpisode]:
    """All episodes as the metadata list them."""
    return list(_episodes_v21(folder, info) if info["codebase_version"] == "v2.1" else _episodes_v30(folder, info))


def _episodes_v21(folder: Path, info: dict[str, Any]) -> Iterator[ListedEpisode]:
    for line in _lines(folder / EPISODES_V21):
        place = {"episode_chunk": line["episode_index"] // info["chunks_size"], "episode_index": line["episode_index"]}
        videos = {key: (info["video_path"].format(video_key=key, **place), 0) for key in _video_keys(info)}
        yield ListedEpisode(line["episode_index"], line["length"], tuple(line["tasks"]), info["data_path"].format(**place), videos)


def _episodes_v30(folder: Path, info: dict[str, Any]) -> Iterator[ListedEpisode]:
    for path in sorted((folder / "meta/episodes").glob("*/*.parquet")):
        names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
        for row in pq.read_table(path, columns=names).to_pylist():
            data = info["data_path"].format(chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])
            videos = {}
            for key in _video_keys(info):
                place = {"chunk_index": row[f"videos/{key}/chunk_index"], "file_index": row[f"videos/{key}/file_index"]}
                videos[key] = (info["video_path"].format(video_key=key, **place), round(row[f"videos/{key}/from_timestamp"] * info["fps"]))
            yield ListedEpisode(row["episode_index"], row["length"], tuple(row["tasks"]), data, videos)


def _video_keys(info: dict[str, Any]) -> list[str]:
    return [key for key, feature in info["features"].items() if feature["dtype"] == "video"]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
