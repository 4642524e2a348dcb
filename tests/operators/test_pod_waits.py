"""What only needs time costs no try: a full quota, no node, a registry that is away. What is wrong with a record blocks nothing."""

import json
from datetime import timedelta

import pytest
import stamina
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from blueprint_pipeline.compute.errors import ImagePullFailed, JobRecordUnreadable, NoCapacity, PodNotStarted
from blueprint_pipeline.compute.record import record_name
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.sessions import RegistryUnavailable
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.workspace.storage import Workspace
from plugins.providers.kubernetes.pause_trigger import Pause
from tests.kube import write_compute, write_templates
from tests.operators.task_context import Store, TaskInstance
from tests.stage.toy_rows import TOY_ROWS

PODS = "/api/v1/namespaces/n/pods"
GPU = "requests.nvidia.com/gpu"
FULL = f'pods "p" is forbidden: exceeded quota: q, requested: {GPU}=1, used: {GPU}=8, limited: {GPU}=8'


class Row:
    """A cluster's row for the fake API."""

    def entry(self):
        return {"name": "fake", "region": "r", "connection": "kube_fake", "namespace": "n", "machines": {"cpu": "gce_e2_standard_8"}}


@pytest.fixture
def place(fake_api, settings, monkeypatch, tmp_path):
    """Toy stages are pods of that API; returns fields of their requests."""
    from blueprint_pipeline.compute.profiles import load_compute
    from blueprint_pipeline.stage.flow import STAGES

    for name, row in TOY_ROWS.items():
        monkeypatch.setitem(STAGES, name, row)
    failover = {
        "unschedulable_s": 6,
        "gone_s": 1,
        "poll_s": 0.1,
        "quiet_s": 0,
        "room_wait_s": 3600,
        "room_poll_s": 7,
        "registry_wait_s": 600,
    }
    config = write_compute(tmp_path / "compute.yaml", [Row()], stages={"toy_intake": "cpu"}, failover=failover)
    values = {
        "BPP__WORKSPACE__URL": settings.workspace.url,
        "BPP__WORKSPACE__CACHE_DIR": str(settings.workspace.cache_dir),
        "BPP__REGISTRY__URL": settings.registry.url,
        "BPP__COMPUTE__KIND": "kubernetes",
        "BPP__COMPUTE__CONFIG": str(config),
        "BPP__COMPUTE__POD_TEMPLATES": str(write_templates(tmp_path / "templates", settings)),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    load_compute.cache_clear()
    with stamina.set_testing(True, attempts=1):
        yield {"scene_id": "s1", "source": "/nowhere"}
    load_settings.cache_clear()
    load_compute.cache_clear()


def step(place, event=None):
    """Run the operator, or resume it, up to where it defers; what it waits for."""
    from operators.isaac_sim_pod import IsaacSimPodOperator

    operator = IsaacSimPodOperator(stage="toy_intake", request=place)
    context = {"ti": TaskInstance(), "run_id": "r1", "dag": None, "task_state_store": Store()}
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context) if event is None else operator.resume(context, event)
    trigger = deferred.value.trigger
    return getattr(trigger, "pause", None) or trigger.watch


def paused_since(pause, seconds):
    """The event after a wait that began so long ago."""
    return pause.model_copy(update={"since": pause.since - timedelta(seconds=seconds)}).model_dump(mode="json")


def takes_pods(fake_api):
    """From now on the API has room; the pod that it made."""
    made = {
        "metadata": {"name": "made", "uid": "u1", "creationTimestamp": "2026-11-28T00:00:00Z", "annotations": {}},
        "spec": {"containers": [{"name": "base", "image": "i"}]},
        "status": {"phase": "Pending"},
    }
    fake_api.answers[f"POST {PODS}"] = lambda _query: (201, made)


def holds_pod(fake_api, name, **facts):
    """From now on the API has a pod until it is deleted; that pod as a trigger tells of it."""
    pod = {
        "metadata": {"name": name, "uid": "u1", "creationTimestamp": "2026-11-28T00:00:00Z", "annotations": {}},
        "spec": {"containers": [{"name": "base", "image": "i"}]},
        "status": {"phase": "Pending"},
    }
    path = f"{PODS}/{name}"
    fake_api.answers[f"GET {path}"] = lambda _query: (200, pod)

    def delete(_query):
        fake_api.answers.pop(f"GET {path}")
        return 200, pod

    fake_api.answers[f"DELETE {path}"] = delete
    told = {"name": name, "uid": "u1", "key": None, "phase": "Pending", "created_at": "2026-11-28T00:00:00Z", "node": "node-1"}
    return {**told, **facts}


