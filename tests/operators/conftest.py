"""Operators run in real DAG runs, and their stages as real jobs of the fork server."""

from pathlib import Path

import pytest

from tests.stage.toy_rows import TOY_ROWS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(settings, monkeypatch):
    """Processes that start from here work in the test's folder."""
    from blueprint_pipeline.settings import load_settings

    values = {
        "BPP__WORKSPACE__URL": settings.workspace.url,
        "BPP__WORKSPACE__CACHE_DIR": str(settings.workspace.cache_dir),
        "BPP__REGISTRY__URL": settings.registry.url,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    yield values
    load_settings.cache_clear()


@pytest.fixture
def toy_flow(environment, monkeypatch, tmp_path):
    """This process and the fork server know the toy stages; returns fields of a request for them."""
    from blueprint_pipeline.compute import local
    from blueprint_pipeline.compute.warm_start import fork_job
    from blueprint_pipeline.stage.flow import STAGES

    for name, row in TOY_ROWS.items():
        monkeypatch.setitem(STAGES, name, row)

    def start_toy(arguments, variables):
        path = f"{ROOT}:{ROOT / 'include'}"  # this checkout's, wherever the package is installed from
        return fork_job(arguments, {**variables, "PYTHONPATH": path}, idle_s=30, module="tests.operators.toy_server")

    monkeypatch.setattr(local, "start_warm", start_toy)
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("a")
    return {"scene_id": "s1", "source": str(source), "log": str(tmp_path / "work.log")}


@pytest.fixture
def slack(monkeypatch):
    """A receiver that plays Slack, reached through Airflow's connection ``slack_default``."""
    import json

    from operators.embedded.receivers import receive

    with receive() as receiver:
        connection = {"conn_type": "slackwebhook", "host": f"{receiver.url}/services", "password": "T/B/X"}
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
        yield receiver


@pytest.fixture
def statsd(monkeypatch):
    """A StatsD server: what it has got so far, metric by metric."""
    import socket

    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        for name, value in {"ON": "True", "HOST": "127.0.0.1", "PORT": server.getsockname()[1]}.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", str(value))
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        yield lambda count: sorted(server.recv(512).decode() for _ in range(count))
        monkeypatch.undo()
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
