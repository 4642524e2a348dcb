"""Loads a v2.1 dataset with the oldest readers that it is for: ``datasets`` 3.6.0, which openpi pins, and lerobot 0.3.3.

Runs in the certifying environment, with the oldest readers in front of its own packages:
``python -m blueprint_pipeline.dataset.certify.in_oldest REQUEST ANSWERS``.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from blueprint_pipeline.dataset.certify.in_compat import prepare_torchvision
from blueprint_pipeline.dataset.certify.in_expected import Refuted, answer, require
from blueprint_pipeline.dataset.certify.in_lerobot import check_items, compare_table, load
from blueprint_pipeline.dataset.certify.request import Answer, CertifyRequest, load_request, write_answers


def check_datasets(request: CertifyRequest) -> str:
    """``datasets`` understands the features that the files declare, and reads all rows in order."""
    import datasets  # noqa: PLC0415 -- the certifying environment has it, and ours has not

    files = sorted(str(path) for path in request.dataset.glob("data/*/*.parquet"))
    try:
        table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(request.work / "cache"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise Refuted(f"datasets {datasets.__version__} raised {type(error).__name__}: {error}") from error
    frames = sum(episode.frames for episode in request.episodes)
    index = table.with_format("arrow")[:].column("index").to_numpy()
    require(np.array_equal(index, np.arange(frames)), f"datasets {datasets.__version__} reads {len(table)} rows, expected {frames}")
    return f"datasets {datasets.__version__} reads {frames} rows with {len(table.features)} columns"


def check_loads(dataset: Any, request: CertifyRequest) -> str:
    """Totals, rate, robot and instructions are those of the episodes."""
    frames = sum(episode.frames for episode in request.episodes)
    found = (dataset.num_episodes, len(dataset), dataset.fps, dataset.meta.robot_type)
    expected = (len(request.episodes), frames, request.fps, request.robot_type)
    require(found == expected, f"episodes, frames, fps, robot_type are {found}, expected {expected}")
    tasks = {episode.instruction for episode in request.episodes}
    require(set(dataset.meta.tasks.values()) == tasks, f"tasks are {sorted(dataset.meta.tasks.values())}, expected {sorted(tasks)}")
    return f"loaded {found[0]} episodes, {found[1]} frames"


def certify(request: CertifyRequest) -> list[Answer]:
    """All checks; what cannot be loaded is refuted, and ends there."""
    loaded: list[Any] = []

    def look() -> str:
        try:
            loaded.append(load(request))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, NotImplementedError) as error:
            raise Refuted(f"LeRobotDataset raised {type(error).__name__}: {error}") from error
        return check_loads(loaded[0], request)

    answers = [answer("oldest.datasets_reads", lambda: check_datasets(request)), answer("oldest.lerobot_loads", look)]
    if not loaded:
        return answers
    dataset = loaded[0]
    return [
        *answers,
        answer("oldest.frames_match_states", lambda: compare_table(dataset.hf_dataset, request, lambda number: dataset.meta.tasks[number])),
        answer("oldest.items_load", lambda: check_items(dataset, request)),
    ]


def main() -> None:
    """Read the request, write the answers."""
    request_path, answers_path = (Path(argument) for argument in sys.argv[1:])
    prepare_torchvision()
    write_answers(answers_path, certify(load_request(request_path)))


if __name__ == "__main__":
    main()
