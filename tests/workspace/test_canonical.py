"""Canonical JSON has one form for every value, and none for what other languages would read otherwise."""

import pytest

from blueprint_pipeline.job.stages import PLAN_TASKS
from blueprint_pipeline.stage.runner import InvalidRequest, parse_request
from blueprint_pipeline.workspace.canonical import MAX_INTEGER, NotCanonical, canonical_json, key_of


def test_largest_integer_has_a_form():
    """2^53 - 1 is the last one that every reader keeps."""
    assert canonical_json({"b": MAX_INTEGER, "a": 1.0}) == b'{"a":1,"b":9007199254740991}'


@pytest.mark.parametrize("value", [MAX_INTEGER + 1, -MAX_INTEGER - 1, float("nan"), float("inf")])
def test_number_without_a_form_is_refused(value):
    """In an error of the tree."""
    with pytest.raises(NotCanonical, match="RFC 8785"):
        key_of({"seed": value})


def test_seed_beyond_it_is_refused_with_the_request():
    """Before any work is done."""
    with pytest.raises(InvalidRequest, match="seed"):
        parse_request(PLAN_TASKS, {"scene_id": "s1", "seed": MAX_INTEGER + 1})
