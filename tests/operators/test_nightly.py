"""A night: what is due by priority, no more than may run, nothing twice, and batches that go on after a failure."""

import errno
import json
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import DAG, RetryAction
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError

from blueprint_pipeline.compute.errors import JobTimedOut
from blueprint_pipeline.compute.job import StageFailed, UnitDone
from blueprint_pipeline.errors import Interrupted, PreemptedError
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import SceneSource
from blueprint_pipeline.settings import load_settings
from operators import nightly
from operators.nightly import (
    LOST_AFTER,
    CheckRowsOperator,
    PlanNightOperator,
    list_batches,
    list_runs,
    run_of,
    split_night,
)
from operators.retries import build_retries
from operators.scene_batch import SceneBatchOperator
from operators.scene_params import DEADLINE_H, build_params
from operators.scene_rows import SceneRow, SceneRows
from plugins.providers.messages.failure import TaskFailureNotifier
from tests.airflow_home import run_dag, xcom_of


@pytest.fixture
def rows(monkeypatch):
    found = [SceneRow(scene_id=f"s{index}", source="sample", lab="aurora_robotics", priority=index, interval_h=20) for index in range(4)]
    monkeypatch.setattr(nightly, "check_scene_rows", lambda: SceneRows(tuple(found), ()))
    return found


def plan(night, **options):
    return PlanNightOperator(task_id="plan_night", **options).execute({"run_id": night})


def ids(planned):
    return [run["conf"]["scene_id"] for run in planned["runs"]]


def test_due_scenes_by_priority_and_within_the_limit(environment, rows):
    """The most important ones start; the rest stays due for the next night."""
    assert ids(plan("n1", running_limit=2)) == ["s3", "s2"]
    assert ids(plan("n2", running_limit=3)) == ["s1"]
    assert ids(plan("n3", running_limit=3)) == []


def test_task_tried_again_finds_what_it_had_claimed(environment, rows):
    """The second try of the same night starts the same runs, under the same ids."""
    first = plan("n1", running_limit=2)
    assert sorted(ids(plan("n1", running_limit=2))) == sorted(ids(first))
    assert first["runs"][0]["trigger_run_id"] == "n1~s3~aurora_robotics"


def test_a_scene_whose_run_was_lost_is_told_and_due_again(environment, rows, settings):
    """After three days without an end; once."""
    with open_registry(settings.registry, clock=lambda: datetime.now(UTC) - LOST_AFTER - timedelta(hours=1)) as past:
        past.scenes.sync([SceneSource(scene_id="s3", source_url="x", lab="aurora_robotics", interval_s=3600)], datetime.now(UTC))
        past.scenes.mark_started("s3", "n0~s3~aurora_robotics")
    for night in ("n1", "n2"):
        plan(night, running_limit=1)
    (told,) = open_registry(settings.registry).outbox.all_of()
    assert (told.message.kind, told.message.scene_id, told.message.lab) == ("claim_lapsed", "s3", "aurora_robotics")


def test_pools_bound_what_runs_of_each(environment, rows, monkeypatch):
    """A full pool holds back its own scenes, and those of less priority go before; what runs of it counts in the next night."""
    monkeypatch.setattr(nightly, "load_pool_limits", lambda: {"gpu": 1})
    rows[2:] = [row.model_copy(update={"pool": "gpu"}) for row in rows[2:]]
    assert ids(plan("n1", running_limit=9)) == ["s3", "s1", "s0"]
    assert ids(plan("n2", running_limit=9)) == []
    open_registry(load_settings().registry).scenes.mark_finished("s3", "n1~s3~aurora_robotics", "succeeded")
    assert ids(plan("n3", running_limit=9)) == ["s2"]


def test_disabled_scenes_are_not_taken(environment, rows, settings):
    """A row that is switched off is known and not started."""
    rows[3] = rows[3].model_copy(update={"enabled": False})
    assert ids(plan("n1", running_limit=9)) == ["s2", "s1", "s0"]


