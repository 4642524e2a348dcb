"""Reading a configuration file: YAML into a model, and every fault of it in one error of the file's own class."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from blueprint_pipeline.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


class ConfigFileInvalid(ConfigurationError):
    """A configuration file cannot be used."""

    code = "configuration.file_invalid"
    advice: ClassVar[str] = "Correct the file."
    template = "{path} cannot be used: {problems:; }. {advice}"

    path: Path | str
    problems: Sequence[str]


def load_config(path: Path, model: type[Model], invalid: type[ConfigFileInvalid]) -> Model:
    """Read a file; an empty one is a model without fields.

    Raises:
        ConfigFileInvalid: As ``invalid``: the file is missing, is not YAML, or a field is missing, unknown or of the wrong kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise invalid(path, [f"it cannot be read ({error.strerror})"]) from error
    return parse_config(text, path, model, invalid)


def parse_config(text: str, path: Path | str, model: type[Model], invalid: type[ConfigFileInvalid]) -> Model:
    """Read a file's content; ``path`` is for the message.

    Raises:
        ConfigFileInvalid: As ``invalid``; see :func:`load_config`.
    """
    try:
        found = yaml.load(text, Loader=yaml.CSafeLoader)
        return model.model_validate({} if found is None else found)
    except yaml.YAMLError as error:
        raise invalid(path, [f"it is not YAML ({' '.join(str(error).split())})"]) from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors()]
        raise invalid(path, problems) from error
