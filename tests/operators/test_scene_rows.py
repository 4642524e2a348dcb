"""The file of scenes is data that is checked when it is read, row by row, by the rules of the form."""

import subprocess
import sys

import pytest

from operators.check_scenes import main
from operators.scene_rows import InvalidScenes, check_scene_rows, load_scene_rows, own_dag_rows
from tests.airflow_home import ROOT

GOOD = "{scene_id: good, source: sample, lab: aurora_robotics}"


def written(tmp_path, text):
    path = tmp_path / "scenes.yaml"
    path.write_text(text)
    return path


def row(**facts):
    """A row that would be sound, changed."""
    chosen = {"scene_id": "a", "source": "sample", "lab": "aurora_robotics", **facts}
    return "{" + ", ".join(f"{name}: {value}" for name, value in chosen.items() if value is not None) + "}"


def test_shipped_file_is_sound():
    """Every row can run."""
    assert load_scene_rows()


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (row(prioritty=1), "prioritty: Extra inputs are not permitted"),
        (row(scene_id="../a"), "'../a' is not a valid id"),
        (row(source=None), "source: Field required"),
        (row(lab=None), "lab: Field required"),
        (row(pool="gpus"), "pool: there is no pool 'gpus'"),
        (row(dag="{deadline_h: 0}"), "dag.deadline_h"),
        (row(lab="nobody"), "lab: There is no lab 'nobody'"),
        (row(lab="northwind_ai", params="{episodes: 3}"), "params.episodes: 3 can never be the 10 kept"),
        (row(params="{episodes: 0}"), "params.episodes: 0 is less than the minimum of 1"),
        (row(params="{episods: 2}"), "params.episods: there is no such parameter, the nearest is 'episodes'"),
        (row(params="{fps: 31}"), "params.fps: 31 is not one of"),
        (row(params="{lab: northwind_ai}"), "params.lab: it is a key of the row itself"),
        (row(params="{approval_window_s: 90000}"), "params.approval_window_s: 90000 s must be shorter"),
        (row(source="/nowhere"), "source: there is no folder or file /nowhere"),
        (row(scene_id="good"), "scene good stands there more than once"),
    ],
)
def test_a_bad_row_is_named_and_stops_no_other(tmp_path, bad, told):
    """Which row, which field, what was found, what was expected; the row before it can run."""
    path = written(tmp_path, f"scenes: [{GOOD}, {bad}]")
    found = check_scene_rows(path)
    assert [item.scene_id for item in found.rows] == ["good"]
    (problem,) = found.problems
    assert told in problem
    assert problem.startswith("row 2 (scene")
    with pytest.raises(InvalidScenes, match="row 2"):
        load_scene_rows(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [("pools: {gpu: 0}", "pools.gpu"), ("scenes: [3]", "scenes.0"), ("scenes: [", "cannot be used"), ("scene: []", "scene: Extra")],
)
def test_a_file_that_is_no_list_of_rows_is_refused(tmp_path, text, told):
    with pytest.raises(InvalidScenes, match=told):
        check_scene_rows(written(tmp_path, text))


def test_deadline_of_an_own_dag_is_that_of_its_runs(tmp_path):
    (found,) = load_scene_rows(written(tmp_path, f"scenes: [{row(dag='{deadline_h: 1.5}', params='{approval_window_s: 60}')}]"))
    assert found.conf["deadline_h"] == 1.5
    assert found.dag.paused


def test_empty_file_is_no_scenes(tmp_path):
    assert load_scene_rows(written(tmp_path, "")) == ()


def test_command_says_which_rows_cannot_run(tmp_path, capsys):
    path = written(tmp_path, f"scenes: [{GOOD}, {row(lab='nobody')}]")
    assert main([str(path)]) == 65
    assert "row 2 (scene a): lab: There is no lab 'nobody'" in capsys.readouterr().out
    assert main([]) == 0


MEASURE = """
import pathlib, sys, time
import operators.scene_flow, operators.scene_rows as rows
rows.own_dag_rows.__defaults__ = (pathlib.Path(sys.argv[1]),)
from airflow.sdk import DAG, timezone
from airflow.sdk._shared.observability import metrics  # imported before the clock starts, as in the DAG processor
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
began = time.process_time()
for index in range(300):
    with DAG(f"plain_{index}", schedule="0 3 * * *", start_date=timezone.datetime(2026, 1, 1), tags={"a"}):
        TriggerDagRunOperator(task_id="run", trigger_dag_id="b", conf={})
plain = time.process_time() - began
began = time.process_time()
code = compile(open(sys.argv[2]).read(), sys.argv[2], "exec")
found = {}
exec(code, found)
print((time.process_time() - began) / plain, sum(name.startswith("scene_") for name in found))
"""
LIMIT = 2.0
"""Reading three hundred rows and building their DAGs may cost this many times what as many plain DAGs cost: 1.15 on a quiet core."""


@pytest.mark.slow
def test_three_hundred_scenes_with_dags_of_their_own_are_cheap_to_read(tmp_path):
    """In CPU time, against as many plain DAGs of one task in the same process; a task of such a DAG builds its own alone."""
    rows = ", ".join(row(scene_id=f"s{index}", dag='{schedule: "0 3 * * *"}') for index in range(300))
    path = written(tmp_path, f"scenes: [{rows}]")
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(ROOT / "dags" / "scheduled_scenes.py")], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(out[1]) == 300
    assert float(out[0]) < LIMIT
    assert len(own_dag_rows(path)) == 300