def test_big_night_is_batches():
    """From the limit on there are batches of the given size and no DAG runs."""
    chosen = [{"conf": {"scene_id": str(index)}} for index in range(5)]
    assert split_night(chosen, batch_from=6, batch_size=2) == {"runs": chosen, "batches": []}
    assert [len(batch) for batch in split_night(chosen, batch_from=5, batch_size=2)["batches"]] == [2, 2, 1]


def test_a_big_night_of_pods_is_runs(environment, rows, monkeypatch):
    """A batch would run its stages in the worker, whatever the settings say."""
    assert len(plan("n1", running_limit=2, batch_from=1)["batches"]) == 1
    monkeypatch.setenv("BPP__COMPUTE__KIND", "kubernetes")
    load_settings.cache_clear()
    planned = plan("n2", running_limit=4, batch_from=1)
    assert (ids(planned), planned["batches"]) == (["s1", "s0"], [])


def test_night_as_a_dag_maps_over_its_runs(environment, rows):
    """Runs are mapped; without batches the batch task is skipped."""
    with DAG("night_under_test", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
        night = PlanNightOperator(task_id="plan_night", running_limit=2)
        list_runs(night.output)
        SceneBatchOperator.partial(task_id="run_batch").expand(scenes=list_batches(night.output))
    run, tasks = run_dag(dag)
    assert run.state == "success"
    assert len(xcom_of(run, "list_runs")) == 2
    assert tasks["run_batch", -1].state == "skipped"


def test_a_bad_row_is_left_out_and_fails_a_task_of_its_own(environment, rows, monkeypatch, settings):
    """The night starts the others; the row is never claimed, and its name and field are in the failure that is told."""
    problem = "row 5 (scene bad): params.episodes: 0 is less than the minimum of 1"
    monkeypatch.setattr(nightly, "check_scene_rows", lambda: SceneRows(tuple(rows), (problem,)))
    assert ids(plan("n1", running_limit=9)) == ["s3", "s2", "s1", "s0"]
    assert open_registry(settings.registry).scenes.find("bad") is None
    with pytest.raises(AirflowFailException, match=r"row 5 \(scene bad\): params\.episodes: 0"):
        CheckRowsOperator(task_id="check_rows").execute({})


def test_sound_rows_are_counted(environment, rows):
    assert CheckRowsOperator(task_id="check_rows").execute({}) == 4


class Compute:
    """Runs nothing; fails for scenes that it is told to fail for."""

    def __init__(self, *bad, passing=()):
        self.bad, self.passing, self.jobs = bad, list(passing), []

    def run(self, job, on_event):
        self.jobs.append(job)
        on_event({"event": "progress"})
        if self.passing:
            raise self.passing.pop(0)
        if job.scene_id in self.bad:
            raise StageFailed({"code": "scene.bad", "message": "bad", "retryable": False, "exit_code": 65}, job.stage)
        return [UnitDone(result={"shards": [0, 1]} if job.stage == "plan_tasks" else {}, found_done=False)]

    def stop(self): ...


def batch_of(night, *scene_ids):
    rows = [SceneRow(scene_id=name, source="sample", lab="aurora_robotics", params={"episodes": 6}) for name in scene_ids]
    return [run_of(night, row) for row in rows]


def attempts_told(message):
    """How many attempts a message to people names."""
    return re.search(r"Attempts\D*(\d+)", json.dumps(message.body))[1]


class TaskInstance:
    """As much of a task instance as a batch looks at."""

    try_number, max_tries = 1, 23


def test_a_run_that_waits_for_a_person_is_not_lost():
    """A night starts no second run of a scene whose first one still waits for an answer: the longest wait and the work fit in."""
    window = build_params()["approval_window_s"].schema["maximum"]
    assert timedelta(seconds=window) + timedelta(hours=DEADLINE_H + 12) < LOST_AFTER


def test_batch_takes_each_scene_through_all_stages(environment, rows, settings):
    """Shards run once each, requests carry the row's parameters, and the registry knows the end."""
    plan("n1", running_limit=9)
    compute = Compute()
    result = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=compute).execute({"ti": TaskInstance()})
    assert result == {"scenes": 1, "failed": []}
    stages = [job.stage for job in compute.jobs]
    assert stages.count("simulate_shard") == stages.count("render_shard") == 2
    assert stages[0] == "ingest_scene"
    assert stages[-1] == "notify_lab"
    assert next(job for job in compute.jobs if job.stage == "plan_tasks").requests[0]["episodes"] == 6
    assert open_registry(settings.registry).scenes.find("s0").last_status == "succeeded"


