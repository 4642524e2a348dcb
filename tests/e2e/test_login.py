"""Who gets in: a real API server with the auth manager of production, and one with Airflow's simple one, both open to the network."""

import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import psutil
import pytest
import yaml

from blueprint_pipeline.settings import environment_of_child
from operators.embedded import up
from operators.embedded.airflow_home import airflow_environment
from tests.airflow_home import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("login"), pytest.mark.timeout(600)]
VALUES = yaml.safe_load((ROOT / "helm" / "airflow-values.yaml").read_text())
PASSWORD = "of-this-test"  # pragma: allowlist secret -- of a server that this test starts and ends
PATIENCE_S = 240.0


def own_address():
    """An address of this machine that is not loopback."""
    addresses = [item for items in psutil.net_if_addrs().values() for item in items if item.family == socket.AF_INET]
    found = next((item.address for item in addresses if not item.address.startswith("127.")), None)
    if found is None:
        pytest.skip("no network: this machine has no address but loopback")
    return found


@contextmanager
def api_server(home, *commands, **variables):
    """The API server alone, listening on all addresses; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**airflow_environment(home), **up.api_environment(port), "AIRFLOW__API__HOST": "0.0.0.0", **variables}
    up.migrate(environment)
    airflow, child = [sys.executable, "-m", "airflow"], environment_of_child(environment)
    for command in commands:
        subprocess.run([*airflow, *command], env=child, check=True, capture_output=True)
    with (home / "api.log").open("wb") as log:
        process = subprocess.Popen([*airflow, "api-server"], cwd=ROOT, env=child, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for_port(port, process, home / "api.log")
        yield port
    finally:
        up.stop(process)


def wait_for_port(port, process, log):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/api/v2/version", timeout=30)
        except httpx.TransportError:
            time.sleep(1.0)
        else:
            return
    pytest.fail(f"the API server did not come up: {log.read_text()[-2000:]}")


def test_the_simple_auth_manager_serves_its_own_machine_alone(tmp_path):
    """Everybody is an administrator of ``make up``; whoever comes over the network is refused before Airflow sees the call."""
    address = own_address()
    with api_server(tmp_path) as port:
        token = httpx.get(f"http://127.0.0.1:{port}/auth/token", timeout=60).json()["access_token"]
        assert token
        for path in ("/auth/token", "/api/v2/monitor/health", "/"):
            refused = httpx.get(f"http://{address}:{port}{path}", timeout=60)
            assert (refused.status_code, "Name an auth manager" in refused.text) == (403, True), path


def test_the_auth_manager_of_production_lets_in_who_is_known(tmp_path):
    """Without a login nothing is shown; a viewer sees and may not pause; an operator may. Over the network, too."""
    users = [(name, role) for name, role in (("vera", "Viewer"), ("otto", "Op"))]
    make = [
        ["users", "create", "-u", name, "-r", role, "-p", PASSWORD, "-f", name, "-l", name, "-e", f"{name}@lab.example"]
        for name, role in users
    ]
    manager = {"AIRFLOW__CORE__AUTH_MANAGER": VALUES["config"]["core"]["auth_manager"]}
    with (
        api_server(tmp_path, ["fab-db", "migrate"], *make, **manager) as port,
        httpx.Client(base_url=f"http://{own_address()}:{port}", timeout=60) as client,
    ):
        assert client.get("/api/v2/pools").status_code == 401
        assert client.post("/auth/token", json={"username": "vera", "password": f"not {PASSWORD}"}).status_code == 401
        answers = {}
        for name, _ in users:
            token = client.post("/auth/token", json={"username": name, "password": PASSWORD}).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            body = {"name": f"pool_{name}", "slots": 1}
            answers[name] = [
                client.get("/api/v2/pools", headers=headers).status_code,
                client.post("/api/v2/pools", json=body, headers=headers).status_code,
            ]
        assert answers == {"vera": [200, 403], "otto": [200, 201]}
