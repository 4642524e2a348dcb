"""Stages as pods on a real control plane: results, errors, adoption, preemption, and what is left behind."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk import DAG

from tests.airflow_home import run_dag, xcom_of
from tests.kube import IMAGE, NAMESPACE, TOY, KubeCluster, environment_of, write_compute, write_templates
from tests.operators.task_context import Store, TaskInstance
from tests.stage.toy_rows import TOY_ROWS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("kubernetes")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    found = KubeCluster(tmp_path_factory.mktemp("kube"), program=(str(TOY),))
    try:
        yield found.start()
    finally:
        found.stop()


@pytest.fixture
def place(cluster, database_url, settings, monkeypatch, tmp_path):
    """Toy stages run as pods of that cluster; returns fields of their requests."""
    from blueprint_pipeline.compute.profiles import load_compute
    from blueprint_pipeline.settings import RegistrySettings, load_settings
    from blueprint_pipeline.stage.flow import STAGES

    for name, row in TOY_ROWS.items():
        monkeypatch.setitem(STAGES, name, row)
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


@contextmanager
def meddler(condition, action):
    """Do something to the cluster once a condition holds, while a DAG runs in this thread; a failure there fails the test here."""

    def meddle():
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, "what was waited for did not come"
            time.sleep(0.1)
        action()

    with ThreadPoolExecutor(1) as executor:
        done = executor.submit(meddle)
        yield
        done.result(timeout=120)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.2)


def done_units(place):
    log = Path(place["log"])
    return [line for line in log.read_text().split("\n") if line.startswith("unit")] if log.exists() else []


def only_pod(cluster):
    (pod,) = cluster.pods()
    return pod.metadata.name


def let_go(place):
    Path(f"{place['log']}.go").touch()


def test_permanent_error_comes_through_the_pod_typed(cluster, place, capfd):
    """Code and message of the stage, one try, and no pod left."""
    run, tasks = run_dag(dag_of("pod_permanent", ("toy_intake", {**place, "fail": "input"})))
    log = capfd.readouterr().out
    assert run.state == "failed"
    assert tasks["toy_intake", -1].try_number == 1
    assert "[sample.bad_input] this source is no good" in log
    assert cluster.pods() == []


def test_transient_error_spends_the_real_retries(cluster, place):
    """The policy counts it; after as many as the task may have, it has failed."""
    from operators.retries import build_retries

    flow = dag_of("pod_transient", ("toy_intake", place), ("toy_work", {**place, "fail": "transient"}), **build_retries(1, timedelta(0)))
    run, tasks = run_dag(flow)
    assert run.state == "failed"
    assert tasks["toy_work", -1].try_number == 2


def test_preempted_pod_is_rescheduled_without_spending_a_retry(cluster, place):
    """SIGTERM: finished units stay, exit 143, a new pod does the rest; with not one real retry allowed."""
    from operators.retries import build_retries

    def preempt():
        cluster.core.delete_namespaced_pod(only_pod(cluster), NAMESPACE)
        let_go(place)

    with meddler(lambda: len(done_units(place)) == 2, preempt):
        fields = {**place, "units": 4, "hold_at": 2}
        run, tasks = run_dag(dag_of("pod_preempted", ("toy_intake", place), ("toy_work", fields), **build_retries(0, timedelta(0))))
    assert run.state == "success"
    assert tasks["toy_work", -1].try_number == 2
    assert done_units(place) == ["unit 0", "unit 1", "unit 2", "unit 3"]


def test_killed_pod_is_lost_and_made_anew(cluster, place, capfd):
    """No grace, no word: the next pod waits for the dead one's lease to expire, and does the rest."""

    def kill():
        cluster.core.delete_namespaced_pod(only_pod(cluster), NAMESPACE, grace_period_seconds=0)
        let_go(place)

    with meddler(lambda: len(done_units(place)) == 1, kill):
        run, tasks = run_dag(dag_of("pod_killed", ("toy_intake", place), ("toy_work", {**place, "units": 3, "hold_at": 1})))
    assert run.state == "success", capfd.readouterr().out[-5000:]
    assert tasks["toy_work", -1].try_number == 2
    assert done_units(place) == ["unit 0", "unit 1", "unit 2"]