def test_what_a_batch_does_is_counted_as_in_the_dag(environment, rows, statsd):
    """Metrics of a big night are those of a small one."""
    plan("n1", running_limit=9)
    compute = Compute()
    SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=compute).execute({"ti": TaskInstance()})
    assert statsd(len(compute.jobs)) == sorted(f"airflow.blueprint_pipeline.{job.stage}.done:1|c" for job in compute.jobs)


def test_batch_delivers_and_tells_as_the_dag_does(environment, rows, monkeypatch):
    """The lab's bucket, address and secret come from its connection; only the stage that calls the lab is given the secret."""
    word = "whsec_x"
    connection = {"conn_type": "http", "host": "https://lab.example/hook", "password": word, "extra": {"delivery_url": "gs://lab/in"}}
    monkeypatch.setenv("AIRFLOW_CONN_LAB_AURORA_ROBOTICS", json.dumps(connection))
    plan("n1", running_limit=9)
    compute = Compute()
    SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=compute).execute({"ti": TaskInstance()})
    jobs = {job.stage: job for job in compute.jobs}
    assert jobs["deliver_bundle"].requests[0]["bucket"] == "gs://lab/in"
    given = {name: value.get_secret_value() for name, value in jobs.pop("notify_lab").secrets.items()}
    assert given == {"BPP__DELIVERY__WEBHOOK_URL": "https://lab.example/hook", "BPP__DELIVERY__WEBHOOK_SECRET": word}
    assert not any(job.secrets for job in jobs.values())


def test_one_bad_scene_does_not_stop_the_batch(environment, rows, settings):
    """The others are done; the bad one is due again later."""
    plan("n1", running_limit=9)
    result = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0", "s1"), compute=Compute("s0")).execute({"ti": TaskInstance()})
    assert result["failed"] == ["s0"]
    scenes = open_registry(settings.registry).scenes
    assert (scenes.find("s0").last_status, scenes.find("s1").last_status) == ("failed", "succeeded")


@pytest.mark.usefixtures("environment", "rows")
@pytest.mark.parametrize("defect", [KeyError("shards"), ValueError("x"), ParamValidationError("y")])
def test_a_defect_that_one_scene_meets_does_not_stop_the_batch(settings, slack, capfd, defect):
    """Tried as often as in the DAG, people are told which class it was and how often, the log has where, and the others are done."""
    plan("n1", running_limit=9)
    batch = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0", "s1"), compute=Compute(passing=[defect] * 4), **AT_ONCE)
    assert batch.execute({"ti": TaskInstance()})["failed"] == ["s0"]
    scenes = open_registry(settings.registry).scenes
    assert (scenes.find("s0").last_status, scenes.find("s1").last_status) == ("failed", "succeeded")
    (message,) = slack.messages
    assert message.body["text"] == f"ingest_scene failed on s0: {type(defect).__name__}"
    assert "it is a defect" in json.dumps(message.body)
    assert attempts_told(message) == "4"
    assert "in _run_stage" in capfd.readouterr().out


@pytest.mark.usefixtures("environment", "rows")
@pytest.mark.parametrize("times", [1, 3])
def test_a_defect_that_passes_is_no_end_of_a_scene(settings, slack, times):
    """A defect may also be a lost machine: the policy takes it as what may pass."""
    plan("n1", running_limit=9)
    batch = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=Compute(passing=[RuntimeError("x")] * times), **AT_ONCE)
    assert batch.execute({"ti": TaskInstance()})["failed"] == []
    assert open_registry(settings.registry).scenes.find("s0").last_status == "succeeded"
    assert slack.messages == []


