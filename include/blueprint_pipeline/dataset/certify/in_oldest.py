"""Loads a v2.1 dataset with the oldest readers that it is for: ``datasets`` 3.6.0, which openpi pins, and lerobot 0.3.3.

Runs in the certifying environment, with the oldest readers in front of its own packages:
``python -m blueprint_pipeline.dataset.certify.in_oldest REQUEST ANSWERS``.
"""

from typing import Any

import numpy as np

from blueprint_pipeline.dataset.certify.in_expected import answer, load_subtasks, require
from blueprint_pipeline.dataset.certify.in_lerobot import check_items, compare_table, load
from blueprint_pipeline.dataset.certify.in_program import certify_loaded, read_by, run
from blueprint_pipeline.dataset.certify.request import Answer, CertifyRequest


def check_datasets(request: CertifyRequest) -> str:
    """``datasets`` understands the features that the files declare, and reads all rows in order."""
    import datasets

    files = sorted(str(path) for path in request.dataset.glob("data/*/*.parquet"))
    with read_by(f"datasets {datasets.__version__}"):
        table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(request.work / "cache"))
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
    """All checks."""

    def load_it() -> Any:
        with read_by("LeRobotDataset"):
            return load(request)

    return [
        answer("oldest.datasets_reads", lambda: check_datasets(request)),
        *certify_loaded(
            "oldest.lerobot_loads",
            load_it,
            lambda dataset: check_loads(dataset, request),
            {
                "oldest.frames_match_states": lambda dataset: compare_table(
                    dataset.hf_dataset, request, load_subtasks(request.dataset), lambda number: dataset.meta.tasks[number]
                ),
                "oldest.items_load": lambda dataset: check_items(dataset, request, names_phases=False),
            },
        ),
    ]


if __name__ == "__main__":
    run(certify)
