"""The night in one message."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.records import Message
from blueprint_pipeline.registry.tables import RunRow
from operators.morning import MorningSummaryOperator

TI = SimpleNamespace(dag_id="morning_summary", run_id="m1", log_url="http://airflow/dags/morning_summary/runs/m1/tasks/summarise_night")


def summarise():
    MorningSummaryOperator(task_id="summarise_night", hours=24).execute({"ti": TI})


@pytest.fixture
def registry(environment, settings):
    return open_registry(settings.registry)


def run(registry, scene_id, status=None, run_id=None, **facts):
    run_id = run_id or scene_id
    registry.runs.start(dag_id="d", run_id=run_id, scene_id=scene_id, lab="aurora_robotics", link=f"http://airflow/{scene_id}")
    registry.runs.note("d", run_id, **facts)
    if status:
        registry.runs.end("d", run_id, status)


def test_what_the_night_came_to(registry, slack):
    """Kept, cost, delivery and report of each scene, the worst first; what failed with its code and a link."""
    run(registry, "kitchen", "succeeded", attempted=24, kept=20, usd=0.5, delivery_id="dlv_1", report_url="https://r/1")
    run(registry, "office", "failed", stage="simulate_shard", code="compute.timed_out")
    run(registry, "shop", "cancelled")
    run(registry, "attic")
    summarise()
    summarise()
    (message,) = slack.messages
    assert message.body["text"].endswith(": 1 failed, 1 cancelled, 1 running, 1 succeeded")
    told = json.dumps(message.body["blocks"])
    for words in (
        "*Kept episodes*\\n20 of 24",
        "done: kitchen for aurora_robotics, 20 of 24 kept",
        "dlv_1: https://r/1",
        "FAILED: office for aurora_robotics, simulate_shard: compute.timed_out http://airflow/office",
        "(runs: 1 of 4)",
    ):
        assert words in told
    assert told.index("FAILED: office") < told.index("done: kitchen")


def test_what_was_found_done_counts_once(registry, slack):
    """One run made the episodes and the delivery; three more found them, and are told apart from it."""
    made = {"attempted": 24, "kept": 20, "usd": 0.5, "delivery_id": "dlv_1", "report_url": "https://r/1"}
    for number in range(4):
        run(registry, "kitchen", "succeeded", run_id=f"r{number}", **made)
    summarise()
    told = json.dumps(slack.messages[0].body["blocks"])
    assert "*Kept episodes*\\n20 of 24" in told
    assert "*Runs that found all done*\\n3" in told
    assert "(runs: 1 of 1)" in told
    assert told.count("done: kitchen for aurora_robotics, 20 of 24 kept") == told.count("https://r/1") == 1
    assert told.count("found done: kitchen for aurora_robotics, nothing new") == 3


def test_what_an_earlier_night_made_is_not_counted_in_this_one(registry, slack):
    """The run that made it began before the hours that are summed up."""
    made = {"attempted": 24, "kept": 20, "delivery_id": "dlv_1", "report_url": "https://r/1"}
    run(registry, "kitchen", "succeeded", run_id="before", **made)
    with registry.database.write() as session:
        row = session.get(RunRow, ("d", "before"))
        row.started_at = row.ended_at = datetime.now(UTC) - timedelta(hours=48)
    run(registry, "kitchen", "succeeded", run_id="now", **made)
    summarise()
    told = json.dumps(slack.messages[0].body["blocks"])
    assert "*Kept episodes*\\n0 of 0" in told
    assert "found done: kitchen for aurora_robotics, nothing new; delivered before as dlv_1" in told


def test_a_night_in_which_nothing_ran_is_told_too(registry, slack):
    """Silence would look the same as a night that broke."""
    summarise()
    assert slack.messages[0].body["text"] == f"Night to {datetime.now(UTC):%Y-%m-%d}: nothing ran"


def test_what_nobody_could_be_told_stands_there(registry, slack):
    registry.outbox.add(Message(message_id="x", kind="failure", text="t"))
    registry.outbox.mark_sent("x", "y")
    with registry.database.write() as session:
        from blueprint_pipeline.registry.tables import OutboxRow

        session.get(OutboxRow, "x").status = "given_up"
    registry.approvals.request(job_id="j", scene_id="attic", episodes=["e"], gate="g", message="m", actor="r", ttl_s=60)
    summarise()
    told = json.dumps(slack.messages[-1].body["blocks"])
    assert "Messages: 1, see bpp registry messages --status given_up" in told
    assert "attic" in told