def context_of(store=None):
    return {"ti": TaskInstance(), "run_id": "r1", "dag": None, "task_state_store": store}


def start(place, store=None):
    """Run the operator up to where it defers; what it hands to the triggerer."""
    from airflow.sdk.exceptions import TaskDeferred

    from operators.isaac_sim_pod import IsaacSimPodOperator

    operator = IsaacSimPodOperator(stage="toy_intake", request=place)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context_of(store))
    return operator, deferred.value.trigger.watch


def test_a_task_that_starts_anew_takes_the_living_pod(cluster, place):
    """By its memory, and without: the pod's name says it all. The API lets no twin live."""
    store = Store()
    _, first = start(place, store)
    assert store["job_pod"]["cluster"] == "alpha"
    _, again = start(place, store)
    _, without_memory = start(place)
    assert first.uid == again.uid == without_memory.uid
    assert [pod.metadata.uid for pod in cluster.pods()] == [first.uid]


def test_two_workers_at_once_get_one_pod(cluster, place):
    """Both ask to create; one is told 409 and adopts."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as threads:
        uids = {watch.uid for _, watch in threads.map(lambda _: start(place), range(4))}
    assert len(uids) == len(cluster.pods()) == 1


def test_a_pod_of_another_job_is_not_touched(cluster, place):
    """Its key is in its annotation; the task fails with both keys."""
    from airflow.sdk.exceptions import AirflowFailException

    from operators.isaac_sim_pod import IsaacSimPodOperator

    _, watch = start(place)
    cluster.core.patch_namespaced_pod(watch.pod, NAMESPACE, {"metadata": {"annotations": {"blueprint-pipeline-key": "f" * 64}}})
    with pytest.raises(AirflowFailException, match=r"compute\.name_taken"):
        IsaacSimPodOperator(stage="toy_intake", request=place).execute(context_of())
    assert len(cluster.pods()) == 1


def test_a_killed_task_ends_its_pod(cluster, place):
    """A person marks the task failed while it is not deferred."""
    operator, _ = start(place)
    operator.on_kill()
    assert cluster.pods() == []


def test_secrets_of_connections_go_into_no_pod(place, monkeypatch):
    """A pod's specification is readable by many."""
    from airflow.sdk.exceptions import AirflowFailException

    from operators.isaac_sim_pod import IsaacSimPodOperator

    word = "whsec_x"
    monkeypatch.setenv("AIRFLOW_CONN_LAB_A", json.dumps({"conn_type": "http", "password": word}))
    operator = IsaacSimPodOperator(stage="toy_intake", request=place, secret_variables={"WORD": "lab_a.password"})
    with pytest.raises(AirflowFailException, match="WORD"):
        operator.execute(context_of())


