"""What on-call reads: scene, stage, code, message, where to look, what to do."""

import json
from types import SimpleNamespace

import pytest

from operators.embedded.receivers import receive
from plugins.providers.slack.failure import TaskFailureNotifier, build_message, split_error
from tests.airflow_home import prepare_database


def context(exception, **facts):
    ti = SimpleNamespace(
        task_id="simulate_shard", map_index=3, try_number=2, dag_id="d", run_id="r", log_url="http://localhost:8080/log", **facts
    )
    return {"ti": ti, "params": {"scene_id": "kitchen"}, "exception": exception}


def test_message_names_scene_stage_code_and_link():
    """Everything that on-call asks first is in the one message."""
    message = build_message(context(RuntimeError("[scene.nan_pose] can: pose holds NaN. Correct the scene.")))
    told = json.dumps(message.blocks)
    for words in (
        "kitchen",
        "simulate_shard (shard 3)",
        "scene.nan_pose",
        "can: pose holds NaN",
        "http://localhost:8080/log",
        "A retry cannot help",
    ):
        assert words in told
    assert message.text == "simulate_shard (shard 3) failed on kitchen: scene.nan_pose"


def test_used_up_tries_are_told_as_such():
    """What may pass is told so: finished work is kept."""
    assert "It may pass later" in json.dumps(build_message(context(RuntimeError("[stage.unavailable] no disk"))).blocks)


@pytest.mark.parametrize(
    ("exception", "code"),
    [(RuntimeError("[a.b] c"), "a.b"), (ValueError("plain"), "ValueError"), (ValueError(), "ValueError"), (None, "unknown")],
)
def test_code_of_any_exception(exception, code):
    """Ours carry a code; of others the class is named; nothing is invented."""
    assert split_error(exception)[0] == code


def test_notifier_posts_through_the_connection(monkeypatch):
    """The message arrives where the Airflow connection points."""
    with receive() as slack:
        connection = {"conn_type": "slackwebhook", "host": f"{slack.url}/services", "password": "T/B/X"}
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
        TaskFailureNotifier().notify(context(RuntimeError("[a.b] c")))
        assert [message.path for message in slack.messages] == ["/services/T/B/X"]


def test_missing_connection_is_told_in_the_log(monkeypatch, capfd):
    """A missing connection must not hide the failure behind another one."""
    monkeypatch.delenv("AIRFLOW_CONN_SLACK_DEFAULT", raising=False)
    prepare_database()
    TaskFailureNotifier().notify(context(RuntimeError("[a.b] c")))
    assert "no message was sent" in capfd.readouterr().out
