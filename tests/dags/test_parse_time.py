"""What Airflow pays for every time it reads the DAG files: bounded, in CPU time, against an empty DAG."""

import subprocess
import sys

import pytest

from tests.airflow_home import HOME, ROOT

EMPTY = """
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
with DAG("empty", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    EmptyOperator(task_id="a_b")
"""
MEASURE = """
import runpy, sys, time
runpy.run_path(sys.argv[1])
print(time.process_time())
print(",".join(sorted(set(sys.modules) & set(sys.argv[2].split(",")))))
"""
HEAVY = "mujoco,pxr,trimesh,toppra,av,coacd,scipy,torch"
LIMIT = 2.0
"""Reading a DAG file in a fresh process may cost this many times the CPU time of an empty DAG, Airflow's own import included in both."""


def measure(path):
    """CPU seconds of a fresh process that reads one DAG file, and the heavy modules that it dragged in."""
    command = [sys.executable, "-c", MEASURE, str(path), HEAVY]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return float(out[-2]), out[-1]


@pytest.fixture(scope="module")
def empty_cpu_s():
    """What an empty DAG costs."""
    path = HOME / "empty.py"
    path.write_text(EMPTY)
    return measure(path)[0]


@pytest.mark.slow
@pytest.mark.parametrize("stem", ["scene_to_dataset", "nightly_scenes", "scheduled_scenes"])
def test_dag_file_is_cheap_to_read(stem, empty_cpu_s):
    """No simulator, no mesh library, no data frame library; and little CPU time beside an empty DAG's."""
    found, heavy = measure(ROOT / "dags" / f"{stem}.py")
    assert heavy == ""
    assert found < LIMIT * empty_cpu_s, f"{stem}: {found:.2f} CPU-s, an empty DAG {empty_cpu_s:.2f}"
