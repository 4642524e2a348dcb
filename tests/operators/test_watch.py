"""What is looked after while runs go on: nothing stays claimed, held, unsaid or unanswered."""

import json
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.api.datamodels._generated import DagRunState
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from blueprint_pipeline.compute.job import StageFailed, UnitDone
from blueprint_pipeline.registry.approvals import lapse_id
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.outbox import Outbox
from blueprint_pipeline.registry.records import Message, SceneSource, WebhookAttempt
from blueprint_pipeline.registry.runs import RunRepository
from blueprint_pipeline.settings import load_settings
from operators.watch import STARTING, WatchRunsOperator

RUN = "n1~s1~aurora_robotics"


class Compute:
    """Calls labs: notes the jobs, and fails where it is told to."""

    def __init__(self, fails=None):
        self.jobs, self.fails = [], fails

    def run(self, job, on_event):
        self.jobs.append(job)
        if self.fails:
            raise StageFailed({"code": self.fails, "message": "m", "retryable": True, "exit_code": 75}, job.stage)
        return [UnitDone(result={}, found_done=False)]

    def stop(self): ...


@pytest.fixture
def registry(environment, settings):
    opened = open_registry(settings.registry)
    opened.scenes.sync([SceneSource(scene_id="s1", source_url="sample", lab="aurora_robotics")], datetime.now(UTC))
    return opened


def watch(states, compute=None, **ti):
    def state(dag_id, run_id):
        if (dag_id, run_id) not in states:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404, "message": "Not Found"}))
        return DagRunState(states[dag_id, run_id])

    operator = WatchRunsOperator(task_id="watch_runs", compute=compute or Compute())
    return operator.execute({"ti": SimpleNamespace(dag_id="watch_runs", get_dagrun_state=state, **ti), "run_id": "w"})


def start(registry):
    registry.scenes.mark_started("s1", RUN)
    registry.runs.start(dag_id="scene_to_dataset", run_id=RUN, scene_id="s1", lab="aurora_robotics", link="http://airflow/run")
    registry.leases.acquire("s1/simulate_shard", f"scene_to_dataset/{RUN}", 600)


@pytest.mark.parametrize(("state", "how"), [("failed", "cancelled"), ("success", "marked as done"), (None, "deleted")])
def test_a_run_that_a_person_ended_is_told_and_holds_nothing(registry, slack, state, how):
    """Its last task never ran: the registry says cancelled, the scene and its leases are free, on-call is told once.

    A run of another DAG that has the same id keeps its own.
    """
    start(registry)
    registry.leases.acquire("s1/notify_lab", f"watch_runs/{RUN}", 600)
    states = {} if state is None else {("scene_to_dataset", RUN): state}
    assert watch(states)["ended"] == [RUN]
    assert watch(states)["ended"] == []
    assert registry.runs.find("scene_to_dataset", RUN).status == "cancelled"
    assert registry.scenes.find("s1").running_run_id is None
    assert [lease.name for lease in registry.leases.active()] == ["s1/notify_lab"]
    (message,) = slack.messages
    assert message.body["text"] == f"s1: the run was {how} by hand"
    assert "http://airflow/run" in json.dumps(message.body)


def test_a_watcher_that_dies_loses_no_message(registry, slack, monkeypatch):
    """Killed the moment after the run's end is written down: the next minute tells people, once."""
    start(registry)
    states = {("scene_to_dataset", RUN): "failed"}
    whole = RunRepository.end

    def end_and_die(*given):
        whole(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunRepository, "end", end_and_die)
        with pytest.raises(KeyboardInterrupt):
            watch(states)
    watch(states)
    watch(states)
    assert [message.body["text"] for message in slack.messages] == ["s1: the run was cancelled by hand"]


def test_a_run_that_is_cancelled_again_is_told_again(registry, slack):
    """Cleared in between, it ran again."""
    for _ in range(2):
        start(registry)
        watch({("scene_to_dataset", RUN): "failed"})
    assert len(slack.messages) == 2


def test_nobody_hears_of_the_silence_of_a_run_that_was_cancelled(registry, slack):
    """It waited for a person; its question is withdrawn with it, and no message says that the run goes on."""
    start(registry)
    asked = registry.approvals.request(job_id="j", scene_id="s1", episodes=["e"], gate="g", message="m", actor=RUN, ttl_s=0.5)
    silence = {"message_id": lapse_id(asked.request_id), "kind": "unanswered", "scene_id": "s1", "run_id": RUN, "text": "nobody answered"}
    registry.outbox.hold(Message(**silence))
    assert watch({("scene_to_dataset", RUN): "failed"})["expired"] == []
    time.sleep(0.6)
    assert watch({("scene_to_dataset", RUN): "failed"})["expired"] == []
    assert [message.body["text"] for message in slack.messages] == ["s1: the run was cancelled by hand"]
    assert registry.approvals.find(asked.request_id).status == "withdrawn"


