"""Arrow tables and parquet files of a dataset, as LeRobot reads them.

Source: lerobot 0.4.4 ``datasets/lerobot_dataset.py``; pandas' parquet metadata (``tasks.parquet`` has a string index).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from blueprint_pipeline.dataset.features import (
    ANNOTATION,
    DONE,
    INDEX_COLUMNS,
    STEP_COLUMNS,
    SUBTASK,
    SUCCESS,
    WHOLE_COLUMNS,
    VectorFeature,
)
from blueprint_pipeline.dataset.frames import EpisodeFrames
from blueprint_pipeline.dataset.layout import GrowingFile, part_path
from blueprint_pipeline.dataset.statistics import STATISTICS

_FEW_VALUES = ["episode_index", "task_index", ANNOTATION, SUBTASK]
_ARROW = {"int64": pa.int64(), "bool": pa.bool_()}


@dataclass(frozen=True)
class Position:
    """Where an episode stands in its dataset."""

    episode_index: int
    first_index: int
    """``index`` of its first frame."""
    task_index: int
    subtasks: tuple[int, ...]
    """Index of each run of frames in one phase."""


def data_schema(vectors: Sequence[VectorFeature], *, annotation: bool) -> pa.Schema:
    """Columns of the data files, with the features as Hugging Face's ``datasets`` names them.

    A vector is a ``Sequence``: every release of ``datasets`` reads that name, and ``List`` only 4.0 and later do.
    """
    fields = [(vector.key, pa.list_(pa.float32(), vector.size)) for vector in vectors] + [("timestamp", pa.float32())]
    names = [*INDEX_COLUMNS, *([ANNOTATION] if annotation else [])]
    dtypes = dict.fromkeys(names, "int64") | STEP_COLUMNS
    fields += [(name, _ARROW[dtype]) for name, dtype in dtypes.items()]
    value = {"dtype": "float32", "_type": "Value"}
    features: dict[str, object] = {vector.key: {"feature": value, "length": vector.size, "_type": "Sequence"} for vector in vectors}
    features |= {"timestamp": {"dtype": "float32", "_type": "Value"}} | {
        name: {"dtype": dtype, "_type": "Value"} for name, dtype in dtypes.items()
    }
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def data_table(frames: EpisodeFrames, position: Position, fps: int, schema: pa.Schema) -> pa.Table:
    """The rows of one episode."""
    length = frames.length
    number = np.arange(length, dtype=np.int64)
    columns: dict[str, pa.Array] = {
        "timestamp": pa.array((number / fps).astype(np.float32)),
        "frame_index": pa.array(number),
        "episode_index": _constant(position.episode_index, length),
        "index": pa.array(number + position.first_index),
        "task_index": _constant(position.task_index, length),
        ANNOTATION: _constant(position.task_index, length),
        SUBTASK: pa.array(np.repeat(np.array(position.subtasks, dtype=np.int64), [run.frames for run in frames.phases])),
        DONE: pa.array(number == length - 1),
        SUCCESS: pa.array((number == length - 1) & frames.success),
    }
    for key, values in frames.vectors.items():
        columns[key] = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])
    return pa.Table.from_arrays([columns[field.name] for field in schema], schema=schema)


def _constant(value: int, length: int) -> pa.Array:
    return pa.array(np.full(length, value, dtype=np.int64))


def channels_of(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any]:
    """A column of vectors or scalars, channel-major [C, T]."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    flat = array.flatten() if pa.types.is_fixed_size_list(array.type) else array
    values: npt.NDArray[Any] = flat.to_numpy(zero_copy_only=False).reshape(len(array), -1)
    return np.ascontiguousarray(values.T)


class ParquetFile(GrowingFile):
    """A parquet file that gets its name when it is whole; each table is one row group."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path)
        few = [name for name in _FEW_VALUES if name in schema.names]
        self._writer = pq.ParquetWriter(self._part, schema, compression="snappy", use_dictionary=few)

    def append(self, table: pa.Table, size_bytes: int) -> None:
        """Write one row group, of so many bytes in memory."""
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self.size_bytes += size_bytes

    def _end(self) -> None:
        self._writer.close()


def write_texts(path: Path, column: str, texts: Sequence[str]) -> None:
    """``tasks.parquet`` or ``subtasks.parquet``: the text is pandas' index, and its number the column."""
    index = "__index_level_0__"
    columns = [
        {"name": column, "field_name": column, "pandas_type": "int64", "numpy_type": "int64", "metadata": None},
        {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object", "metadata": None},
    ]
    labels = [{"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": {"encoding": "UTF-8"}}]
    metadata = {
        "index_columns": [index],
        "column_indexes": labels,
        "columns": columns,
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    schema = pa.schema([(column, pa.int64()), (index, pa.string())], metadata={"pandas": json.dumps(metadata)})
    table = pa.Table.from_arrays([pa.array(np.arange(len(texts), dtype=np.int64)), pa.array(list(texts), pa.string())], schema=schema)
    part = part_path(path)
    pq.write_table(table, part, compression="snappy")
    part.replace(path)


def episodes_schema(vectors: Sequence[VectorFeature], video_keys: Sequence[str]) -> pa.Schema:
    """Columns of ``meta/episodes``: where an episode's rows and frames are, and its statistics."""
    whole = pa.int64()
    fields: list[tuple[str, pa.DataType]] = [("episode_index", whole), ("tasks", pa.list_(pa.string())), ("length", whole)]
    fields += [(name, whole) for name in ("data/chunk_index", "data/file_index", "dataset_from_index", "dataset_to_index")]
    for key in video_keys:
        fields += [(f"videos/{key}/chunk_index", whole), (f"videos/{key}/file_index", whole)]
        fields += [(f"videos/{key}/from_timestamp", pa.float64()), (f"videos/{key}/to_timestamp", pa.float64())]
    pixel = pa.list_(pa.list_(pa.list_(pa.float64())))
    kinds = (
        {vector.key: pa.list_(pa.float64()) for vector in vectors}
        | dict.fromkeys(video_keys, pixel)
        | {"timestamp": pa.list_(pa.float64())}
    )
    kinds |= dict.fromkeys(WHOLE_COLUMNS, pa.list_(pa.float64()))
    for key, kind in kinds.items():
        for name in STATISTICS:
            is_whole = name == "count" or (key in WHOLE_COLUMNS and name in {"min", "max"})
            fields.append((f"stats/{key}/{name}", pa.list_(whole) if is_whole else kind))
    return pa.schema([*fields, ("meta/episodes/chunk_index", whole), ("meta/episodes/file_index", whole)])
