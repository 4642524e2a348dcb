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
import sys, time, runpy
import airflow.sdk, airflow.providers.standard.operators.hitl
began = time.process_time()
runpy.run_path(sys.argv[1])
print(time.process_time() - began)
heavy = sorted(set(sys.modules) & {"mujoco", "pxr", "polars", "pandera", "trimesh", "toppra", "av", "coacd", "scipy", "torch"})
print(",".join(heavy))
"""
LIMIT_S = 2.0
"""A DAG file may cost this much more CPU time than an empty one [s], imports included, where Airflow itself is loaded."""


def measure(path):
    """CPU seconds of reading one DAG file in a fresh process, and the heavy modules that it dragged in."""
    best, heavy = float("inf"), ""
    for _ in range(2):
        out = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
        best, heavy = min(best, float(out[-2])), out[-1]
    return best, heavy


@pytest.mark.slow
@pytest.mark.parametrize("stem", ["scene_to_dataset", "nightly_scenes", "scheduled_scenes"])
def test_dag_file_is_cheap_to_read(stem):
    """No simulator, no mesh library, no data frame library; and little CPU time beside an empty DAG's."""
    empty = HOME / "empty.py"
    empty.write_text(EMPTY)
    baseline, _ = measure(empty)
    found, heavy = measure(ROOT / "dags" / f"{stem}.py")
    assert heavy == ""
    assert found - baseline < LIMIT_S, f"{stem}: {found:.2f} CPU-s, an empty DAG {baseline:.2f}"
