"""What on-call reads: scene, lab, stage, code, message, where to look, what to do; once a run, and whatever the channels do."""

import json
import time
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException
from werkzeug import Response

from blueprint_pipeline.errors import TransientError
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import load_settings
from operators.embedded.receivers import receive
from plugins.providers.messages import outbox
from plugins.providers.messages.failure import TaskFailureNotifier, build_message, run_url_of, split_error
from tests.airflow_home import prepare_database

LOG = "http://localhost:8080/dags/d/runs/r/tasks/simulate_shard"


@pytest.fixture(autouse=True)
def registry(settings, monkeypatch):
    """Messages of this test stand in a registry of its own."""
    prepare_database()
    monkeypatch.setenv("BPP__REGISTRY__URL", settings.registry.url)
    for name in ("SLACK_DEFAULT", "ON_CALL_BACKUP"):
        monkeypatch.delenv(f"AIRFLOW_CONN_{name}", raising=False)
    load_settings.cache_clear()
    yield open_registry(settings.registry)
    load_settings.cache_clear()


def context(exception, run_id="r", **facts):
    ti = SimpleNamespace(task_id="simulate_shard", map_index=3, try_number=2, dag_id="d", run_id=run_id, log_url=LOG, **facts)
    return {"ti": ti, "params": {"scene_id": "kitchen", "lab": "aurora_robotics"}, "exception": exception}


def slack(monkeypatch, url, name="SLACK_DEFAULT"):
    connection = {"conn_type": "slackwebhook", "host": f"{url.rstrip('/')}/services", "password": "T/B/X"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))


FAILED = RuntimeError("[scene.nan_pose] can: pose holds NaN. Correct the scene.")


def test_message_names_scene_lab_stage_code_and_link():
    """Everything that on-call asks first is in the one message."""
    message = build_message(context(AirflowFailException(str(FAILED))))
    told = json.dumps(message.blocks)
    for words in (
        "kitchen",
        "aurora_robotics",
        "simulate_shard (shard 3)",
        "scene.nan_pose",
        "can: pose holds NaN",
        LOG,
        "No retry will help",
    ):
        assert words in told
    assert message.text == "simulate_shard (shard 3) failed on kitchen: scene.nan_pose"
    assert (message.code, message.link) == ("scene.nan_pose", LOG)


def test_a_task_that_works_on_no_scene_is_named_by_its_dag():
    """The check of the rows of a night, for one."""
    message = build_message({**context(FAILED), "params": {}})
    assert message.text == "simulate_shard (shard 3) failed in d: scene.nan_pose"
    assert '"*Scene*' not in json.dumps(message.blocks)


class Later(TransientError):
    """May pass."""

    code = "test.later"
    template = "later"


@pytest.mark.parametrize(
    ("exception", "todo"),
    [
        (Later(), "This may be temporary, but has not passed yet (attempts: 2)"),
        (AirflowFailException("[a.b] wrong"), "No retry will help: correct what the message names, then clear the task"),
        (AirflowFailException("[run.refused] episodez"), "A run keeps its parameters: if one is wrong, start a new run"),
        (ZeroDivisionError("x"), "a defect"),
        (None, "ended it"),
    ],
)
def test_next_step_is_said_by_the_error_itself(exception, todo):
    """Of an error that Airflow has just tried again it is not said that a retry cannot help."""
    assert todo in json.dumps(build_message(context(exception)).blocks)


@pytest.mark.parametrize(
    ("exception", "code"),
    [
        (RuntimeError("[a.b] c"), "a.b"),
        (RuntimeError("[stage.unavailable] [a.b] c"), "a.b"),
        (ValueError("plain"), "ValueError"),
        (ValueError(), "ValueError"),
        (None, "unknown"),
    ],
)
def test_code_of_any_exception(exception, code):
    """Ours carry a code; of others the class is named; nothing is invented."""
    assert split_error(exception)[0] == code


def test_runbook_is_linked_where_the_installation_says_where_it_is(monkeypatch):
    """With the code as its anchor, as the cases of docs/on-call.md have it."""
    assert "Runbook" not in json.dumps(build_message(context(FAILED)).blocks)
    monkeypatch.setenv("BPP__MESSAGES__RUNBOOK_URL", "https://wiki.example/on-call")
    load_settings.cache_clear()
    assert "https://wiki.example/on-call#scenenan_pose" in json.dumps(build_message(context(FAILED)).blocks)


