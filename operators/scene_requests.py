"""What the rows of the stages mean for a run: which of its parameters and connections go into which request, and into how many.

A parameter that nobody sets follows from the lab: ``failures``, whether it buys failed episodes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from blueprint_pipeline.delivery.lab import InvalidLabProfile, list_labs, load_lab
from blueprint_pipeline.stage.flow import FAILURES, STAGES
from operators.scene_params import SAMPLE, sample_source

_LISTS = frozenset({"skills", "more_formats"})
"""Parameters that are lists."""
DERIVED = frozenset({"failures"})
"""Parameters that nobody sets: they follow from the others."""


def connected_fields(stage: str, lab: str) -> dict[str, str]:
    """Fields of a stage's request as ``connection_id.field``. A lab is an Airflow connection of type http: ``lab_<name>``."""
    return {name: f"lab_{lab}.{field}" for name, field in STAGES[stage].connected.items()}


def secret_variables(stage: str, lab: str) -> dict[str, str]:
    """Variables of a stage's process as ``connection_id.field``."""
    return {name: f"lab_{lab}.{field}" for name, field in STAGES[stage].secrets.items()}


def values_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The values that the templates would give."""
    source = sample_source() if params["source"] == SAMPLE else params["source"]
    return {**params, "source": source, "failures": params["lab"] in _failure_labs()}


def build_request(stage: str, value_of: Callable[[str], object]) -> dict[str, object]:
    """The request of a stage, its values by parameter: templates for the DAG, the values themselves for a batch."""
    return {"scene_id": value_of("scene_id"), **{field: value_of(name) for field, name in STAGES[stage].params.items()}}


def add_selections(stage: str, requests: Sequence[dict[str, Any]], *, failures: bool) -> list[dict[str, Any]]:
    """Requests of a stage, and the same of failures where the stage works on a selection and the lab buys them."""
    asked = failures and STAGES[stage].selects
    return [*requests, *({**request, "selection": FAILURES} for request in requests if asked)]


def _failure_labs() -> list[str]:
    """Labs that buy failed episodes. Of a profile that cannot be used nothing is known here: its runs are refused, with the reason."""
    found = []
    for lab in list_labs():
        with suppress(InvalidLabProfile):
            found += [lab] if load_lab(lab).wants_failures else []
    return found


def as_template(name: str) -> str:
    """The Jinja expression of a parameter; lists become JSON, and ``sample`` the folder of the scene that comes with the package."""
    if name == "failures":
        return f"{{{{ params.lab in {_failure_labs()!r} }}}}"
    if name == "source":
        return f"{{{{ {sample_source()!r} if params.source == {SAMPLE!r} else params.source }}}}"
    return f"{{{{ params.{name} | tojson }}}}" if name in _LISTS else f"{{{{ params.{name} }}}}"
