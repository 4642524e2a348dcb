"""The first and last task of a run: nothing starts on what cannot end well, nothing stays held, and the run says how it ended."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from blueprint_pipeline.registry.approvals import lapse_id
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.outbox import Outbox
from blueprint_pipeline.registry.records import Message, SceneSource
from blueprint_pipeline.settings import Settings
from operators.open_close_run import CloseRunOperator, OpenRunOperator, undone_tasks
from operators.run_check import wrong_machine
from operators.scene_params import build_params
from operators.stage import StageOperator
from plugins.providers.messages.failure import TaskFailureNotifier
from tests.airflow_home import run_dag, xcom_of
from tests.kube import write_compute


@pytest.fixture
def door(monkeypatch, tmp_path, environment):
    """An installation that lacks nothing."""
    from blueprint_pipeline.delivery.signing import make_signing_key
    from blueprint_pipeline.settings import load_settings

    make_signing_key(tmp_path / "signing.pem")
    monkeypatch.setenv("BPP__DELIVERY__SIGNING_KEY", str(tmp_path / "signing.pem"))
    load_settings.cache_clear()


def dag_of(name, *, stage=None, **chosen):
    params = build_params({"scene_id": "s1", "lab": "aurora_robotics", **chosen})
    told = {"on_failure_callback": [TaskFailureNotifier()]}
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, params=params, default_args=told) as dag:
        opened = OpenRunOperator(task_id="open_run", scene_id="{{ params.scene_id }}", lab="{{ params.lab }}")
        closed = CloseRunOperator(task_id="close_run", scene_id="{{ params.scene_id }}")
        if stage is None:
            opened >> closed
        else:
            opened >> StageOperator(stage="toy_intake", request=stage) >> closed
    return dag


def test_run_is_closed_and_the_registry_knows_how_it_ended(toy_flow, door, settings):
    """A run that succeeds frees its scene and stands in the registry as done."""
    registry = open_registry(settings.registry)
    registry.scenes.sync([SceneSource(scene_id="s1", source_url="x")], datetime.now(UTC))
    run, _ = run_dag(dag_of("bounds_good", stage=toy_flow))
    assert run.state == "success"
    assert xcom_of(run, "close_run") == {"leases_freed": 0, "ended": "succeeded"}
    assert registry.runs.find("bounds_good", run.run_id).status == "succeeded"


def test_failed_run_is_red_and_told_once(toy_flow, door, settings, slack):
    """The last task fails with the names of those that did; the alert is about the stage alone, and is in the registry with its code."""
    run, tasks = run_dag(dag_of("bounds_bad", stage={**toy_flow, "fail": "input"}))
    assert run.state == "failed"
    assert (tasks["toy_intake", -1].state, tasks["close_run", -1].state, tasks["close_run", -1].try_number) == ("failed", "failed", 1)
    (message,) = slack.messages
    assert "toy_intake failed on s1" in message.body["text"]
    kept = open_registry(settings.registry).runs.find("bounds_bad", run.run_id)
    assert (kept.status, kept.stage, kept.lab) == ("failed", "toy_intake", "aurora_robotics")
    assert kept.code


def test_recovery_is_told_once(toy_flow, door, settings, slack):
    """Who was told of a failure is told that the scene is done; without a failure before it there is nothing to tell."""
    run_dag(dag_of("bounds_again", stage={**toy_flow, "fail": "input"}))
    for _ in range(2):
        run_dag(dag_of("bounds_again", stage=toy_flow))
    assert [message.body["text"].partition(":")[0] for message in slack.messages] == [
        "toy_intake failed on s1",
        "s1 is done",
    ]
    assert open_registry(settings.registry).outbox.open_incidents("s1") == []


def test_leases_of_the_run_are_freed(toy_flow, settings):
    """What a lost process of this run still held is free afterwards; others keep theirs, also a run of another DAG with the same id."""
    registry = open_registry(settings.registry)
    registry.leases.acquire("s1/other", "d/another-run", 600)
    registry.leases.acquire("s1/notify_lab", "watch_runs/run-1", 600)
    registry.leases.acquire("s1/toy", "d/run-1", 600)
    CloseRunOperator(task_id="close_run", scene_id="s1").execute(closing({"toy": "success"}))
    assert [lease.name for lease in registry.leases.active()] == ["s1/notify_lab", "s1/other"]


def closing(states, results=None):
    ti = SimpleNamespace(
        dag_id="d",
        run_id="run-1",
        task_id="close_run",
        try_number=1,
        map_index=-1,
        log_url="http://localhost:8080/dags/d/runs/run-1/tasks/close_run",
        get_task_states=lambda **_: {"run-1": states},
        xcom_pull=lambda task_ids: None if results is None else results.get(task_ids),
    )
    return {"ti": ti, "run_id": "run-1", "params": {"scene_id": "s1", "lab": "aurora_robotics"}, "dag_run": SimpleNamespace(clear_number=0)}


@pytest.mark.parametrize(
    "states",
    [
        {"open_run": "success", "a": "skipped", "b": "skipped"},
        {"open_run": "success", "a": "success", "b": "upstream_failed"},
        {"open_run": "success", "a": None},
        {"open_run": "success", "a_0": "success", "a_1": "failed"},
        {"open_run": "removed"},
    ],
)
def test_only_a_run_whose_tasks_all_ended_well_is_done(environment, settings, states):
    """Skipped, never run or removed is not done: a person cancelled it, or a task before it failed."""
    registry = open_registry(settings.registry)
    registry.scenes.sync([SceneSource(scene_id="s1", source_url="x")], datetime.now(UTC))
    registry.scenes.mark_started("s1", "run-1")
    with pytest.raises(AirflowFailException, match=r"\[run.failed\]"):
        CloseRunOperator(task_id="close_run", scene_id="s1").execute(closing({**states, "close_run": "running"}))
    assert registry.scenes.find("s1").last_status == "failed"


def test_a_delivery_that_was_marked_as_success_by_hand_is_none(environment, settings, slack):
    """Nothing was uploaded; the scene is due again, and on-call hears which task to clear."""
    registry = open_registry(settings.registry)
    registry.scenes.sync([SceneSource(scene_id="s1", source_url="x")], datetime.now(UTC))
    registry.scenes.mark_started("s1", "run-1")
    packed = {"package_bundle": {"attempted": 2, "kept": 2}}
    states = {"package_bundle": "success", "deliver_bundle": "success"}
    with pytest.raises(AirflowFailException, match=r"deliver_bundle is marked as success, without a result"):
        CloseRunOperator(task_id="close_run", scene_id="s1").execute(closing(states, packed))
    assert registry.scenes.find("s1").last_status == "failed"
    assert "deliver_bundle" in slack.messages[0].body["text"]
    done = closing(states, {**packed, "deliver_bundle": {"delivery_id": "d"}})
    assert CloseRunOperator(task_id="close_run", scene_id="s1").execute(done)["ended"] == "succeeded"


def test_tasks_that_may_be_skipped():
    """Nobody had to be asked; and the task that failed itself is named before those that could not run for it."""
    assert undone_tasks({"approve_episodes": "skipped", "x": "success"}, own="close_run", may_skip={"approve_episodes"}) == {}
    found = undone_tasks({"a": "upstream_failed", "b": "failed", "c": "failed"}, own="c", may_skip=())
    assert list(found.items()) == [("b", "failed"), ("a", "upstream_failed")]


def test_task_marked_as_failed_by_hand_is_told(environment, settings, slack):
    """No callback of Airflow's ran, so the run's last task tells."""
    with pytest.raises(AirflowFailException):
        CloseRunOperator(task_id="close_run", scene_id="s1").execute(closing({"simulate_shard": "failed"}))
    (message,) = slack.messages
    assert message.body["text"] == "simulate_shard failed on s1: unknown"


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"lab": None}, "lab: choose who gets the dataset"),
        ({"lab": "northwind_ai", "episodes": 3}, "episodes: 3 can never be the 10 kept episodes"),
        ({"source": "/nowhere/scene"}, "source: there is no folder or file /nowhere/scene"),
        ({"approval_window_s": 20000}, "approval_window_s: 20000 s must be shorter"),
        ({"robot": "figure_01"}, "robot: The robot 'figure_01' is not supported: its maker publishes no model"),
    ],
)
def test_what_cannot_end_well_is_refused_by_the_first_task(door, environment, capfd, chosen, told):
    """Before anything is worked on, at the first try, with the field, what was found and what was expected."""
    run, tasks = run_dag(dag_of("bounds_door", **chosen))
    assert run.state == "failed"
    assert (tasks["open_run", -1].state, tasks["open_run", -1].try_number) == ("failed", 1)
    assert told in capfd.readouterr().out


@pytest.mark.parametrize(("given", "told"), [("episods", "the nearest is 'episodes'"), ("zzz", "Parameters: scene_id, source")])
def test_a_typing_error_in_the_conf_is_refused(door, environment, capfd, given, told):
    """Airflow takes any key of a conf: the run would go on with the default instead."""
    run, tasks = run_dag(dag_of("bounds_typo"), conf={given: 2})
    assert (run.state, tasks["open_run", -1].try_number) == ("failed", 1)
    assert told in capfd.readouterr().out


@pytest.mark.parametrize(
    "lack",
    [
        ("BPP__COMPUTE__MACHINE", "local_lapdog", "There is no machine profile 'local_lapdog'"),
        ("BPP__DELIVERY__SIGNING_KEY", "/nowhere/key.pem", "there is no key /nowhere/key.pem"),
    ],
)
@pytest.mark.usefixtures("door")
def test_what_the_machine_lacks_is_refused_by_the_first_task(monkeypatch, capfd, lack):
    """Also what only the last stages need."""
    from blueprint_pipeline.settings import load_settings

    variable, value, told = lack
    monkeypatch.setenv(variable, value)
    load_settings.cache_clear()
    run, _ = run_dag(dag_of("bounds_machine"))
    assert run.state == "failed"
    assert told in capfd.readouterr().out


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ({}, ["BPP__DELIVERY__SIGNING_KEY", "lab"]),
        ({"package_bundle": "cpu"}, ["lab"]),
        ({"certify_dataset": "cpu"}, ["BPP__DELIVERY__SIGNING_KEY"]),
        ({"package_bundle": "cpu", "certify_dataset": "cpu"}, []),
    ],
)
def test_where_stages_are_pods_the_worker_needs_what_its_own_stages_need(tmp_path, stages, told):
    """A key and an interpreter that a pod's image or template brings are not looked for in the worker; its price is the pod's."""
    config = write_compute(tmp_path / "compute.yaml", [], stages=stages)
    settings = Settings(
        compute={"kind": "kubernetes", "config": config, "machine": "local_lapdog"},
        delivery={"signing_key": tmp_path / "none.pem"},
        dataset={"certify_python": tmp_path / "none"},
    )
    assert [problem.partition(":")[0] for problem in wrong_machine({"lab": "northwind_ai"}, settings)] == told


@pytest.mark.parametrize("states", [{"a": "failed"}, {"a": "success"}])
def test_a_last_task_that_dies_loses_no_message(environment, settings, slack, monkeypatch, states):
    """A run's end, what it frees and the message about it are one transaction: killed before the message, nothing is entered."""
    registry = open_registry(settings.registry)
    registry.outbox.add(Message(message_id="failure/x", kind="failure", scene_id="s1", text="t"))
    registry.outbox.mark_sent("failure/x", "slack")
    registry.runs.start(dag_id="d", run_id="run-1", scene_id="s1", lab="aurora_robotics")
    registry.leases.acquire("s1/a", "d/run-1", 600)
    close = CloseRunOperator(task_id="close_run", scene_id="s1")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        for name in ("add", "resolve"):
            patched.setattr(Outbox, name, die)
        with pytest.raises(KeyboardInterrupt):
            close.execute(closing(states))
    assert (registry.runs.find("d", "run-1").status, len(registry.leases.active())) == ("running", 1)
    for _ in range(2):
        with suppress(AirflowFailException):
            close.execute(closing(states))
    assert registry.leases.active() == []
    assert len(slack.messages) == 1


