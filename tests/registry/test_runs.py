"""Runs of the flow, begun, noted and ended."""

import pytest

from blueprint_pipeline.registry.errors import RecordMissing


def start(registry, run_id="r1"):
    return registry.runs.start(dag_id="scene_to_dataset", run_id=run_id, scene_id="kitchen", lab="aurora_robotics", link="http://x")


def test_a_run_from_its_beginning_to_its_end(registry, clock):
    """What was noted stays; ending twice keeps the time of the first."""
    begun = start(registry)
    registry.runs.note("scene_to_dataset", "r1", kept=5, attempted=6, usd=0.25)
    clock.advance(minutes=5)
    ended = registry.runs.end("scene_to_dataset", "r1", "succeeded")
    clock.advance(minutes=5)
    assert registry.runs.end("scene_to_dataset", "r1", "succeeded") == ended
    assert (ended.kept, ended.usd, (ended.ended_at - begun.started_at).total_seconds()) == (5, 0.25, 300)


def test_a_cleared_run_runs_again(registry):
    """How it failed is forgotten; what it had kept is not."""
    start(registry)
    registry.runs.note("scene_to_dataset", "r1", stage="simulate_shard", code="a.b", message="m", kept=5)
    registry.runs.end("scene_to_dataset", "r1", "failed")
    again = start(registry)
    assert (again.status, again.stage, again.code, again.ended_at, again.kept) == ("running", None, None, None, 5)


def test_which_runs_a_morning_has(registry, clock):
    """Those that began, ended or still run since the evening."""
    for run_id in ("old", "ended_tonight", "hangs"):
        start(registry, run_id)
    registry.runs.end("scene_to_dataset", "old", "succeeded")
    clock.advance(hours=20)
    evening = clock()
    clock.advance(hours=1)
    registry.runs.end("scene_to_dataset", "ended_tonight", "failed")
    start(registry, "begun_tonight")
    assert {run.run_id for run in registry.runs.since(evening)} == {"ended_tonight", "hangs", "begun_tonight"}
    assert {run.run_id for run in registry.runs.running()} == {"hangs", "begun_tonight"}


def test_an_unknown_run_is_an_error(registry):
    with pytest.raises(RecordMissing):
        registry.runs.end("d", "r", "failed")
    assert registry.runs.find("d", "r") is None
