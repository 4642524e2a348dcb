"""``make up`` looks after the Airflow that it started."""

import io
import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
from rich.console import Console
from werkzeug import Response

from operators.embedded import up


@contextmanager
def program(seconds):
    process = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def health(httpserver, monkeypatch):
    """Airflow's page of its parts' states, which a test sets; looked at without a pause."""
    states = {part: {"status": "healthy"} for part in up.PARTS}
    page = httpserver.expect_request("/api/v2/monitor/health")
    page.respond_with_handler(lambda _: Response(json.dumps(states), content_type="application/json"))
    monkeypatch.setattr(up, "LOOK_S", 0.0)
    monkeypatch.setattr(up, "SICK_S", 1.0)
    return states


def watch(process, httpserver):
    return up.watch(process, Console(file=io.StringIO()), {}, httpserver.url_for("").rstrip("/"))


def test_a_part_that_is_gone_is_named(health, httpserver):
    """A killed scheduler takes no other process with it: without a look nobody would know, and nothing would run."""
    health["scheduler"] = {"status": "unhealthy"}
    with program(60) as process:
        assert watch(process, httpserver) == ["scheduler"]


def test_airflow_that_ends_is_not_looked_after(health, httpserver):
    """Its parts were well until then."""
    with program(2) as process:
        assert watch(process, httpserver) == []
