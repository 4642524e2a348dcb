"""The error tree is whole: codes are unique and well-formed, families agree, and the reference is up to date."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from blueprint_pipeline.error_reference import our_error_classes, render_reference
from blueprint_pipeline.errors import BlueprintError, InputError, PreemptedError, TransientError
from tests import airflow_home  # noqa: F401 -- before Airflow


def test_codes_are_unique():
    """One code names one thing."""
    assert [code for code, count in Counter(cls.code for cls in our_error_classes()).items() if count > 1] == []


@pytest.mark.parametrize("cls", our_error_classes(), ids=lambda cls: cls.__name__)
def test_class_is_well_formed(cls):
    """``noun.what``, a docstring, and retryable exactly under TransientError."""
    assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", cls.code)
    assert cls.__doc__
    if cls is not BlueprintError and "code" in vars(cls):
        assert cls.retryable == issubclass(cls, TransientError) or cls.code in {"stage.failed", "simulation.remote_error"}


def test_error_is_plain_data():
    """An error crosses processes as JSON, whatever its facts are."""
    error = InputError("bad", path=Path("/x"), values=[1.5, Path("y")], missing=None)
    assert json.loads(json.dumps(error.as_dict()))["facts"] == {"path": "/x", "values": [1.5, "y"], "missing": None}
    assert str(error) == "[input.invalid] bad"


def test_preemption_is_retryable():
    """SIGTERM ends with 143 and may be run again."""
    assert (PreemptedError.retryable, PreemptedError.exit_code) == (True, 143)


def test_reference_is_up_to_date():
    """docs/errors.md is what the classes say; `make docs` writes it."""
    assert (Path(__file__).parents[1] / "docs" / "errors.md").read_text() == render_reference()
