"""Slack hears of a delivery once."""

import json
from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from blueprint_pipeline.delivery.receipt import Receipt, receipt_path
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.workspace.storage import Workspace
from operators.announce import AnnounceDeliveryOperator
from tests import airflow_home


@pytest.fixture
def context(settings, environment):
    """What the tasks before it left: a receipt, a delivery in the registry, results."""
    registry = open_registry(settings.registry)
    delivery = registry.deliveries.start(
        lab="aurora_robotics", scene_id="s1", job_id="job-1", bundle_sha256="0" * 64, size_bytes=5_000_000, url="file:///b"
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
        "deliver_bundle": {"delivery_id": delivery.delivery_id},
        "notify_lab": {"status_code": 200},
    }

    class TaskInstance:
        log_url = "http://localhost:8080/x"

        def xcom_pull(self, task_ids):
            return results[task_ids]

    return {"ti": TaskInstance()}


def announce(context):
    AnnounceDeliveryOperator(task_id="announce_delivery", scene_id="s1", lab="aurora_robotics").execute(context)


def test_message_arrives_once(context, slack):
    """A rerun of the same delivery says nothing again; the registry knows that Slack was told."""
    announce(context)
    with pytest.raises(AirflowSkipException, match="announced before"):
        announce(context)
    (message,) = slack.messages
    told = json.dumps(message.body)
    assert message.path == "/services/T/B/X"
    assert all(
        words in told for words in ("23 of 24 attempted", "CC-BY-4.0", "2.10 USD per 1,000 kept episodes", "1 did not run (lerobot)")
    )


def test_without_a_connection_the_task_is_skipped_in_words(context, monkeypatch):
    """Who has no Slack still gets the dataset."""
    monkeypatch.delenv("AIRFLOW_CONN_SLACK_DEFAULT", raising=False)
    airflow_home.prepare_database()
    with pytest.raises(AirflowSkipException, match="There is no connection 'slack_default'"):
        announce(context)
