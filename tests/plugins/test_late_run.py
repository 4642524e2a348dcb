"""A run that is late: told once while it runs, with what it waits for."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import load_settings
from plugins.providers.messages.late_run import tell_late_run

DEADLINE = datetime(2026, 11, 28, 5, 0, tzinfo=UTC)


@pytest.fixture
def registry(settings, monkeypatch):
    monkeypatch.setenv("BPP__REGISTRY__URL", settings.registry.url)
    load_settings.cache_clear()
    yield open_registry(settings.registry)
    load_settings.cache_clear()


def late(state, run_id="n1~kitchen~aurora_robotics", conf=None):
    run = {"dag_id": "scene_to_dataset", "dag_run_id": run_id, "state": state, "conf": conf}
    asyncio.run(tell_late_run(context={"dag_run": run, "deadline": {"id": "x", "deadline_time": DEADLINE}}, base_url="http://airflow"))


def test_a_running_run_is_told_once(registry):
    """Scene, lab, code, deadline, link and next step."""
    registry.runs.start(dag_id="scene_to_dataset", run_id="n1~kitchen~aurora_robotics", scene_id="kitchen", lab="aurora_robotics")
    late("running")
    late("running")
    (found,) = registry.outbox.all_of()
    told = json.dumps(found.message.blocks)
    for words in (
        "kitchen",
        "aurora_robotics",
        "run.late",
        "2026-11-28 05:00 UTC",
        "http://airflow/dags/scene_to_dataset/runs/",
        "What to do",
    ):
        assert words in told
    assert [item.message.kind for item in registry.outbox.open_incidents("kitchen")] == ["late"]


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_is_over_is_not_told_again(registry, state):
    """Airflow also calls for runs that failed hours before (apache/airflow#60927)."""
    late(state)
    assert registry.outbox.all_of() == []


def test_a_run_that_waits_for_a_person_says_so(registry):
    registry.runs.start(dag_id="scene_to_dataset", run_id="r", scene_id="kitchen", lab="aurora_robotics")
    registry.approvals.request(
        job_id="j", scene_id="kitchen", episodes=["e1"], gate="g", message="1 episode: keep it?", actor="r", ttl_s=600
    )
    late("running", run_id="r")
    assert "It waits for a person until" in json.dumps(registry.outbox.all_of()[0].message.blocks)


def test_a_run_that_has_not_begun_is_told_with_what_it_was_started_with(registry):
    late("queued", run_id="manual__1", conf={"scene_id": "office", "lab": "northwind_ai"})
    (found,) = registry.outbox.all_of()
    assert (found.message.scene_id, found.message.lab) == ("office", "northwind_ai")
    assert "It has not begun" in json.dumps(found.message.blocks)