def deleted(fake_api):
    """Names of the pods that the API was asked to delete."""
    return [path.rpartition("/")[2] for method, path, _ in fake_api.asked if method == "DELETE"]


def breakers():
    from blueprint_pipeline.compute.breaker import ClusterBreaker

    return ClusterBreaker(open_registry(load_settings().registry).leases, 60).open_clusters()


def test_a_full_quota_is_waited_for(fake_api, place):
    """No try is spent, no breaker trips, and the pod is made once there is room; the wait is one from its beginning."""
    fake_api.refuse(f"POST {PODS}", 403, FULL)
    first = step(place)
    assert isinstance(first, Pause)
    assert (first.code, first.pause_s, first.told) == (NoCapacity.code, 7, None)
    again = step(place, paused_since(first, 600))
    assert (first.since - again.since).total_seconds() == 600
    assert breakers() == {}
    takes_pods(fake_api)
    watch = step(place, again.model_dump(mode="json"))
    assert watch.uid == "u1"
    assert watch.no_room_since == again.since


def test_a_pod_without_a_node_makes_room_and_is_waited_for(fake_api, place):
    """A stock-out is a queue: the next round begins after a pause, and the time counts from the first."""
    takes_pods(fake_api)
    watch = step(place)
    told = {"kind": "unschedulable", "cluster": "fake", "uid": "u1", "reason": "0/3 nodes are available", "no_room_since": None}
    pause = step(place, told)
    assert pause.code == NoCapacity.code
    assert breakers() == {}
    later = {**told, "no_room_since": (pause.since - timedelta(seconds=100)).isoformat()}
    assert (pause.since - step(place, later).since).total_seconds() == pytest.approx(100)
    assert watch.no_room_since is None


def test_the_wait_for_room_has_an_end(fake_api, place):
    from operators.isaac_sim_pod import IsaacSimPodOperator

    fake_api.refuse(f"POST {PODS}", 403, FULL)
    event = paused_since(step(place), 3601)
    with pytest.raises(NoCapacity, match="exceeded quota"):
        IsaacSimPodOperator(stage="toy_intake", request=place).resume({"ti": TaskInstance(), "run_id": "r1", "dag": None}, event)


@pytest.mark.parametrize("message", ['pods "p" is forbidden: maximum memory usage per Container is 4Gi', "pods is forbidden: no"])
def test_what_is_refused_for_good_is_not_tried_again(fake_api, place, message):
    from operators.isaac_sim_pod import IsaacSimPodOperator

    fake_api.refuse(f"POST {PODS}", 403, message)
    with pytest.raises(AirflowFailException, match=r"compute\.(pod_invalid|cluster_refused)"):
        IsaacSimPodOperator(stage="toy_intake", request=place).execute({"ti": TaskInstance(), "run_id": "r1", "dag": None})
    assert breakers() == {}


def test_a_registry_that_is_away_is_waited_for(fake_api, place, monkeypatch):
    """At the start and at the pod's end; then what was told is done."""
    takes_pods(fake_api)

    def away(_settings):
        raise RegistryUnavailable("postgresql://r", "connection refused")

    with monkeypatch.context() as patched:
        patched.setattr("operators.isaac_sim_pod.open_registry", away)
        first = step(place)
        told = {"kind": "image", "cluster": "fake", "uid": "u1", "reason": "ImagePullBackOff"}
        second = step(place, told)
        assert (first.code, first.told) == (RegistryUnavailable.code, None)
        assert second.told.kind == "image"
    assert step(place, first.model_dump(mode="json")).uid == "u1"


def test_the_wait_for_a_registry_has_an_end(fake_api, place, monkeypatch):
    """The error of the last look is raised, and the dead pod, whose end nobody can book, does not stay on the cluster."""
    from operators.isaac_sim_pod import IsaacSimPodOperator

    takes_pods(fake_api)
    name = step(place).pod

    def away(_settings):
        raise RegistryUnavailable("postgresql://r", "connection refused")

    monkeypatch.setattr("operators.isaac_sim_pod.open_registry", away)
    pod = holds_pod(fake_api, name, waiting_reason="ImagePullBackOff")
    pause = step(place, {"kind": "image", "cluster": "fake", "uid": "u1", "pod": pod})
    step(place, paused_since(pause, 599))
    assert deleted(fake_api) == []
    with pytest.raises(RegistryUnavailable, match="connection refused"):
        IsaacSimPodOperator(stage="toy_intake", request=place).resume(
            {"ti": TaskInstance(), "run_id": "r1", "dag": None}, paused_since(pause, 601)
        )
    assert deleted(fake_api) == [name]


