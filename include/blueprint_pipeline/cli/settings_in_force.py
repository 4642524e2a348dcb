"""What a process runs with: every setting, whether somebody set it, and nothing in it that lets its bearer in."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import SecretStr

from blueprint_pipeline.public_url import public_fields
from blueprint_pipeline.settings import PREFIX, Settings


@dataclass(frozen=True)
class SettingInForce:
    """One setting of a process."""

    variable: str
    """The environment variable that sets it."""
    value: str
    """As it may be shown: of a secret, that there is one; of a URL, the part that is no key."""
    is_default: bool


def list_settings(settings: Settings) -> Iterator[SettingInForce]:
    """Every setting, in the order of its definition."""
    for group_name, group in settings:
        for name, value in group:
            variable = f"{PREFIX}{group_name}__{name}".upper()
            yield SettingInForce(variable, _shown(name, value), is_default=name not in group.model_fields_set)


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "set, not shown"
    return str(public_fields({name: str(value)})[name])
