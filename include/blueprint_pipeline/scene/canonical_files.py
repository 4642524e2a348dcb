"""JSON files whose bytes depend on nothing but their content: names in the order of the model, one newline at the end."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel


def json_bytes(value: BaseModel | Mapping[str, object]) -> bytes:
    """Readable JSON of a model or mapping."""
    plain = value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def write_json(path: Path, value: BaseModel | Mapping[str, object]) -> None:
    """Write :func:`json_bytes` of a value."""
    path.write_bytes(json_bytes(value))


def rounded(value: float, digits: int = 9) -> float:
    """A number rounded to nanometres (or the like), so that the last bits of a library do not show; never -0.0."""
    return round(float(value), digits) + 0.0
