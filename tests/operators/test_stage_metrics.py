"""Metrics of stages arrive where Airflow's own do."""

import socket

import pytest
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

from blueprint_pipeline.compute.job import UnitDone
from operators.stage_metrics import count_stage


@pytest.fixture
def statsd(monkeypatch):
    """A StatsD server: what it has got so far, metric by metric."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        for name, value in {"ON": "True", "HOST": "127.0.0.1", "PORT": server.getsockname()[1]}.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__STATSD_{name}", str(value))
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        yield lambda count: sorted(server.recv(512).decode() for _ in range(count))
        monkeypatch.undo()
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)


def test_what_a_stage_did_is_counted_and_what_was_found_is_not_counted_again(statsd):
    """Whole numbers add up, other numbers are gauges; ids and switches are no metrics."""
    made = UnitDone(result={"kept": 20, "usd": 0.5, "job_id": "j", "signed": True, "shard_index": 3}, found_done=False)
    count_stage("gate_episodes", [made, made.model_copy(update={"found_done": True})])
    assert statsd(4) == [
        "airflow.blueprint_pipeline.gate_episodes.done:1|c",
        "airflow.blueprint_pipeline.gate_episodes.found:1|c",
        "airflow.blueprint_pipeline.gate_episodes.kept:20|c",
        "airflow.blueprint_pipeline.gate_episodes.usd:0.5|g",
    ]
