"""Slack hears of a delivery once."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from werkzeug import Response

from blueprint_pipeline.delivery.receipt import Receipt, receipt_path
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.workspace.storage import Workspace
from operators.announce import AnnounceDeliveryOperator
from operators.embedded.demo_report import describe_dataset
from operators.embedded.run_view import RunView, TaskView
from tests import airflow_home


@pytest.fixture
def context(settings, environment):
    """What the tasks before it left: a receipt, a delivery in the registry, results."""
    registry = open_registry(settings.registry)
    delivery = registry.deliveries.start(
        "dlv_0123456789ab",
        lab="aurora_robotics",
        scene_id="s1",
        job_id="job-1",
        bundle_sha256="0" * 64,
        size_bytes=5_000_000,
        url="file:///b",
    )
    receipt = Receipt(
        delivery_id=delivery.delivery_id,
        lab="aurora_robotics",
        scene_id="s1",
        job_id="job-1",
        location="file:///b",
        report_url="file:///b/index.html",
        dataset_card_url="file:///b/README.md",
        statement_sha256="0" * 64,
        signing_keyid="1" * 64,
        files=9,
        size_bytes=5_000_000,
        delivered_at=datetime.now(UTC),
    )
    Workspace(settings.workspace).scene("s1").write_bytes(receipt_path("aurora_robotics"), receipt.model_dump_json().encode())
    results = {
        "package_bundle": {"attempted": 24, "kept": 23, "licence": "CC-BY-4.0"},
        "certify_dataset": {"certified": False, "passed": ["structure"], "failed": [], "not_run": ["lerobot"]},
        "price_run": {"usd_per_kept_episode": 0.0021},
        "deliver_bundle": {"delivery_id": delivery.delivery_id, "report_url": "file:///b/index.html"},
        "notify_lab": {"status_code": 200},
    }

    class TaskInstance:
        dag_id, run_id, log_url = "d", "r", "http://localhost:8080/dags/d/runs/r/tasks/announce_delivery"

        def xcom_pull(self, task_ids):
            return results[task_ids]

    return {"ti": TaskInstance()}


def announce(context):
    AnnounceDeliveryOperator(task_id="announce_delivery", scene_id="s1", lab="aurora_robotics").execute(context)


def test_message_arrives_once(context, slack):
    """A rerun of the same delivery says nothing again."""
    announce(context)
    with pytest.raises(AirflowSkipException, match="announced before"):
        announce(context)
    (message,) = slack.messages
    told = json.dumps(message.body)
    assert message.path == "/services/T/B/X"
    assert all(
        words in told for words in ("23 of 24 attempted", "CC-BY-4.0", "2.10 USD per 1,000 kept episodes", "1 did not run (lerobot)")
    )


def test_the_demo_says_of_the_dataset_what_slack_gets(context, slack):
    """Certified or not is one sentence, wherever it is read."""
    view = RunView()
    view.tasks["certify_dataset", -1] = TaskView(state="done", result=context["ti"].xcom_pull("certify_dataset"))
    announce(context)
    (fields,) = [block["fields"] for block in slack.messages[0].body["blocks"] if "fields" in block]
    (told,) = [field["text"] for field in fields if field["text"].startswith("*Dataset*")]
    assert told == f"*Dataset*\n{describe_dataset(view)}"


def test_two_runs_announce_one_delivery_once(context, slack):
    """Both come to the end at the same time: the outbox takes one message for the delivery."""

    def skipped(_):
        try:
            announce(context)
        except AirflowSkipException:
            return True
        return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(skipped, range(2))) == [False, True]
    assert len(slack.messages) == 1


@pytest.mark.parametrize("trouble", ["no connection", "answers 500", "hangs"])
def test_who_cannot_be_told_changes_nothing(context, settings, trouble, monkeypatch, httpserver):
    """The delivery stands and the task succeeds, in a few seconds; the message waits in the outbox for a later try."""
    airflow_home.prepare_database()
    monkeypatch.delenv("AIRFLOW_CONN_SLACK_DEFAULT", raising=False)
    if trouble != "no connection":
        answer = (lambda _: Response(status=500)) if trouble == "answers 500" else (lambda _: time.sleep(8) or Response())
        httpserver.expect_request("/services/T/B/X").respond_with_handler(answer)
        connection = {"conn_type": "slackwebhook", "host": httpserver.url_for("/services"), "password": "T/B/X"}
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
    began = time.monotonic()
    announce(context)
    assert time.monotonic() - began < 7
    (waiting,) = open_registry(settings.registry).outbox.all_of(status="waiting")
    assert waiting.attempts == 1
    assert "a dataset of s1, episodes: 23" in waiting.message.text
