"""Read back what was written, episode by episode: the proof that it is there, and the source of all statistics."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from blueprint_pipeline.dataset.features import STEP_COLUMNS, VectorFeature
from blueprint_pipeline.dataset.images import PixelCounts, count_pixels, empty_counts, sampled_indices
from blueprint_pipeline.dataset.statistics import (
    Keys,
    Moments,
    Statistics,
    compute_statistics,
    constant_statistics,
    exact_quantiles,
    float_keys,
    keys_to_floats,
    ramp_statistics,
)
from blueprint_pipeline.dataset.tables import Position, channels_of
from blueprint_pipeline.dataset.video import decode_frames
from blueprint_pipeline.errors import InternalError

_BLOCK_ROWS = 1 << 19
"""A column is read so many rows at a time: below 20 MB a column."""
_GROUPS_A_READ = 32


class WrittenDataDiffer(InternalError):
    """What was read back is not what was written."""

    code = "dataset.written_data_differ"
    template = (
        "{path} was read back with {field} {found}, written with {expected}. This is a defect of the writer or of the disk: report it."
    )

    path: str
    field: str
    found: object
    expected: object


def row_groups(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """Every row group of a file, read some at a time: a call costs as much as a short episode."""
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    for first in range(0, len(sizes), _GROUPS_A_READ):
        bunch = sizes[first : first + _GROUPS_A_READ]
        table = file.read_row_groups(range(first, first + len(bunch)), use_threads=False)
        start = 0
        for size in bunch:
            yield table.slice(start, size)
            start += size


def episode_statistics(
    table: pa.Table, *, position: Position, length: int, fps: int, vectors: Sequence[VectorFeature]
) -> dict[str, Statistics]:
    """Check that the rows that were read back are the episode they should be, and give its statistics by column.

    Raises:
        WrittenDataDiffer: The rows are not those of the episode.
    """
    _validate_indices(table, position, length, fps)
    sizes = {vector.key: vector.size for vector in vectors} | dict.fromkeys(("timestamp", *STEP_COLUMNS), 1)
    found = compute_statistics(np.concatenate([channels_of(table.column(key)) for key in sizes], dtype=np.float32))
    columns: dict[str, Statistics] = {}
    first = 0
    for key, size in sizes.items():
        columns[key] = found.channels(slice(first, first + size))
        first += size
    columns["frame_index"] = ramp_statistics(0, length)
    columns["episode_index"] = constant_statistics(position.episode_index, length)
    columns["index"] = ramp_statistics(position.first_index, length)
    columns["task_index"] = constant_statistics(position.task_index, length)
    return columns


def _validate_indices(table: pa.Table, position: Position, length: int, fps: int) -> None:
    number = np.arange(length)
    expected = {
        "frame_index": number,
        "episode_index": np.full(length, position.episode_index),
        "index": number + position.first_index,
        "task_index": np.full(length, position.task_index),
        "timestamp": (number / fps).astype(np.float32),
    }
    for name, values in expected.items():
        if not np.array_equal(table.column(name).to_numpy(), values):
            raise WrittenDataDiffer(f"episode {position.episode_index}", name, "other values", f"{values[0]} … {values[-1]}")


def read_pixels(path: Path, lengths: Sequence[int]) -> Iterator[PixelCounts]:
    """Decode a whole video file and count the sampled pixels of each episode in it.

    Args:
        path: The mp4.
        lengths: Frames of each episode, in the order in which they stand in the file.

    Raises:
        WrittenDataDiffer: The file does not decode to exactly the frames of its episodes.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)])
    wanted = {int(start) + index for start, length in zip(starts[:-1], lengths, strict=True) for index in sampled_indices(length)}
    episode, counts, decoded = 0, empty_counts(), 0
    for number, image in decode_frames(path, wanted):
        if image is not None:
            counts += count_pixels(image)
        decoded = number + 1
        if episode < len(lengths) and decoded == starts[episode + 1]:
            yield counts
            episode, counts = episode + 1, empty_counts()
    if decoded != starts[-1]:
        raise WrittenDataDiffer(str(path), "decoded frames", decoded, int(starts[-1]))


def dataset_statistics(files: Sequence[Path], vectors: Sequence[VectorFeature], moments: dict[str, Moments]) -> dict[str, Statistics]:
    """Statistics of all frames of a dataset: moments as they were added up, quantiles over the written files.

    Args:
        files: All data files, in order.
        vectors: The float columns.
        moments: By column, over all episodes.
    """
    sizes = {vector.key: vector.size for vector in vectors} | {"timestamp": 1}
    found = {}
    for key, size in sizes.items():
        quantiles = exact_quantiles(partial(_blocks, files, key, float_keys), size, moments[key].count, keys_to_floats)
        found[key] = Statistics(moments[key], quantiles)
    for key in ("frame_index", "episode_index", "task_index", *STEP_COLUMNS):
        quantiles = exact_quantiles(partial(_blocks, files, key, _whole_keys), 1, moments[key].count, lambda keys: keys.astype(np.float64))
        found[key] = Statistics(moments[key], quantiles)
    found["index"] = ramp_statistics(0, moments["index"].count)
    return found


def _blocks(files: Sequence[Path], key: str, encode: Callable[[npt.NDArray[Any]], Keys]) -> Iterator[Keys]:
    """One pass over a column, some rows at a time, channel-major."""
    for path in files:
        with pq.ParquetFile(path) as file:
            first, rows = 0, 0
            for group in range(file.num_row_groups):
                rows += file.metadata.row_group(group).num_rows
                if rows >= _BLOCK_ROWS or group == file.num_row_groups - 1:
                    table = file.read_row_groups(range(first, group + 1), columns=[key], use_threads=False)
                    yield encode(channels_of(table.column(key)))
                    first, rows = group + 1, 0


def _whole_keys(values: npt.NDArray[Any]) -> Keys:
    """Non-negative integers below 2^32, which every index of a dataset is, or truth values."""
    return values.astype(np.uint32)