def test_a_run_that_goes_on_is_left_alone(registry):
    start(registry)
    assert watch({("scene_to_dataset", RUN): "running"})["ended"] == []
    assert registry.scenes.find("s1").running_run_id == RUN
    assert len(registry.leases.active()) == 1


def test_a_run_that_was_cancelled_while_it_was_queued_frees_its_scene(registry, slack):
    """No task of it ever ran, so no task could free anything."""
    registry.scenes.mark_started("s1", RUN)
    assert watch({("scene_to_dataset", RUN): "failed"})["freed"] == ["s1"]
    assert registry.scenes.find("s1").running_run_id is None
    assert len(slack.messages) == 1


@pytest.mark.parametrize(("night", "age", "freed"), [("running", 9, []), ("success", 9, ["s1"]), (None, 9, ["s1"]), ("success", 0, [])])
def test_a_claim_whose_run_was_never_started(registry, monkeypatch, night, age, freed):
    """While its night goes on, it may still be started, or be part of a batch; after that nobody works on it."""
    registry.scenes.mark_started("s1", RUN)
    states = {} if night is None else {("nightly_scenes", "n1"): night}
    if age:
        monkeypatch.setattr("operators.watch.STARTING", -STARTING)
    assert watch(states)["freed"] == freed


def test_a_claim_that_lapsed_is_told_once(registry, slack, monkeypatch):
    """No task of its run can tell: scene, lab, the night and what to do."""
    registry.scenes.mark_started("s1", RUN)
    monkeypatch.setattr("operators.watch.STARTING", -STARTING)
    for _ in range(2):
        watch({("nightly_scenes", "n1"): "success"}, log_url="http://airflow/dags/watch_runs/runs/w/tasks/watch_runs")
    (message,) = slack.messages
    told = json.dumps(message.body)
    for words in (
        "s1: the run that had it never ended",
        "aurora_robotics",
        "scenes.claim_lapsed",
        "/dags/nightly_scenes/runs/n1",
        "start_scene",
    ):
        assert words in told


def test_a_claim_that_is_freed_by_a_watcher_that_dies_is_told(registry, monkeypatch):
    """State and message are one transaction: the scene is still claimed, and the next minute frees it and tells."""
    registry.scenes.mark_started("s1", RUN)
    monkeypatch.setattr("operators.watch.STARTING", -STARTING)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "add", die)
        with pytest.raises(KeyboardInterrupt):
            watch({})
    assert registry.scenes.find("s1").running_run_id == RUN
    assert watch({})["freed"] == ["s1"]
    assert [item.message.kind for item in registry.outbox.all_of()] == ["claim_lapsed"]


@pytest.mark.parametrize(("night", "ended"), [("running", []), ("failed", [RUN]), ("success", [RUN])])
def test_a_scene_of_a_batch_is_over_with_its_night(registry, slack, night, ended):
    """It has no run of its own in Airflow: while the night goes on its batch works on it; a batch that died leaves it to be told."""
    registry.scenes.mark_started("s1", RUN)
    registry.runs.start(dag_id="nightly_scenes", run_id=RUN, scene_id="s1", lab="aurora_robotics")
    for _ in range(2):
        seen = watch({("nightly_scenes", "n1"): night})
        assert seen["freed"] == []
    assert registry.runs.find("nightly_scenes", RUN).status == ("failed" if ended else "running")
    assert (registry.scenes.find("s1").running_run_id is None) == bool(ended)
    assert [message.body["text"] for message in slack.messages] == ["s1: the run that had it never ended"] * len(ended)


def test_a_scene_of_a_batch_that_is_lost_again_is_told_again(registry, slack):
    """The night was cleared in between: the batch claimed its scene again, and was lost again."""
    for _ in range(2):
        registry.scenes.mark_started("s1", RUN)
        registry.runs.start(dag_id="nightly_scenes", run_id=RUN, scene_id="s1", lab="aurora_robotics")
        watch({("nightly_scenes", "n1"): "failed"})
    assert [message.body["text"] for message in slack.messages] == ["s1: the run that had it never ended"] * 2


def test_another_trouble_of_airflows_frees_nothing(registry):
    """That a state could not be read does not say that the run is gone."""
    start(registry)
    broken = AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500, "message": "x"}))

    def state(*_):
        raise broken

    with pytest.raises(AirflowRuntimeError):
        WatchRunsOperator(task_id="w", compute=Compute()).execute({"ti": SimpleNamespace(get_dagrun_state=state), "run_id": "w"})
    assert registry.scenes.find("s1").running_run_id == RUN


