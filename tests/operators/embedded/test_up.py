"""``make up`` looks after the Airflow that it started."""

import io
import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from rich.console import Console
from werkzeug import Response

from blueprint_pipeline.settings import load_settings
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


@pytest.fixture
def handlers():
    """``serve`` takes SIGINT and SIGTERM for itself; the test's own are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_airflow_that_lost_a_part_is_started_anew(health, httpserver, monkeypatch, tmp_path):
    """The first is ended, a second takes its place, and the console says why; it is served until that one ends by itself."""
    made, waited = [], []

    def start(environment, _log):
        seconds = environment["SECONDS"] if made else 60
        made.append(subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"], start_new_session=True))
        return made[-1]

    def wait(process, _url, _log):
        waited.append(process)
        health["scheduler"] = {"status": "unhealthy" if len(waited) == 1 else "healthy"}

    monkeypatch.setattr(up, "start", start)
    monkeypatch.setattr(up, "wait_until_healthy", wait)
    console = Console(file=(said := io.StringIO()), width=200)
    assert up.serve(console, {"SECONDS": "2"}, httpserver.url_for("").rstrip("/"), tmp_path / "log", {}) == 0
    assert made == waited
    assert [process.wait(5) for process in made] == [-signal.SIGTERM, 0]
    assert said.getvalue().count("Airflow is up") == 2
    assert "Airflow's scheduler is gone: starting Airflow anew." in said.getvalue()


@pytest.mark.usefixtures("environment")
def test_the_port_that_was_chosen_is_the_ui_s_and_the_workers(monkeypatch, tmp_path):
    """One number, everywhere: a worker that calls another port finds no Airflow, or that of somebody else."""
    given = []
    monkeypatch.setenv("BPP__DELIVERY__SIGNING_KEY", str(tmp_path / "signing.pem"))
    load_settings.cache_clear()
    monkeypatch.setattr(up, "migrate", lambda _environment: None)
    monkeypatch.setattr(up, "import_settings", lambda _settings, _environment: None)
    monkeypatch.setattr(up, "serve", lambda _console, environment, url, *_: given.append((environment, url)) or 0)
    assert up.main(["--port", "8081", "--airflow-home", str(tmp_path / "home")]) == 0
    ((environment, url),) = given
    assert url == "http://localhost:8081"
    assert environment["AIRFLOW__API__PORT"] == "8081"
    assert environment["AIRFLOW__API__BASE_URL"] == url
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"{url}/execution/"