def test_the_question_of_a_run_that_failed_is_withdrawn(environment, settings, slack):
    """The task that waited was marked as failed by hand: nobody is told later that nobody answered."""
    registry = open_registry(settings.registry)
    asked = registry.approvals.request(job_id="j", scene_id="s1", episodes=["e"], gate="g", message="m", actor="r", ttl_s=3600)
    silence = {"message_id": lapse_id(asked.request_id), "kind": "unanswered", "scene_id": "s1", "run_id": "run-1", "text": "nobody"}
    registry.outbox.hold(Message(**silence))
    with pytest.raises(AirflowFailException):
        CloseRunOperator(task_id="close_run", scene_id="s1").execute(closing({"approve_episodes": "failed"}))
    assert registry.approvals.find(asked.request_id).status == "withdrawn"
    assert registry.outbox.find(lapse_id(asked.request_id)) is None


def test_a_cleared_run_that_fails_again_is_another_alert(environment, settings, slack):
    """The alert is named for the run and how often it was cleared."""
    first, again = closing({"a": "failed"}), closing({"a": "failed"})
    again["dag_run"] = SimpleNamespace(clear_number=1)
    for context in (first, first, again):
        with pytest.raises(AirflowFailException):
            CloseRunOperator(task_id="close_run", scene_id="s1").execute(context)
    assert len(slack.messages) == 2


def test_messages_of_other_scenes_stay_open(environment, settings, slack):
    registry = open_registry(settings.registry)
    registry.outbox.add(Message(message_id="failure/x", kind="failure", scene_id="other", text="t"))
    registry.runs.start(dag_id="d", run_id="run-1", scene_id="s1", lab="aurora_robotics")
    CloseRunOperator(task_id="close_run", scene_id="s1").execute(closing({"a": "success"}))
    assert len(registry.outbox.open_incidents("other")) == 1
    assert timedelta(0) <= datetime.now(UTC) - registry.runs.find("d", "run-1").ended_at < timedelta(minutes=1)


def test_wrong_scene_id_stops_the_run_before_any_work(toy_flow):
    """Also where no form has checked it."""
    with DAG("bounds_id", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
        OpenRunOperator(task_id="open_run", scene_id="../x", lab="aurora_robotics")
    run, tasks = run_dag(dag)
    assert run.state == "failed"
    assert tasks["open_run", -1].try_number == 1