def test_messages_that_wait_are_sent(registry, slack):
    registry.outbox.add(Message(message_id="x", kind="failure", text="it failed"))
    assert watch({})["sent"] == 1
    assert watch({})["sent"] == 0
    assert [message.body["text"] for message in slack.messages] == ["it failed"]


def promoted(registry, delivery_id):
    facts = {"lab": "aurora_robotics", "scene_id": "s1", "job_id": "j", "bundle_sha256": "0" * 64, "size_bytes": 1, "url": "gs://b/d"}
    registry.deliveries.start(delivery_id, **facts)
    return registry.deliveries.advance(delivery_id, "promoted")


@pytest.mark.parametrize("newer", ["promoted", "notified"])
def test_a_lab_is_called_about_the_last_delivery_of_a_scene(registry, monkeypatch, newer):
    """The scene's folder has the receipt of no other: a call about the former one would find its work done, and claim that it was told."""
    for delivery_id in ("dlv_111111111111", "dlv_000000000000"):
        promoted(registry, delivery_id)
        time.sleep(0.01)
    registry.deliveries.advance("dlv_000000000000", newer)
    later = datetime.now(UTC) + timedelta(minutes=30)
    monkeypatch.setattr("operators.lab_notice.datetime", SimpleNamespace(now=lambda _: later))
    assert list(watch({}, Compute())["labs"]) == (["dlv_000000000000"] if newer == "promoted" else [])


@pytest.mark.parametrize(("minutes", "called"), [(1, 0), (30, 1), (5 * 24 * 60, 0)])
def test_a_lab_that_was_not_told_is_called_again(registry, monkeypatch, minutes, called):
    """After a pause, for three days; with the secret of its connection."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_LAB_AURORA_ROBOTICS", json.dumps({"conn_type": "http", "host": "https://lab/hook", "password": "whsec_x"})
    )
    found = promoted(registry, "dlv_0123456789ab")
    at = datetime.now(UTC)
    facts = {
        "message_id": f"msg_{found.delivery_id}",
        "url": "https://lab/hook",
        "status_code": 503,
        "error": "HTTP 503",
        "duration_s": 1.0,
    }
    registry.deliveries.record_attempt(WebhookAttempt(delivery_id=found.delivery_id, attempt=1, at=at, **facts))
    later = at + timedelta(minutes=minutes)
    monkeypatch.setattr("operators.lab_notice.datetime", SimpleNamespace(now=lambda _: later))
    compute = Compute(fails="delivery.webhook_undelivered")
    assert len(watch({}, compute)["labs"]) == called
    assert [set(job.secrets) for job in compute.jobs] == [{"BPP__DELIVERY__WEBHOOK_URL", "BPP__DELIVERY__WEBHOOK_SECRET"}] * called


def test_a_lab_that_is_called_no_more_is_told_once(registry, slack, monkeypatch):
    """After three days; our own people hear it, with what to do, and the delivery stands."""
    found = promoted(registry, "dlv_0123456789ab")
    later = datetime.now(UTC) + timedelta(days=3, minutes=1)
    monkeypatch.setattr("operators.lab_notice.datetime", SimpleNamespace(now=lambda _: later))
    assert [watch({})["labs_given_up"] for _ in range(2)] == [[found.delivery_id], []]
    (message,) = slack.messages
    told = json.dumps(message.body)
    assert message.body["text"] == "aurora_robotics is no longer called about s1"
    for words in ("delivery.lab_given_up", "gs://b/d", "clear notify_lab"):
        assert words in told


def test_questions_whose_time_is_over_are_closed(registry):
    asked = registry.approvals.request(job_id="j", scene_id="s1", episodes=["e"], gate="g", message="m", actor="r", ttl_s=-1)
    assert watch({})["expired"] == [asked.request_id]


def test_a_cluster_in_disorder_keeps_nothing_else_from_being_done(registry, slack, monkeypatch):
    """Pods come last: the run is ended, its scene free and people told, and then the task fails."""

    def break_down(*_):
        raise RuntimeError("what nobody foresaw")

    monkeypatch.setenv("BPP__COMPUTE__KIND", "kubernetes")
    load_settings.cache_clear()
    monkeypatch.setattr("operators.left_pods.remove_left_pods", break_down)
    start(registry)
    with pytest.raises(RuntimeError, match="nobody foresaw"):
        watch({})
    assert registry.runs.find("scene_to_dataset", RUN).status == "cancelled"
    assert registry.scenes.find("s1").running_run_id is None
    assert len(slack.messages) == 1
