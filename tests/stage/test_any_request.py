"""Whatever is asked of a stage is either a request that it understands or refused in our own words."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.stage.flow import STAGES, load_stage
from blueprint_pipeline.stage.runner import InvalidRequest, parse_request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("name", STAGES)
@settings(max_examples=40)
@given(data=st.data())
def test_any_fields_are_a_request_or_are_refused(name, data):
    """No other error comes out, and what is understood says the same when it is written and read again."""
    stage = load_stage(name)
    known = st.sampled_from(sorted(stage.request.model_fields))
    fields = data.draw(st.dictionaries(known | st.text(max_size=8), JSON, max_size=6))
    if data.draw(st.booleans()):
        fields = {**fields, "scene_id": "kitchen"}
    request = understood(stage, fields)
    assert request is None or parse_request(stage, json.loads(request.model_dump_json())) == request


def understood(stage, fields):
    """The request; ``None`` where it is refused, with the reason."""
    try:
        return parse_request(stage, fields)
    except BlueprintError as error:
        refusal = error
    assert not isinstance(refusal, InvalidRequest) or refusal.findings
    assert not refusal.retryable
    return None
