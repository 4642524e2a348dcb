"""Strict JSON (RFC 8259, unique names): what other languages' parsers refuse is refused here too."""

import json
import math
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.scene.source_errors import FieldInvalid

Model = TypeVar("Model", bound=BaseModel)
_MAX_DEPTH = 64


class JsonInvalid(SceneError):
    """A file is not strict JSON."""

    code = "scene.json_invalid"
    template = "{file} is not strict JSON (RFC 8259): {problem}. Write the file again."

    file: str
    problem: str


class _NotStrictError(ValueError):
    """Found while parsing; becomes :class:`JsonInvalid`."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise _NotStrictError(f"the name '{repeated[0]}' stands twice in one object")
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise _NotStrictError(f"it holds the bare word {word}, which is not JSON")


def parse_json(data: bytes, file: str, *, allow_constants: bool = False) -> object:
    """Parse strict JSON.

    Args:
        data: UTF-8 text.
        file: Name for messages.
        allow_constants: Let the words NaN and Infinity through, for a caller that names the field (``not_finite``).

    Raises:
        JsonInvalid: Not UTF-8, not JSON, a name twice in one object, or NaN or Infinity.
    """
    try:
        value: object = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=None if allow_constants else _refuse_constant
        )
    except UnicodeDecodeError as error:
        raise JsonInvalid(file, f"byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise JsonInvalid(file, f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise JsonInvalid(file, "it is nested too deeply") from error
    except ValueError as error:  # what is not strict, and a number of more digits than Python reads
        raise JsonInvalid(file, str(error)) from error
    if _depth(value) > _MAX_DEPTH:
        raise JsonInvalid(file, f"it is nested more than {_MAX_DEPTH} deep")
    return value


def _depth(value: object) -> int:
    """How many lists and objects stand within each other."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def not_finite(value: object, path: str = "") -> list[str]:
    """Paths of all numbers in parsed JSON that are NaN or infinite, e.g. ``transform_matrix[1][3] (nan)``."""
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{path} ({value})"]
    if isinstance(value, dict):
        return [found for name, item in value.items() for found in not_finite(item, f"{path}.{name}" if path else str(name))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in not_finite(item, f"{path}[{index}]")]
    return []


def parse_model(model: type[Model], value: object, file: str) -> Model:
    """Validate parsed JSON against a model, without turning words into numbers.

    Raises:
        FieldInvalid: A field is missing or of the wrong kind; the first one is named.
    """
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(the whole file)"
        found = "missing" if first["type"] == "missing" else repr(first["input"])[:120]
        raise FieldInvalid(file, field, found, first["msg"]) from error
