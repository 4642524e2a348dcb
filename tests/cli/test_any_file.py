"""Whatever bytes a file holds that a command reads, the command refuses it in our own words, or takes it."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.errors import InputError

COMMANDS = {"a request": ["stage", "run", "settle_scene", "--request"], "a job": ["job", "run"]}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(data=b"")
@example(data=b"\xff\xfe{")
@example(data=b"[" * 100_000)
@example(data=b'{"seed": ' + b"9" * 5000 + b"}")
@example(data=b'{"stage": "settle_scene", "requests": [' + b"[" * 100_000)
@given(data=st.binary(max_size=200))
def test_any_bytes_of_a_file_are_refused_in_our_words(command, data, tmp_path):
    """The error is one of the input: its exit status says that a retry cannot help, and its words name the file or a field."""
    path = tmp_path / "given.json"
    path.write_bytes(data)
    ended = CliRunner().invoke(app, [*command, str(path)])
    assert isinstance(ended.exception, InputError), repr(ended.exception)
    assert "given.json" in str(ended.exception) or "scene_id" in str(ended.exception)
