"""The columns of a delivered dataset that the baseline learns from: the state, the action, poses of tool and objects, and the sentence."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from blueprint_pipeline.dataset.features import ACTION, EE_POSE, OBJECT_POSES, STATE
from blueprint_pipeline.dataset.formats import FORMATS, STORE
from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.policy.errors import DatasetNotTeachable

COLUMNS = (ACTION, STATE, EE_POSE, OBJECT_POSES)


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One demonstration, as a lab reads it."""

    sentence: str
    vectors: dict[str, FloatArray]
    """Each of :data:`COLUMNS`, (T, size)."""


@dataclass(frozen=True, kw_only=True)
class TeachingSet:
    """All demonstrations of a dataset."""

    object_ids: tuple[str, ...]
    """In the order of ``observation.object_poses``."""
    episodes: tuple[Episode, ...]


def load_columns(folder: Path) -> TeachingSet:
    """Read the store's training episodes: all but those of ``val`` in ``splits``.

    Raises:
        DatasetNotTeachable: It is no such dataset, or lacks a column.
    """
    info_path = folder / "meta" / "info.json"
    if not info_path.is_file():
        raise DatasetNotTeachable(str(folder), "there is no meta/info.json", [])
    info = json.loads(info_path.read_text(encoding="utf-8"))
    features = info.get("features", {})
    missing = [name for name in COLUMNS if name not in features]
    if missing or info.get("codebase_version") != STORE:
        reason = f"columns are missing: {', '.join(missing)}" if missing else f"it is no {FORMATS[STORE].title} dataset"
        raise DatasetNotTeachable(str(folder), reason, list(features))
    table = pq.read_table(folder / "data", columns=["episode_index", "task_index", *COLUMNS])
    sentences = _sentences(folder / "meta" / "tasks.parquet")
    names = features[OBJECT_POSES]["names"]
    start, stop = (int(part) for part in info["splits"]["train"].split(":"))
    matrices = {name: _matrix(table[name]) for name in COLUMNS}
    number, task = table["episode_index"].to_numpy(), table["task_index"].to_numpy()
    rows = [np.flatnonzero(number == index) for index in range(start, stop)]
    return TeachingSet(
        object_ids=tuple(dict.fromkeys(name.rpartition(".")[0] for name in names)),
        episodes=tuple(
            Episode(sentence=sentences[int(task[found[0]])], vectors={name: matrix[found] for name, matrix in matrices.items()})
            for found in rows
        ),
    )


def _sentences(path: Path) -> dict[int, str]:
    """By ``task_index``. The sentence is a column, or the index that pandas keeps under another name."""
    rows = pq.read_table(path).to_pydict()
    texts = next(values for name, values in rows.items() if name != "task_index")
    return dict(zip(rows["task_index"], texts, strict=True))


def _matrix(column: pa.ChunkedArray) -> FloatArray:
    lists = column.combine_chunks()
    matrix: FloatArray = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(lists), -1)
    return matrix
