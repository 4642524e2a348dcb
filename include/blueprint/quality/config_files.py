"""Where the limits and the policy lie, how they are read, and their digests for the keys of stages."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from blueprint.config_folder import CONFIG_FOLDER
from blueprint.quality.errors import InvalidQualityConfig
from blueprint.workspace.checksums import FileDigest, digest_file

TIERS_FILE = "tiers.yaml"
POLICY_FILE = "third_party_policy.yaml"

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: Path, model: type[Model]) -> Model:
    """Read a YAML file into a model.

    Raises:
        InvalidQualityConfig: The file is missing, is no YAML, or a field is missing, unknown or of the wrong kind.
    """
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidQualityConfig(str(path), f"it cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise InvalidQualityConfig(str(path), f"it is no YAML ({error})") from error
    except ValidationError as error:
        problem = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise InvalidQualityConfig(str(path), problem) from error


def config_digests() -> dict[str, FileDigest]:
    """Digests of the files that decide what is kept: part of the keys of the stages that judge."""
    return {f"config/{name}": digest_file(CONFIG_FOLDER / name) for name in (TIERS_FILE, POLICY_FILE)}
