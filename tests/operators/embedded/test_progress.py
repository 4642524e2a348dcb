"""What the screen shows is built from the events alone."""

import io

from rich.console import Console

from operators.embedded.progress import RunView, draw


def task(task_id, state, at, map_index=-1, **facts):
    return {"kind": "task", "task_id": task_id, "map_index": map_index, "state": state, "at": at, "try_number": 1, **facts}


def stage(kind, task_id, data, map_index=-1):
    return {"kind": kind, "task_id": task_id, "map_index": map_index, "data": data, "at": 0}


def screen(view, now=100.0):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(draw(view, now))
    return console.export_text()


def test_running_shard_shows_how_far_it_is():
    """Episodes done of all, and the time so far."""
    view = RunView()
    view.take(task("simulate_shard", "running", 90.0, 1))
    view.take(stage("stage_event", "simulate_shard", {"event": "progress", "done": 5, "total": 12}, 1))
    text = screen(view)
    assert "simulate_shard 1" in text
    assert "5/12" in text
    assert "10.0 s" in text


def test_work_that_was_found_done_is_told_apart():
    """A second run shows that nothing was repeated."""
    view = RunView()
    view.take(task("ingest_scene", "running", 1.0))
    view.take(stage("stage_event", "ingest_scene", {"event": "stage already done"}))
    view.take(stage("stage_result", "ingest_scene", {"objects": 8, "movable": 7, "unknown_licences": 0}))
    view.take(task("ingest_scene", "success", 2.0))
    assert view.found_done() == (1, 1)
    assert "found done" in screen(view)
    assert view.changed == ["ingest_scene: success in 1.0 s. 8 objects taken in, 7 of them can be moved; licence unknown for 0"]


def test_failed_tasks_in_order_with_their_message():
    """The first failure is the cause."""
    view = RunView()
    view.take(task("plan_tasks", "failed", 2.0, error="[task.none] no task"))
    view.take(task("gate_episodes", "failed", 1.0, error="x"))
    assert [name for name, _ in view.failed()] == ["gate_episodes", "plan_tasks"]
    assert "[task.none] no task" in screen(view)


def test_task_that_never_reported_is_failed_in_the_end():
    """Airflow's last word counts where a task could not start."""
    view = RunView()
    view.take({"kind": "final", "task_id": "approve_episodes", "map_index": -1, "state": "failed", "at": 1})
    view.take({"kind": "final", "task_id": "plan_tasks", "map_index": -1, "state": "success", "at": 1})
    assert [name for name, _ in view.failed()] == ["approve_episodes"]


def test_phases_problems_and_the_end():
    view = RunView()
    view.take({"kind": "phase", "text": "reading the DAG", "at": 1})
    assert "reading the DAG" in screen(view)
    view.take({"kind": "problem", "text": "no such file", "at": 1})
    view.take({"kind": "run", "state": "success", "at": 1})
    assert (view.problem, view.state) == ("no such file", "success")


def test_time_by_stage_adds_up_shards():
    view = RunView()
    for index in (0, 1):
        view.take(task("render_shard", "running", 10.0, index))
        view.take(task("render_shard", "success", 13.0, index))
    assert view.stage_seconds()["render_shard"] == 6.0
    assert view.result_of("render_shard") == {}