@pytest.mark.usefixtures("environment", "rows")
def test_an_error_that_no_retry_helps_tells_the_tries_that_were_made(slack):
    """Two that may pass came before it."""
    plan("n1", running_limit=9)
    passing = [StageFailed(LATER, "ingest_scene")] * 2
    batch = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0", "s1"), compute=Compute("s0", passing=passing), **AT_ONCE)
    assert batch.execute({"ti": TaskInstance()})["failed"] == ["s0"]
    assert [attempts_told(message) for message in slack.messages] == ["3"]


@pytest.mark.usefixtures("environment", "rows")
@pytest.mark.parametrize("short_of", [errno.ENOSPC, errno.EMFILE])
def test_a_worker_that_is_short_of_something_fails_no_scene(settings, slack, short_of):
    """The task ends, and its policy tries it again; the scene stays claimed, and the next try goes on with it."""
    plan("n1", running_limit=9)
    compute = Compute(passing=[OSError(short_of, "short")])
    batch = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0", "s1"), compute=compute, **AT_ONCE)
    with pytest.raises(OSError, match="short") as ended:
        batch.execute({"ti": TaskInstance()})
    assert batch.policy.evaluate(ended.value, 1, batch.retries).action is RetryAction.RETRY
    scenes = open_registry(settings.registry).scenes
    assert scenes.find("s0").running_run_id == "n1~s0~aurora_robotics"
    assert slack.messages == []
    assert batch.execute({"ti": TaskInstance()}) == {"scenes": 2, "failed": []}


@pytest.mark.usefixtures("environment", "rows")
@pytest.mark.parametrize("last", [OSError(errno.ENOSPC, "short"), MemoryError("short"), Interrupted("The batch")])
def test_a_batch_that_has_failed_for_good_leaves_no_scene_claimed(settings, slack, last):
    """Its last try met what ends a task: the scene in work is told and due later, those that it never came to are due at once."""
    plan("n1", running_limit=9)
    batch = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0", "s1"), compute=Compute(passing=[last]), **AT_ONCE)
    last_try = TaskInstance()
    last_try.try_number = last_try.max_tries + 1
    with pytest.raises(type(last)):
        batch.execute({"ti": last_try})
    registry = open_registry(settings.registry)
    found = {name: registry.scenes.find(name) for name in ("s0", "s1")}
    assert [(scene.running_run_id, scene.last_status) for scene in found.values()] == [(None, "failed"), (None, "lost")]
    assert found["s1"].due_at <= datetime.now(UTC) < found["s0"].due_at
    assert registry.runs.find("nightly_scenes", "n1~s0~aurora_robotics").status == "failed"
    assert registry.leases.active() == []
    assert len(slack.messages) == 1


def test_a_scene_whose_parameters_are_wrong_does_not_stop_the_batch(environment, rows, settings):
    """The row was changed between the night's plan and its batch."""
    plan("n1", running_limit=9)
    scenes = batch_of("n1", "s0", "s1")
    scenes[0]["conf"]["episodes"] = -1
    assert SceneBatchOperator(task_id="b", scenes=scenes, compute=Compute()).execute({"ti": TaskInstance()})["failed"] == ["s0"]


def test_a_scene_that_fails_in_a_batch_is_told_once_and_counted(environment, rows, settings, slack):
    """Scene, lab, stage, code, link and next step; the morning has it; when it is done later, people hear that it recovered."""
    plan("n1", running_limit=9)
    ti = TaskInstance()
    ti.log_url = "http://airflow/dags/nightly_scenes/runs/n1/tasks/run_batch"
    for _ in range(2):
        SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0", "s1"), compute=Compute("s0")).execute({"ti": ti})
    (message,) = slack.messages
    assert message.body["text"] == "ingest_scene failed on s0: scene.bad"
    told = json.dumps(message.body)
    for words in ("aurora_robotics", "scene.bad", ti.log_url, "No retry will help", "a night takes the scene again"):
        assert words in told
    registry = open_registry(settings.registry)
    runs = {run.scene_id: run for run in registry.runs.since(datetime.now(UTC) - timedelta(hours=1))}
    assert (runs["s0"].status, runs["s0"].stage, runs["s0"].code) == ("failed", "ingest_scene", "scene.bad")
    assert runs["s1"].status == "succeeded"
    SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=Compute()).execute({"ti": ti})
    assert slack.messages[-1].body["text"] == "s0 is done: recovered"


