"""The state of a run is built from its events alone."""

import pytest

from operators.embedded.run_view import RunView


def task(task_id, state, at, map_index=-1, **facts):
    return {"kind": "task", "task_id": task_id, "map_index": map_index, "state": state, "at": at, "try_number": 1, **facts}


def stage(kind, task_id, data, map_index=-1):
    return {"kind": f"stage_{kind}", "task_id": task_id, "map_index": map_index, "data": data, "at": 0}


def view_of(*events):
    view = RunView()
    for event in events:
        view.take(event)
    return view


PLANNED = (
    task("plan_tasks", "running", 0.0),
    stage("result", "plan_tasks", {"job_id": "j", "shards": [0, 1], "episodes": 24, "targets": ["can"], "left_out": {}}),
    task("plan_tasks", "success", 1.0),
)


def shard_done(index, start, end, **result):
    return (
        task("simulate_shard", "running", start, index),
        stage("result", "simulate_shard", {"shard_index": index, "attempted": 12, "frames": 5, **result}, index),
        task("simulate_shard", "success", end, index),
    )


def test_shards_are_one_line_and_their_counts_are_added_up():
    """Time goes from the first start to the last end."""
    first = shard_done(0, 10.0, 20.0, succeeded=12, failures={})
    second = shard_done(1, 20.0, 33.0, succeeded=9, failures={"grasp_lost": 2, "not_upright": 1})
    view = view_of(*PLANNED, *first, *second)
    line = view.line("simulate_shard", now=99.0)
    assert (line.state, line.words, line.elapsed_s) == ("done", "21 of 24 attempts succeeded", 23.0)
    assert view.result_of("simulate_shard")["failures"] == {"grasp_lost": 2, "not_upright": 1}
    assert view.stage_seconds()["simulate_shard"] == 23.0


def test_a_stage_runs_until_its_last_shard_is_done():
    """One shard of two is half of the work, although no task runs at this moment."""
    view = view_of(*PLANNED, *shard_done(0, 10.0, 20.0, succeeded=12, failures={}))
    line = view.line("simulate_shard", now=21.0)
    assert (line.state, line.fraction, line.elapsed_s) == ("running", 0.5, 11.0)


def test_progress_is_a_share_of_all_shards():
    view = view_of(
        *PLANNED,
        *shard_done(0, 10.0, 20.0, succeeded=12, failures={}),
        task("simulate_shard", "running", 20.0, 1),
        stage("event", "simulate_shard", {"event": "progress", "done": 3, "total": 12}, 1),
    )
    line = view.line("simulate_shard", now=25.0)
    assert line.fraction == pytest.approx((1 + 3 / 12) / 2)
    assert line.words.endswith("episodes")


def test_work_that_was_found_done_is_told_apart():
    """A second run shows that nothing was repeated."""
    view = view_of(
        task("ingest_scene", "running", 1.0),
        stage("event", "ingest_scene", {"event": "stage already done"}),
        stage("result", "ingest_scene", {"objects": 8, "movable": 7, "unknown_licences": 0}),
        task("ingest_scene", "success", 2.0),
    )
    assert view.found_done() == (1, 1)
    line = view.line("ingest_scene", now=9.0)
    assert line.state == "found done"
    assert line.words.startswith("objects: 8")


def test_failed_tasks_in_order_with_their_message():
    """The first failure is the cause."""
    view = view_of(task("plan_tasks", "failed", 2.0, error="[task.none] no task"), task("gate_episodes", "failed", 1.0, error="x"))
    assert [name for name, _ in view.failed()] == ["gate_episodes", "plan_tasks"]
    line = view.line("plan_tasks", now=3.0)
    assert (line.state, line.words) == ("failed", "[task.none] no task")


def test_task_that_never_reported_is_failed_in_the_end():
    """Airflow's last word counts where a task could not start."""
    view = view_of(
        {"kind": "final", "task_id": "approve_episodes", "map_index": -1, "state": "failed", "at": 1},
        {"kind": "final", "task_id": "plan_tasks", "map_index": -1, "state": "success", "at": 1},
    )
    assert [name for name, _ in view.failed()] == ["approve_episodes"]


def test_skipped_tasks_say_why():
    view = view_of(task("approve_episodes", "skipped", 1.0), task("announce_delivery", "skipped", 1.0))
    assert "nobody is asked" in view.line("approve_episodes", now=2.0).words
    assert "announced before" in view.line("announce_delivery", now=2.0).words


def test_a_warning_is_shown_while_the_stage_runs():
    view = view_of(
        task("certify_dataset", "running", 1.0),
        stage("event", "certify_dataset", {"event": "lerobot is not here", "level": "warning"}),
    )
    assert view.line("certify_dataset", now=2.0).words == "lerobot is not here"


def test_phases_problems_and_the_end():
    view = view_of(
        {"kind": "phase", "text": "reading the DAG", "at": 1},
        {"kind": "problem", "text": "no such file", "at": 1},
        {"kind": "run", "state": "success", "at": 1},
    )
    assert (view.phase, view.problem, view.state) == ("reading the DAG", "no such file", "success")
