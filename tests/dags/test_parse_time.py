"""What Airflow pays for every time it reads the DAG files: bounded, in modules that it imports, against an empty DAG."""

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
import runpy, sys
runpy.run_path(sys.argv[1])
print(len(sys.modules))
print(",".join(sorted(set(sys.modules) & set(sys.argv[2].split(",")))))
"""
HEAVY = "mujoco,pxr,trimesh,toppra,av,manifold3d,scipy,torch,google.cloud.storage,aiohttp,requests"
LIMIT = 1.35
"""Reading a DAG file in a fresh process may import this many times the modules of an empty DAG, Airflow's own included in both.

CPU time says the same on a quiet machine (1.16 s beside 1.05 s); on a busy one it says how busy that is.
"""


def measure(path):
    """Number of modules in a fresh process that reads one DAG file, and the heavy ones that it dragged in."""
    command = [sys.executable, "-c", MEASURE, str(path), HEAVY]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return int(out[-2]), out[-1]


@pytest.fixture(scope="module")
def modules_of_an_empty_dag():
    """What an empty DAG costs."""
    path = HOME / "empty.py"
    path.write_text(EMPTY)
    return measure(path)[0]


@pytest.mark.slow
@pytest.mark.parametrize("stem", sorted(path.stem for path in (ROOT / "dags").glob("*.py")))
def test_dag_file_is_cheap_to_read(stem, modules_of_an_empty_dag):
    """No simulator, no mesh library, no provider's hooks; and few modules beside an empty DAG's."""
    found, heavy = measure(ROOT / "dags" / f"{stem}.py")
    assert heavy == ""
    assert found < LIMIT * modules_of_an_empty_dag
