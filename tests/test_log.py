"""Logs are JSON lines on stderr with the ids that were bound."""

import io
import json
import sys

import pytest

from blueprint_pipeline.log import configure_logging, get_logger, log_context
from blueprint_pipeline.settings import LogSettings


def test_events_carry_bound_ids_and_follow_stderr(capsys, monkeypatch):
    """One JSON object a line; a stderr that was replaced meanwhile is followed."""
    configure_logging(LogSettings(format="json"))
    with log_context(run_id="r1", scene_id="s1"):
        get_logger().info("stage done", outputs=2)
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["run_id"], event["scene_id"], event["outputs"], event["level"]) == ("stage done", "r1", "s1", 2, "info")
    replaced = io.StringIO()
    monkeypatch.setattr(sys, "stderr", replaced)
    get_logger().warning("later")
    assert json.loads(replaced.getvalue())["event"] == "later"


def test_level_is_a_bound(capsys):
    """What is below the level is not written."""
    configure_logging(LogSettings(level="ERROR"))
    get_logger().info("quiet")
    assert capsys.readouterr().err == ""
    configure_logging(LogSettings())


@pytest.mark.parametrize(("at_terminal", "json_line"), [(True, False), (False, True)])
def test_people_at_a_terminal_get_text(monkeypatch, at_terminal, json_line):
    """Programs that read stderr get JSON lines, without being told to ask for them."""
    stderr = io.StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: at_terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    configure_logging(LogSettings())
    get_logger().info("stage done")
    assert stderr.getvalue().startswith("{") == json_line