def test_a_batch_in_which_all_failed_is_no_alert_of_its_own(environment, rows, slack):
    """People were told of each scene."""
    plan("n1", running_limit=9)
    with pytest.raises(AirflowFailException) as ended:
        SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=Compute("s0")).execute({"ti": TaskInstance()})
    TaskFailureNotifier().notify({"exception": ended.value, "ti": TaskInstance()})
    assert [message.body["text"] for message in slack.messages] == ["ingest_scene failed on s0: scene.bad"]


def test_batch_in_which_nothing_worked_fails(environment, rows):
    """Green would say that something was done."""
    plan("n1", running_limit=9)
    with pytest.raises(AirflowFailException, match="Every scene of the batch failed, 2 in all"):
        SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0", "s1"), compute=Compute("s0", "s1")).execute({"ti": TaskInstance()})


def test_batch_tried_again_skips_what_is_done(environment, rows):
    """A scene that this night has finished is not worked on again."""
    plan("n1", running_limit=9)
    SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=Compute()).execute({"ti": TaskInstance()})
    again = Compute()
    SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=again).execute({"ti": TaskInstance()})
    assert again.jobs == []


LATER = {"code": "transient.error", "message": "later", "retryable": True, "exit_code": 75}
AT_ONCE = build_retries(delay=timedelta(0))


def test_a_lab_that_cannot_be_told_fails_no_scene(environment, rows, settings):
    """The delivery stands; the lab is called again later."""
    plan("n1", running_limit=9)

    class Unreachable(Compute):
        def run(self, job, on_event):
            if job.stage == "notify_lab":
                raise StageFailed({"code": "delivery.webhook_refused", "message": "410", "retryable": False, "exit_code": 78}, job.stage)
            return super().run(job, on_event)

    SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=Unreachable()).execute({"ti": TaskInstance()})
    registry = open_registry(settings.registry)
    assert registry.scenes.find("s0").last_status == "succeeded"
    assert [item.message.kind for item in registry.outbox.all_of()] == ["lab_not_told"]


@pytest.mark.parametrize(("times", "status"), [(3, "succeeded"), (4, "failed")])
def test_what_may_pass_is_tried_again_within_the_batch(environment, rows, settings, times, status):
    """A stage may fail three times, as its task of the DAG may; the fourth time is the scene's end, and the next scene goes on."""
    plan("n1", running_limit=9)
    passing = [StageFailed(LATER, "ingest_scene"), *[JobTimedOut("j", "the worker", 1.0)] * (times - 1)]
    batch = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0", "s1"), compute=Compute(passing=passing), **AT_ONCE)
    batch.execute({"ti": TaskInstance()})
    scenes = open_registry(settings.registry).scenes
    assert (scenes.find("s0").last_status, scenes.find("s1").last_status) == (status, "succeeded")


def test_a_batch_that_waits_to_try_again_hears_that_it_shall_end(environment, rows, settings):
    """The pause after a failure is no reason to be killed; the scene stays claimed, for the next try goes on with it."""
    plan("n1", running_limit=9)
    compute = Compute(passing=[StageFailed(LATER, "ingest_scene")])
    batch = SceneBatchOperator(task_id="b", scenes=batch_of("n1", "s0"), compute=compute, **build_retries(delay=timedelta(hours=1)))
    timer = threading.Timer(0.5, batch.on_kill)
    timer.start()
    with pytest.raises(PreemptedError, match="asked to end"):
        batch.execute({"ti": TaskInstance()})
    assert open_registry(settings.registry).scenes.find("s0").running_run_id == "n1~s0~aurora_robotics"
