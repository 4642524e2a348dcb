"""Slack messages keep to Block Kit and say what people need."""

import json

from slack_sdk.models.blocks import Block

from blueprint_pipeline.delivery.slack_message import DeliveryFacts, build_delivery_message, build_failure_message
from tests.delivery.conftest import RECEIPT

FACTS = DeliveryFacts(
    lab_name="Aurora <Robotics> & Co",
    attempted=24,
    kept=22,
    usd_per_kept_episode=0.00123,
    licence="CC-BY-4.0",
    certification="not certified: 1 check did not run (lerobot); 8 checks passed",
    webhook_acknowledged=True,
)


def parse(message):
    """Slack's own models read the blocks back, and check their limits."""
    blocks = Block.parse_all(message.blocks)
    for block in blocks:
        block.validate_json()
    return blocks


def test_a_delivery_message_tells_what_where_and_at_what_cost():
    """Kept of attempted, cost, licence, place; control characters escaped."""
    message = build_delivery_message(RECEIPT, FACTS, run_url="https://airflow.example/runs/1")
    shown = json.dumps(message.blocks)
    assert [block.type for block in parse(message)] == ["header", "section", "section", "actions", "context"]
    for expected in (
        "22 of 24",
        "1.23 USD per 1,000 kept episodes",
        "CC-BY-4.0",
        RECEIPT.location,
        "1 check did not run (lerobot)",
        "https://airflow.example/runs/1",
    ):
        assert expected in shown
    assert message.text.startswith("Aurora <Robotics>")


def test_unknown_cost_is_called_unknown():
    """Never a zero."""
    message = build_delivery_message(RECEIPT, FACTS.model_copy(update={"usd_per_kept_episode": None}))
    assert "not known" in json.dumps(message.blocks)
    assert [block.type for block in parse(message)] == ["header", "section", "section", "context"]


def test_a_failure_message_tells_what_to_do():
    """Lab, code, message (cut to Slack's limit, escaped), run link, advice."""
    message = build_failure_message(
        stage="deliver_bundle",
        dag_id="scene_to_dataset",
        scene_id="kitchen",
        code="delivery.conflict",
        message="<!channel> " + "x" * 5000,
        lab="aurora_robotics",
        todo="Correct it, then clear the task.",
        attempt=3,
        run_url="https://airflow.example/runs/1",
        runbook_url="https://docs.example/runbook#delivery.conflict",
    )
    parse(message)
    shown = json.dumps(message.blocks)
    assert "Correct it, then clear the task." in shown
    assert "aurora_robotics" in shown
    assert "&lt;!channel&gt;" in shown
    assert "delivery.conflict" in message.text