@pytest.mark.parametrize(("state", "stays"), [("running", True), ("failed", False), ("success", False), ("gone", True)])
def test_a_pod_whose_run_is_over_is_ended_and_deleted(cluster, place, state, stays):
    """A deferred task that a person cancels leaves its pod at work; nobody else would end it before its deadline."""
    from blueprint_pipeline.compute.job import JobSpec
    from blueprint_pipeline.compute.profiles import load_compute
    from blueprint_pipeline.registry.database import open_registry
    from blueprint_pipeline.settings import load_settings
    from operators.left_pods import remove_left_pods
    from plugins.providers.kubernetes.pod_spec import build_pod
    from plugins.providers.kubernetes.pods import ClusterPods

    settings = load_settings()
    config = load_compute(settings.compute.config)
    requests = ({**place, "units": 3},)
    bare = JobSpec(stage="toy_work", requests=requests, run_id=f"r-{state}", dag_id="d", profile=config.profiles["cpu"])
    spec = bare.model_copy(update={"profile": bare.profile.model_copy(update={"image": IMAGE})})
    (here,) = config.clusters
    ClusterPods(here).create_or_adopt(build_pod(spec, here, settings.compute.pod_templates, {}, installation="ours"), spec.key)
    wait_until(lambda: cluster.pods()[0].status.phase == "Running")
    asked = []

    def look():
        found = remove_left_pods(config, open_registry(settings.registry).leases, "ours", lambda *run: asked.append(run) or state)
        assert found in ([], [spec.name])

    look()
    assert asked == [("d", f"r-{state}")]
    if stays:
        assert [pod.metadata.deletion_timestamp for pod in cluster.pods()] == [None]
        let_go(place)
        wait_until(lambda: cluster.pods()[0].status.phase in {"Succeeded", "Failed"})
        look()
    if state == "running":
        assert only_pod(cluster) == spec.name
        return
    wait_until(lambda: cluster.pods() == [])


def test_pods_of_others_are_left_alone(cluster, place, caplog):
    """Another installation's Airflow has a run of the same id; what a person made by hand, with the labels copied, has no job.

    A run is asked for once, however many pods it left.
    """
    from blueprint_pipeline.compute.job import JobSpec
    from blueprint_pipeline.compute.profiles import load_compute
    from blueprint_pipeline.registry.database import open_registry
    from blueprint_pipeline.settings import load_settings
    from operators.left_pods import remove_left_pods
    from plugins.providers.kubernetes.pod_spec import build_pod
    from plugins.providers.kubernetes.pods import ClusterPods

    settings = load_settings()
    config = load_compute(settings.compute.config)
    (here,) = config.clusters

    def make(installation, units):
        profile = config.profiles["cpu"].model_copy(update={"image": IMAGE})
        spec = JobSpec(stage="toy_work", requests=({**place, "units": units},), run_id="r", dag_id="d", profile=profile)
        pod = build_pod(spec, here, settings.compute.pod_templates, {}, installation=installation)
        ClusterPods(here).create_or_adopt(pod, spec.key)
        return pod

    ours, theirs = [make("ours", units)["metadata"]["name"] for units in (3, 4)], make("theirs", 5)
    labels = {**theirs["metadata"]["labels"], "blueprint-pipeline-installation": "ours"}
    by_hand = {"bare": {}, "damaged": {"blueprint-pipeline-spec": "{"}, "foreign": {"blueprint-pipeline-spec": "{}"}}
    for name, annotations in by_hand.items():
        metadata = {"name": name, "labels": labels, "annotations": annotations}
        cluster.core.create_namespaced_pod(NAMESPACE, {**theirs, "metadata": metadata})
    asked = []
    found = remove_left_pods(config, open_registry(settings.registry).leases, "ours", lambda *run: asked.append(run) or "failed")
    assert sorted(found) == sorted(ours)
    assert asked == [("d", "r")]
    assert [name for name in by_hand if f"pod {name} on alpha has no job" not in caplog.text] == []
    left = {pod.metadata.name for pod in cluster.pods() if pod.metadata.deletion_timestamp is None}
    assert left == {*by_hand, theirs["metadata"]["name"]}


def test_a_cluster_that_does_not_answer_keeps_nobody_from_watching(cluster, place):
    from blueprint_pipeline.compute.profiles import load_compute
    from blueprint_pipeline.registry.database import open_registry
    from blueprint_pipeline.settings import load_settings
    from operators.left_pods import remove_left_pods

    settings = load_settings()
    config = load_compute(settings.compute.config)
    away = config.clusters[0].model_copy(update={"connection": "kube_none"})
    config = config.model_copy(update={"clusters": (away,)})
    assert remove_left_pods(config, open_registry(settings.registry).leases, "ours", lambda *_: "failed") == []
