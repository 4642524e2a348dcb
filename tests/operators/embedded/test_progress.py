"""A line a stage, in any window and through a pipe."""

import io
import re

import pytest
from rich.console import Console

from operators.embedded.progress import LineReporter, describe_time, draw
from operators.embedded.run_view import RunView
from operators.task_order import task_ids

LONG = "[scene.bad] " + "a long explanation " * 20


def task(task_id, state, at, **facts):
    return {"kind": "task", "task_id": task_id, "map_index": -1, "state": state, "at": at, "try_number": 1, **facts}


def half_way():
    """One stage done, one running and counting, one failed with a long message."""
    view = RunView()
    for event in (
        task("ingest_scene", "running", 0.0),
        {
            "kind": "stage_result",
            "task_id": "ingest_scene",
            "map_index": -1,
            "at": 1,
            "data": {"objects": 8, "movable": 7, "unknown_licences": 0},
        },
        task("ingest_scene", "success", 2.0),
        task("process_meshes", "running", 2.0),
        {
            "kind": "stage_event",
            "task_id": "process_meshes",
            "map_index": -1,
            "at": 3,
            "data": {"event": "progress", "done": 4, "total": 8},
        },
        task("settle_scene", "running", 2.0),
        task("settle_scene", "failed", 3.0, error=LONG),
    ):
        view.take(event)
    return view


def screen(view, width=100, now=12.0):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(draw(view, now))
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_every_task_is_one_line_whatever_the_window(width):
    lines = screen(half_way(), width)
    names = [name for group in task_ids().values() for name in group]
    assert [line.split()[0] for line in lines] == names
    assert max(map(len, lines)) <= width


def test_a_line_has_state_time_and_words():
    lines = {line.split()[0]: line for line in screen(half_way())}
    assert re.search(r"done +2\.0 s +objects: 8", lines["ingest_scene"])
    assert re.search(r"━.* 10\.0 s +4 ", lines["process_meshes"])
    assert "failed" in lines["settle_scene"]
    assert lines["notify_lab"].split() == ["notify_lab"]


def test_before_the_first_task_the_phase_is_shown():
    view = RunView()
    view.take({"kind": "phase", "text": "reading the DAG", "at": 1})
    assert "reading the DAG" in screen(view)[-1]


def test_through_a_pipe_each_stage_is_told_once_in_a_whole_line():
    """No control characters, nothing cut or broken."""
    stream = io.StringIO()
    reporter, view = LineReporter(Console(file=stream)), half_way()
    reporter.report(view)
    reporter.report(view)
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["ingest_scene", "settle_scene"]
    assert lines[1].endswith(LONG.rstrip())
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60.0, "1 min 0 s"), (89.7, "1 min 30 s"), (3600, "60 min 0 s")]
)
def test_times_are_said_as_people_say_them(seconds, words):
    assert describe_time(seconds) == words
