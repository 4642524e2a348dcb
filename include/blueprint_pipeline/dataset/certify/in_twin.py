"""Checks a v2.1 dataset: lerobot 0.4 must refuse it by name, its own converter must take it, and other readers must find the same frames.

Runs in the certifying environment: ``python -m blueprint_pipeline.dataset.certify.in_twin REQUEST ANSWERS``.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from blueprint_pipeline.dataset.certify.in_expected import (
    Refuted,
    answer,
    check_columns,
    image_difference,
    load_subtasks,
    parquet_columns,
    require,
)
from blueprint_pipeline.dataset.certify.in_lerobot import check_frames, check_loads, load
from blueprint_pipeline.dataset.certify.in_program import run
from blueprint_pipeline.dataset.certify.request import Answer, CertifyRequest

_ANNOTATION = "annotation.human.action.task_description"


def check_refused(request: CertifyRequest) -> str:
    """A v3.0 reader must name the version, not read it wrongly."""
    from lerobot.datasets.backward_compatibility import BackwardCompatibilityError

    try:
        load(request)
    except BackwardCompatibilityError:
        return "lerobot refuses it as v2.1 and names its converter, as it must"
    raise Refuted("lerobot loaded it: codebase_version is not v2.1")


def check_converts(request: CertifyRequest) -> str:
    """The converter of lerobot itself makes a v3.0 dataset of it, with the same frames."""
    from lerobot.datasets.v30 import convert_dataset_v21_to_v30 as converter

    old, new = request.work / "twin", request.work / "converted"
    shutil.copytree(request.dataset, old)
    try:
        converter.convert_info(old, new, 100, 200)
        converter.convert_tasks(old, new)
        episodes = converter.convert_data(old, new, 100)
        videos = converter.convert_videos(old, new, 200)
        converter.convert_episodes_metadata(old, new, episodes, videos)
        converted = request.model_copy(update={"dataset": new})
        dataset = load(converted)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise Refuted(f"the converter raised {type(error).__name__}: {error}") from error
    check_loads(dataset, converted)
    return f"converted by lerobot to v3.0 and loaded: {check_frames(dataset, converted, load_subtasks(request.dataset))}"


def check_files(request: CertifyRequest) -> str:
    """Every data file, read with pyarrow, holds its episode; totals and lists agree."""
    root = request.dataset
    info = _json(root / "meta/info.json")
    frames = sum(episode.frames for episode in request.episodes)
    found = (info["codebase_version"], info["total_episodes"], info["total_frames"], info["fps"])
    require(found == ("v2.1", len(request.episodes), frames, request.fps), f"info.json: version, episodes, frames, fps are {found}")
    listed = _lines(root / "meta/episodes.jsonl")
    tasks = {line["task_index"]: line["task"] for line in _lines(root / "meta/tasks.jsonl")}
    require([line["length"] for line in listed] == [episode.frames for episode in request.episodes], "episodes.jsonl: lengths differ")
    first, subtasks = 0, load_subtasks(root)
    for index, episode in enumerate(request.episodes):
        place = {"episode_chunk": index // info["chunks_size"], "episode_index": index}
        columns = parquet_columns(root / info["data_path"].format(**place))
        check_columns(columns, episode, subtasks=subtasks, index=index, first=first, fps=request.fps)
        require(listed[index]["tasks"] == [episode.instruction], f"episodes.jsonl: tasks of episode {index} differ")
        require({tasks[int(number)] for number in columns["task_index"]} == {episode.instruction}, f"episode {index}: another task")
        require(np.array_equal(columns[_ANNOTATION], columns["task_index"]), f"episode {index}: {_ANNOTATION} is not its task")
        for camera, rendered in episode.videos.items():
            path = root / info["video_path"].format(video_key=f"observation.images.{camera}", **place)
            require(path.read_bytes() == rendered.read_bytes(), f"{path.name} of {camera} is not the rendered file")
        first += episode.frames
    return f"{first} frames equal the recordings' states, and all videos are the rendered files, byte by byte"


def check_datasets(request: CertifyRequest) -> str:
    """Hugging Face's ``datasets`` reads all files as one table."""
    from datasets import load_dataset

    files = sorted(str(path) for path in request.dataset.glob("data/*/*.parquet"))
    table = load_dataset("parquet", data_files=files, split="train", cache_dir=str(request.work / "cache"))
    frames = sum(episode.frames for episode in request.episodes)
    require(len(table) == frames, f"datasets reads {len(table)} rows, expected {frames}")
    index = np.asarray(table.with_format("numpy")["index"])
    require(np.array_equal(index, np.arange(frames)), "index does not count all frames")
    return f"datasets reads {frames} rows with {len(table.features)} columns"


def check_modality(request: CertifyRequest) -> str:
    """GR00T's rules: the parts of ``modality.json`` cover the vectors without gap or overlap; every key leads to a column."""
    modality = _json(request.dataset / "meta/modality.json")
    features = _json(request.dataset / "meta/info.json")["features"]
    for kind, column in (("state", "observation.state"), ("action", "action")):
        parts = sorted((part["start"], part["end"]) for part in modality[kind].values())
        ends = [0, *(end for _, end in parts)]
        covered = [start for start, _ in parts] == ends[:-1] and all(start < end for start, end in parts)
        require(
            covered and ends[-1] == features[column]["shape"][0],
            f"{kind}: parts {parts} do not cover {column} of {features[column]['shape']}",
        )
    for name, part in modality["video"].items():
        require(features.get(part["original_key"], {}).get("dtype") == "video", f"video {name}: {part['original_key']} is no camera")
    for name in modality["annotation"]:
        require(f"annotation.{name}" in features, f"annotation {name}: there is no such column")
    found = f"{len(modality['video'])} cameras and {len(modality['annotation'])} annotation(s) are there"
    return f"parts of state and action cover their vectors; {found}"


def check_videos(request: CertifyRequest) -> str:
    """Every video decodes from its first to its last frame (they are the rendered files: see the files' check)."""
    from torchcodec.decoders import VideoDecoder

    decoded = 0
    for path in sorted(request.dataset.glob("videos/*/*/*.mp4")):
        decoder = VideoDecoder(str(path))
        frames = decoder.metadata.num_frames
        ends = decoder.get_frames_at([0, frames - 1]).data.numpy()
        require(frames == 1 or image_difference(ends[0], ends[1]) > 0, f"{path.name}: first and last frame are the same")
        decoded += 1
    require(decoded == len(request.episodes) * len(request.episodes[0].videos), f"{decoded} videos")
    return f"{decoded} videos decode at both ends"


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def certify(request: CertifyRequest) -> list[Answer]:
    """All checks."""
    return [
        answer("twin.lerobot_refuses", lambda: check_refused(request)),
        answer("twin.frames_match_states", lambda: check_files(request)),
        answer("twin.lerobot_converts", lambda: check_converts(request)),
        answer("twin.datasets_reads", lambda: check_datasets(request)),
        answer("twin.modality_fits", lambda: check_modality(request)),
        answer("twin.videos_decode", lambda: check_videos(request)),
    ]


if __name__ == "__main__":
    run(certify)
