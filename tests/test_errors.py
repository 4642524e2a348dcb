"""The error tree is whole: codes are unique and well-formed, families agree, and the reference is up to date."""

import json
import pickle
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from blueprint_pipeline.compute.job import StageFailed
from blueprint_pipeline.error_reference import our_error_classes, render_reference
from blueprint_pipeline.errors import (
    BlueprintError,
    ConfigurationError,
    GateError,
    InputError,
    IntegrityError,
    InternalError,
    MissingPartError,
    PreemptedError,
    TransientError,
)
from blueprint_pipeline.scene.errors import SceneError
from blueprint_pipeline.workspace.checksums import FileDigest
from tests.sample_errors import BadInput


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


SAMPLES = {
    str: "x",
    int: 3,
    float: 0.5,
    bool: True,
    object: Path("/x"),
    Path: Path("/x"),
    date: date(2026, 1, 2),
    FileDigest: FileDigest(sha256="0" * 64, size_bytes=1),
    StageFailed: StageFailed({"code": "a.b", "message": "why", "retryable": True, "exit_code": 75}, "render_shard"),
    Mapping[str, Any]: {"code": "a.b", "message": "why", "retryable": False, "exit_code": 65},
    Mapping[str, str]: {"x": "y"},
}
"""One value for each kind of fact."""


def sample(kind: Any) -> Any:
    """A value of an annotation; of a union, one of its first member."""
    if kind in SAMPLES:
        return SAMPLES[kind]
    first = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return first
    if get_origin(kind) is tuple:
        return tuple(map(sample, (item for item in get_args(kind) if item is not ...)))
    return [sample(first)] if get_origin(kind) in {Sequence, list} else sample(first)


def build(cls: type[BlueprintError]) -> BlueprintError:
    """An error of a class, with a fact of every kind that it declares."""
    hints = get_type_hints(cls)
    return cls(**{item.name: sample(hints[item.name]) for item in fields(cls) if item.init})  # type: ignore[arg-type]  # a dataclass


FAMILIES = {InputError, ConfigurationError, IntegrityError, GateError, MissingPartError, InternalError, TransientError, PreemptedError}
LEAVES = [cls for cls in our_error_classes() if cls not in {BlueprintError, SceneError, *FAMILIES}]


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.__name__)
def test_class_writes_its_message_from_its_facts(cls):
    """Every name in a template is a fact, a property or a class variable; nothing of the template is left."""
    error = build(cls)
    assert error.message
    assert str(error) == f"[{error.code}] {error.message}"
    assert not re.search(r"\{[a-z_]+[:}]", error.message)
    json.dumps(error.as_dict())


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.__name__)
def test_class_crosses_a_process_pool(cls):
    """An error comes out of a pickle as it went in."""
    error = build(cls)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is cls
    assert (str(back), back.as_dict(), back.args, back.exit_code) == (str(error), error.as_dict(), error.args, error.exit_code)


def test_error_crosses_a_real_process_pool():
    """What a worker raises is what the caller catches."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(BadInput, match="negative") as caught:
        pool.submit(_fail, -1).result()
    assert caught.value.facts == {"problem": "negative", "at": -1}


def _fail(value: int) -> None:
    raise BadInput("negative", at=value)


def test_error_is_plain_data():
    """An error is JSON, whatever its facts are."""
    error = BadInput("bad", at=[1.5, Path("y"), None, {"z": Path("z")}])
    assert json.loads(json.dumps(error.as_dict()))["facts"] == {"problem": "bad", "at": [1.5, "y", None, {"z": "z"}]}
    assert str(error) == "[sample.bad_input] bad"


def test_no_url_in_an_error_lets_its_bearer_in():
    """Wherever a URL stands in a fact, its user, password and query are cut out: from words, facts, ``repr`` and pickle."""
    user = "ann:s3cret"
    url = f"https://{user}@host/a?sig=s3cret"
    error = BadInput(f"GET {url}: refused", at=[url, {"url": url}, ("gs://s3cret@b/a",)])
    assert "s3cret" not in f"{error}{error!r}{error.as_dict()}{pickle.dumps(error)!r}"
    assert error.message == "GET https://host/a refused"


def test_preemption_is_retryable():
    """SIGTERM ends with 143 and may be run again."""
    assert (PreemptedError.retryable, PreemptedError.exit_code) == (True, 143)


def test_reference_is_up_to_date():
    """docs/errors.md is what the classes say; `make docs` writes it."""
    assert (Path(__file__).parents[1] / "docs" / "errors.md").read_text() == render_reference()
