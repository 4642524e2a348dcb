"""The demo costs no more of Airflow than it uses."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

PARENT = "import operators.demo, sys; print(sorted(name for name in sys.modules if name.partition('.')[0] in {'airflow', 'fastapi'}))"

SERVED = """
import json
from operators.embedded.demo_run import serve_newest_version
serve_newest_version()
import httpx
from airflow.api_fastapi.execution_api import versions
from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
from airflow.sdk.api.datamodels._generated import API_VERSION
api = InProcessExecutionAPI()
client = httpx.Client(transport=api.transport, base_url="http://in-process.invalid", headers={"Airflow-API-Version": API_VERSION})
answer = client.get("/health")
served = [str(version.value) for version in versions.bundle.versions]
print(json.dumps([API_VERSION, served, answer.status_code, len(api.app.router.versioned_routers)]))
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_what_shows_a_run_needs_no_airflow():
    """Its import takes longer than all else that happens before the first line; the process that runs the DAG imports it anyhow."""
    assert run(PARENT) == "[]"


def test_the_api_within_the_process_has_the_version_of_its_client_alone():
    """Routes of eight older versions would be written anew at every start, for nobody."""
    version, served, status, routers = json.loads(run(SERVED))
    assert (served, status, routers) == ([version], 200, 1)