@pytest.mark.parametrize(
    ("kind", "facts", "raised"),
    [
        ("not_started", {"waiting_reason": "CreateContainerConfigError"}, "compute.pod_misconfigured"),
        ("image", {"waiting_reason": "InvalidImageName"}, "compute.pod_misconfigured"),
        ("image", {"waiting_reason": "ImagePullBackOff"}, ImagePullFailed),
        ("not_started", {"trouble": "FailedMount: no such volume"}, PodNotStarted),
        ("refused", {}, "compute.cluster_refused"),
    ],
)
def test_why_a_pod_never_worked_decides_whether_it_is_tried_again(fake_api, place, kind, facts, raised):
    """What only a person can change fails at once, by its code; what may pass is tried again. Who may not read a pod deletes none."""
    from operators.isaac_sim_pod import IsaacSimPodOperator

    takes_pods(fake_api)
    name = step(place).pod
    told = {"kind": kind, "cluster": "fake", "uid": "u1", "reason": "as the kubelet says", "pod": holds_pod(fake_api, name, **facts)}
    error, words = (AirflowFailException, rf"\[{raised}\]") if isinstance(raised, str) else (raised, "as the kubelet says")
    with pytest.raises(error, match=words):
        IsaacSimPodOperator(stage="toy_intake", request=place).resume({"ti": TaskInstance(), "run_id": "r1", "dag": None}, told)
    assert deleted(fake_api) == [name] * (kind != "refused")


def test_an_unreadable_record_is_put_aside_and_the_job_runs_again(fake_api, place):
    """Half a file, or a format of another time: the pod is cleared away, the error may pass, and no try meets that record again."""
    from operators.isaac_sim_pod import IsaacSimPodOperator

    takes_pods(fake_api)
    watch = step(place)
    scene = Workspace(load_settings().workspace).scene("s1")
    name = record_name(watch.pod, "u1")
    scene.write_bytes(name, b'{"schema_version": "9.0"')
    told = {"kind": "succeeded", "cluster": "fake", "uid": "u1", "pod": holds_pod(fake_api, watch.pod, phase="Succeeded")}
    with pytest.raises(JobRecordUnreadable, match=r"\.unreadable"):
        IsaacSimPodOperator(stage="toy_intake", request=place).resume({"ti": TaskInstance(), "run_id": "r1", "dag": None}, told)
    assert not scene.exists(name)
    assert scene.exists(f"{name}.unreadable")
    assert deleted(fake_api) == [watch.pod]


def test_a_record_of_a_newer_version_is_read(fake_api, place):
    from operators.isaac_sim_pod import IsaacSimPodOperator

    takes_pods(fake_api)
    watch = step(place)
    operator = IsaacSimPodOperator(stage="toy_intake", request=place)
    job = operator._open({"ti": TaskInstance(), "run_id": "r1", "dag": None})
    record = {
        "schema_version": "1.7",
        "name": watch.pod,
        "key": job.spec.key,
        "stage": "toy_intake",
        "run_id": "r1",
        "attempt": 1,
        "outcome": "done",
        "units": [{"request": {}, "state": "done", "result": {"files": 1}, "new_field": [1]}],
        "started_at": "2026-11-28T00:00:00Z",
        "host": "h",
        "pod_uid": "u1",
        "machine": "gce_e2_standard_8",
        "energy_kwh": 3,
    }
    Workspace(load_settings().workspace).scene("s1").write_bytes(record_name(watch.pod, "u1"), json.dumps(record).encode())
    told = {"kind": "succeeded", "cluster": "fake", "uid": "u1", "new_field": 1}
    assert operator.resume({"ti": TaskInstance(), "run_id": "r1", "dag": None}, told) == {"files": 1}


@pytest.mark.parametrize(("never_fails", "ends"), [(True, AirflowSkipException), (False, AirflowFailException)])
def test_a_stage_that_only_tells_fails_no_run_in_a_pod_either(fake_api, place, never_fails, ends):
    """As it does not in a process of the worker: our own people are told, and ``watch_runs`` calls the lab again."""
    from operators.isaac_sim_pod import IsaacSimPodOperator

    fake_api.refuse(f"POST {PODS}", 403, 'pods is forbidden: User "x" cannot create resource "pods"')
    operator = IsaacSimPodOperator(stage="toy_intake", request=place, never_fails=never_fails)
    ti = TaskInstance()
    ti.run_id = "r1"
    context = {"ti": ti, "run_id": "r1", "dag": None, "task_state_store": Store(), "params": {"scene_id": "s1", "lab": "acme"}}
    with pytest.raises(ends, match=r"compute\.cluster_refused"):
        operator.execute(context)
    told = open_registry(load_settings().registry).outbox.all_of()
    assert [message.message.kind for message in told] == ["lab_not_told"] * never_fails
