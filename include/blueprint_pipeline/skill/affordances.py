"""What can be done with an object, by rule: ``include/config/affordances.yaml``."""

import re
from functools import cache
from pathlib import Path
from typing import Literal

from blueprint_pipeline.config_file import ConfigFileInvalid, load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.frozen import FrozenModel

AFFORDANCES_PATH = CONFIG_FOLDER / "affordances.yaml"


class InvalidAffordances(ConfigFileInvalid):
    """The rules of affordances cannot be read."""

    code = "task.invalid_affordances"
    advice = "Compare it with the file in the repository."


class Affordance(FrozenModel):
    """What one kind of object allows."""

    affordances: tuple[str, ...]
    upright: bool
    """Whether it must stand at the end as it stood at the start."""


class AffordanceRule(Affordance):
    """A kind of object, known by its words."""

    words: tuple[str, ...]


class Affordances(FrozenModel):
    """The whole file."""

    schema_version: Literal["1.0"]
    known: tuple[str, ...]
    """Every affordance that a rule may name."""
    rules: tuple[AffordanceRule, ...]
    default: Affordance

    def of(self, *texts: str) -> Affordance:
        """What the first rule says that has a word of the texts; earlier texts go first."""
        for text in texts:
            words = set(re.findall(r"[a-z]+", text.lower()))
            for rule in self.rules:
                if words.intersection(rule.words):
                    return rule
        return self.default


@cache
def load_affordances(path: Path = AFFORDANCES_PATH) -> Affordances:
    """Read the rules.

    Raises:
        InvalidAffordances: The file is missing, or a field is missing, unknown or of the wrong kind.
    """
    return load_config(path, Affordances, InvalidAffordances)
