"""No room on the first cluster: the job moves to the next, and those after it do not even try."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import DAG

from tests.airflow_home import run_dag, xcom_of
from tests.kube import TOY, KubeCluster, environment_of, write_compute, write_templates
from tests.stage.toy_rows import TOY_ROWS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("kubernetes")]


@pytest.fixture(scope="module")
def clusters(tmp_path_factory):
    """Two regions; only the second has a GPU."""
    folder = tmp_path_factory.mktemp("kube")
    found = [KubeCluster(folder, "alpha", (str(TOY),)), KubeCluster(folder, "beta", (str(TOY),), ("--nodes", "1", "--gpus-per-node", "1"))]
    try:
        for cluster in found:
            cluster.start()
        yield found
    finally:
        for cluster in found:
            cluster.stop()


@pytest.fixture
def fields(clusters, database_url, settings, monkeypatch, tmp_path):
    """A stage that asks for a GPU; fields of its request."""
    from blueprint_pipeline.compute.profiles import load_compute
    from blueprint_pipeline.settings import RegistrySettings, load_settings
    from blueprint_pipeline.stage.flow import STAGES

    monkeypatch.setitem(STAGES, "toy_intake", TOY_ROWS["toy_intake"])
    settings = settings.model_copy(update={"registry": RegistrySettings(url=database_url)})
    templates = write_templates(tmp_path / "templates", settings)
    config = write_compute(tmp_path / "compute.yaml", clusters, stages={"toy_intake": "gpu"})
    for name, value in environment_of(settings, config, templates, clusters).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.txt").write_text("a")
    load_settings.cache_clear()
    load_compute.cache_clear()
    yield {"scene_id": "s1", "source": str(tmp_path / "source")}
    load_settings.cache_clear()


def run(name, fields):
    from operators.retries import build_retries
    from operators.stage_operator import stage_task

    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
        stage_task("toy_intake", fields, **build_retries(delay=timedelta(0)))
    return run_dag(dag)


def test_a_full_region_is_left_and_passed_over(clusters, fields, caplog):
    """One try is enough, the pod that waited in vain is gone, and while the breaker is open the next job does not wait there."""
    first, tasks = run("failover_full", fields)
    assert first.state == "success"
    assert tasks["toy_intake", -1].try_number == 1
    assert "leaves alpha: unschedulable" in caplog.text
    assert xcom_of(first, "toy_intake", "pod")["cluster"] == "beta"
    caplog.clear()
    second, _ = run("failover_passed_over", fields)
    assert xcom_of(second, "toy_intake", "pod")["cluster"] == "beta"
    assert "leaves alpha" not in caplog.text
    assert [cluster.pods() for cluster in clusters] == [[], []]
