"""What the rows of the stages mean for a run: which of its parameters and connections go into which request."""

from collections.abc import Callable, Mapping
from typing import Any

from blueprint_pipeline.stage.flow import STAGES
from operators.scene_params import SAMPLE, sample_source

_LISTS = frozenset({"skills", "more_formats"})
"""Parameters that are lists."""


def connected_fields(stage: str, lab: str) -> dict[str, str]:
    """Fields of a stage's request as ``connection_id.field``. A lab is an Airflow connection of type http: ``lab_<name>``."""
    return {name: f"lab_{lab}.{field}" for name, field in STAGES[stage].connected.items()}


def secret_variables(stage: str, lab: str) -> dict[str, str]:
    """Variables of a stage's process as ``connection_id.field``."""
    return {name: f"lab_{lab}.{field}" for name, field in STAGES[stage].secrets.items()}


def values_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the templates would give."""
    return {**params, "source": sample_source() if params["source"] == SAMPLE else params["source"]}


def build_request(stage: str, value_of: Callable[[str], object]) -> dict[str, object]:
    """The request of a stage, its values by parameter: templates for the DAG, the values themselves for a batch."""
    return {"scene_id": value_of("scene_id"), **{field: value_of(name) for field, name in STAGES[stage].params.items()}}


def as_template(name: str) -> str:
    """The Jinja expression of a parameter; lists become JSON, and ``sample`` the folder of the scene that comes with the package."""
    if name == "source":
        return f"{{{{ {sample_source()!r} if params.source == {SAMPLE!r} else params.source }}}}"
    return f"{{{{ params.{name} | tojson }}}}" if name in _LISTS else f"{{{{ params.{name} }}}}"
