"""Stages as pods on a real control plane: results, errors, adoption, preemption, and what is left behind."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk import DAG

from tests.airflow_home import run_dag, xcom_of
from tests.kube import NAMESPACE, TOY, KubeCluster, environment_of, write_compute, write_templates
from tests.shipping.conftest import database_url  # noqa: F401 -- a fixture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("kubernetes")]
TOYS = {"toy_intake": "tests.toy_stages", "toy_work": "tests.toy_stages", "toy_plan": "tests.operators.toy_shards", "toy_shard": "tests.operators.toy_shards"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    found = KubeCluster(tmp_path_factory.mktemp("kube"), program=(str(TOY),))
    try:
        yield found.start()
    finally:
        found.stop()


@pytest.fixture
def place(cluster, database_url, settings, monkeypatch, tmp_path):  # noqa: F811
    """Toy stages run as pods of that cluster; returns fields of their requests."""
    from blueprint.compute.profiles import load_compute
    from blueprint.flow import FLOW
    from blueprint.settings import RegistrySettings, load_settings

    for name, module in TOYS.items():
        monkeypatch.setitem(FLOW, name, module)
    settings = settings.model_copy(update={"registry": RegistrySettings(url=database_url, lease_s=15)})
    stages = {"toy_work": "cpu", "toy_shard": "cpu", "toy_intake": "cpu"}
    config = write_compute(tmp_path / "compute.yaml", [cluster], stages=stages)
    templates = write_templates(tmp_path / "templates", settings)
    for name, value in environment_of(settings, config, templates, [cluster]).items():
        monkeypatch.setenv(name, value)
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("a")
    load_settings.cache_clear()
    load_compute.cache_clear()
    yield {"scene_id": "s1", "source": str(source), "log": str(tmp_path / "work.log")}
    load_settings.cache_clear()
    for pod in cluster.pods():
        cluster.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)


def dag_of(name, *stages, **default_args):
    from operators.retries import build_retries
    from operators.stage_operator import stage_task

    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
        before = None
        for stage, fields in stages:
            task = stage_task(stage, fields, **{**build_retries(delay=timedelta(0)), **default_args})
            if before is not None:
                before >> task
            before = task
    return dag


def test_a_pod_does_the_work_and_nothing_is_left_of_it(cluster, place, capfd):
    """The result is the stage's, its log is readable in the task's, the record names pod and node, and the pod is gone."""
    run, tasks = run_dag(dag_of("pod_result", ("toy_intake", place), ("toy_work", {**place, "units": 3})))
    log = capfd.readouterr().out
    assert run.state == "success", log[-6000:]
    assert xcom_of(run, "toy_work") == {"files": 3}
    assert "3 of 3 done" in log
    assert tasks["toy_work", -1].try_number == 1
    assert cluster.pods() == []
