"""Reads a dataset folder of any format: which one it is, what it says of itself, and what is wrong with it."""

from pathlib import Path

from blueprint_pipeline.dataset.contract import DatasetDescription, DatasetFinding, FormatReader
from blueprint_pipeline.dataset.errors import NotADataset
from blueprint_pipeline.dataset.formats import FORMATS, FormatName
from blueprint_pipeline.rows import load_code


def load_reader(name: FormatName) -> FormatReader:
    """The reader of a format.

    Raises:
        UnknownRow: There is no such format.
    """
    reader: FormatReader = load_code(FORMATS[name].reader)
    return reader


def find_reader(folder: Path) -> FormatReader:
    """The reader of the format that a folder says it is.

    Raises:
        NotADataset: It is of none.
    """
    reasons = []
    for name in FORMATS:
        reader = load_reader(name)
        reason = reader.mismatch(folder)
        if reason is None:
            return reader
        reasons.append(reason)
    raise NotADataset(str(folder), "; ".join(dict.fromkeys(reasons)), list(FORMATS))


def describe_dataset(folder: Path) -> DatasetDescription:
    """Read what a dataset says of itself.

    Raises:
        NotADataset: It is of no known format, or its description cannot be read.
    """
    return find_reader(folder).describe(folder)


def check_dataset(folder: Path) -> list[DatasetFinding]:
    """Everything that is wrong with a dataset; an empty list: nothing was found.

    Raises:
        NotADataset: It is of no known format, or its description cannot be read.
    """
    return find_reader(folder).check(folder)