def test_page_of_a_run():
    assert run_url_of(LOG, "d", "scheduled__2026-01-01T00:00:00+00:00") == (
        "http://localhost:8080/dags/d/runs/scheduled__2026-01-01T00%3A00%3A00%2B00%3A00"
    )
    assert run_url_of(None, "d", "r") is None


def test_scene_of_a_task_that_starts_runs():
    """`start_scene` has no parameters of its own: the scene is the one that it was mapped over."""
    told = build_message({**context(FAILED), "params": {}, "task": SimpleNamespace(conf={"scene_id": "office", "lab": "northwind_ai"})})
    assert (told.scene_id, told.lab) == ("office", "northwind_ai")


def test_one_alert_a_run(monkeypatch, registry):
    """Of twelve shards that fail for one reason on-call hears once; the last task of the run, which only counts them, is silent."""
    with receive() as receiver:
        slack(monkeypatch, receiver.url)
        for index in range(3):
            TaskFailureNotifier().notify(context(FAILED, index=index))
        TaskFailureNotifier().notify(context(RuntimeError("[run.failed] simulate_shard is failed")))
        TaskFailureNotifier().notify(context(FAILED, run_id="r2"))
        assert [message.path for message in receiver.messages] == ["/services/T/B/X"] * 2
    assert {item.status for item in registry.outbox.all_of()} == {"sent"}


def hang(_request):
    time.sleep(8)
    return Response()


@pytest.mark.parametrize("answer", [hang, lambda _: Response(status=500)])
def test_second_channel_takes_an_alert_at_once(monkeypatch, registry, httpserver, answer):
    """A Slack that hangs or refuses holds nothing up; on-call hears over the other channel, within seconds."""
    httpserver.expect_request("/services/T/B/X").respond_with_handler(answer)
    slack(monkeypatch, httpserver.url_for(""))
    with receive() as receiver:
        monkeypatch.setenv(
            "AIRFLOW_CONN_ON_CALL_BACKUP", json.dumps({"conn_type": "http", "host": f"{receiver.url}/page", "password": "x"})
        )
        began = time.monotonic()
        TaskFailureNotifier().notify(context(FAILED))
        assert time.monotonic() - began < 7
        (message,) = receiver.messages
    assert (message.headers["authorization"], message.body["code"], message.body["scene_id"]) == ("Bearer x", "scene.nan_pose", "kitchen")
    assert [item.channel for item in registry.outbox.all_of(status="sent")] == ["on_call_backup"]


def test_what_no_channel_took_is_sent_later(monkeypatch, registry):
    """The message waits in the outbox, and nothing was raised."""
    TaskFailureNotifier().notify(context(FAILED))
    (waiting,) = registry.outbox.all_of(status="waiting")
    assert "messages.channel_missing" not in (waiting.error or "")
    assert "There is no connection 'slack_default'" in waiting.error
    registry.outbox.mark_failed(waiting.message.message_id, "again")
    monkeypatch.setattr(type(registry.database), "now", lambda self, _session: waiting.due_at.replace(year=2030))
    with receive() as receiver:
        slack(monkeypatch, receiver.url)
        assert [state.status for state in outbox.send_due(registry)] == ["sent"]
        assert len(receiver.messages) == 1


def test_a_registry_that_is_away_does_not_silence_an_alert(monkeypatch, caplog, tmp_path):
    """It is sent without the outbox, and the log says so."""
    (tmp_path / "no_database").write_text("no database")
    monkeypatch.setenv("BPP__REGISTRY__URL", f"sqlite:///{tmp_path / 'no_database'}")
    load_settings.cache_clear()
    with receive() as receiver:
        slack(monkeypatch, receiver.url)
        TaskFailureNotifier().notify(context(FAILED))
        assert len(receiver.messages) == 1
    assert "the outbox cannot be used" in caplog.text


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        ({"conn_type": "postgres", "host": "db"}, "is of type 'postgres'"),
        ({"conn_type": "http"}, "is of type 'http'"),
        ({"conn_type": "http", "host": "http://127.0.0.1:9/"}, "ConnectError"),
        ({"conn_type": "http", "host": "no url"}, "did not take the message"),
    ],
)
def test_a_connection_that_cannot_be_used_is_told(monkeypatch, registry, connection, told):
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
    TaskFailureNotifier().notify(context(FAILED))
    assert told in registry.outbox.all_of(status="waiting")[0].error
