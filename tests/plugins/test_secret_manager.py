"""Connections and variables from Google Secret Manager, through Airflow's own lookup and Google's own client."""

import json
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import grpc
import pytest
import yaml
from airflow.sdk import DAG, Variable, task
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from blueprint_pipeline.settings import load_settings
from operators.retries import STAGE_RETRIES
from operators.stage_task import read_connections
from plugins.providers.google.secret_manager import SecretRefused, SecretsUnavailable, SecretUnreadable
from plugins.providers.messages.failure import TaskFailureNotifier
from tests.airflow_home import ROOT, run_dag, xcom_of
from tests.plugins.secret_manager_server import PROJECT, SecretManagerServer, make_identity

CONFIGURED = yaml.safe_load((ROOT / "helm" / "airflow-values.yaml").read_text())["config"]["secrets"]
LAB = "lab_aurora_robotics"
TIMEOUT_S = 1.0


@pytest.fixture(scope="session")
def identity(tmp_path_factory):
    """One authority for all tests."""
    return make_identity(tmp_path_factory.mktemp("google"))


@pytest.fixture
def server(identity, monkeypatch):
    """Secret Manager, and an Airflow that is configured as helm/airflow-values.yaml says, but for the place."""
    from airflow.sdk.configuration import clear_secrets_backends_cache

    ca, key, environment = identity
    with SecretManagerServer(ca, key) as running:
        arguments = {
            **json.loads(CONFIGURED["backend_kwargs"]),
            "project_id": PROJECT,
            "endpoint": running.http_endpoint,
            "timeout_s": TIMEOUT_S,
        }
        running.environment = {
            **environment,
            "AIRFLOW__SECRETS__BACKEND": CONFIGURED["backend"],
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(arguments),
            "AIRFLOW__SECRETS__USE_CACHE": CONFIGURED["use_cache"],
        }
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        clear_secrets_backends_cache()
        yield running
    clear_secrets_backends_cache()


@pytest.fixture
def gcloud(server):
    """What an operator does with gcloud, over gRPC."""
    from google.cloud import secretmanager_v1 as sm
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

    trusted = grpc.ssl_channel_credentials(server.ca_pem)  # handed over: gRPC reads its default roots once a process
    transport = SecretManagerServiceGrpcTransport(host=server.grpc_endpoint, ssl_channel_credentials=trusted)
    with sm.SecretManagerServiceClient(transport=transport) as client:

        def put(name, value):
            secret = f"projects/{PROJECT}/secrets/{name}"
            if secret not in server.versions:
                client.create_secret(parent=f"projects/{PROJECT}", secret_id=name, secret=sm.Secret())
            data = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
            return client.add_secret_version(parent=secret, payload=sm.SecretPayload(data=data)).name

        put.disable = lambda version: client.disable_secret_version(name=version)
        yield put


def lab(password):
    return {"conn_type": "http", "host": "https://hooks.lab/x", "password": password, "extra": {"delivery_url": "gs://lab/datasets"}}


def test_connections_and_variables_are_read(server, gcloud):
    """The lab's webhook, Slack and a variable, by the names that docs/deploy.md gives them."""
    password = secrets.token_hex(8)
    gcloud("airflow-connections-lab_aurora_robotics", lab(password))
    gcloud("airflow-connections-slack_default", {"conn_type": "slackwebhook", "host": "https://hooks.slack/services", "password": password})
    gcloud("airflow-variables-night_budget_usd", "250")
    found = BaseHook.get_connection(LAB)
    assert (found.host, found.password, found.extra_dejson) == ("https://hooks.lab/x", password, {"delivery_url": "gs://lab/datasets"})
    assert BaseHook.get_connection("slack_default").conn_type == "slackwebhook"
    assert Variable.get("night_budget_usd") == "250"


def test_rotated_secret_counts_at_the_next_read(server, gcloud):
    """Nothing is kept between two reads, and no process starts again."""
    for password in (secrets.token_hex(8), secrets.token_hex(8)):
        gcloud("airflow-connections-lab_aurora_robotics", lab(password))
        gcloud("airflow-variables-night_budget_usd", password)
        assert read_connections({"WORD": f"{LAB}.password"}) == {"WORD": password}
        assert Variable.get("night_budget_usd") == password
    assert server.reads.count("airflow-connections-lab_aurora_robotics") == 2


def test_absent_secret_leads_on_to_the_environment(server, monkeypatch):
    """What Secret Manager does not hold may stand in the environment; what is nowhere is left out, and Airflow says its name."""
    assert read_connections({"URL": f"{LAB}.host"}) == {}
    with pytest.raises(AirflowNotFoundException, match=LAB):
        BaseHook.get_connection(LAB)
    monkeypatch.setenv("AIRFLOW_CONN_LAB_AURORA_ROBOTICS", json.dumps(lab("x")))
    assert read_connections({"URL": f"{LAB}.host"}) == {"URL": "https://hooks.lab/x"}
    monkeypatch.setenv("AIRFLOW_VAR_NIGHT_BUDGET_USD", "9")
    assert Variable.get("night_budget_usd") == "9"
    assert server.reads.count("airflow-connections-lab_aurora_robotics") >= 3


def test_absent_slack_is_told_in_the_log(server, caplog, monkeypatch, tmp_path):
    """Nobody was told, and the log says so with the connection's name."""
    monkeypatch.setenv("BPP__REGISTRY__URL", f"sqlite:///{tmp_path / 'registry.db'}")
    load_settings.cache_clear()
    ti = SimpleNamespace(task_id="t", map_index=-1, try_number=1, dag_id="d", run_id="r", log_url=None)
    TaskFailureNotifier().notify({"ti": ti, "params": {}, "exception": RuntimeError("[a.b] c")})
    assert "no message was sent over 'slack_default': [messages.channel_missing]" in caplog.text


def test_name_that_no_secret_can_have_is_absent(server):
    """Secret Manager is not asked for it."""
    with pytest.raises(AirflowNotFoundException):
        BaseHook.get_connection("lab.with.dots")
    assert server.reads == []


REFUSALS = {
    "no right": (grpc.StatusCode.PERMISSION_DENIED, "Permission 'secretmanager.versions.access' denied"),
    "no identity": (grpc.StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials"),
    "wrong project": (grpc.StatusCode.INVALID_ARGUMENT, "Invalid resource field value in the request"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_refused_secret_is_an_error_for_on_call(server, gcloud, monkeypatch, refusal):
    """Named, with Google's words and what to do; neither taken for absent nor replaced by what the environment holds."""
    gcloud("airflow-connections-lab_aurora_robotics", lab("x"))
    monkeypatch.setenv("AIRFLOW_CONN_LAB_AURORA_ROBOTICS", json.dumps(lab("stale")))
    server.failing = refusal
    with pytest.raises(SecretRefused, match="airflow-connections-lab_aurora_robotics") as caught:
        read_connections({"URL": f"{LAB}.host"})
    assert refusal[1] in str(caught.value)
    assert "roles/secretmanager.secretAccessor" in str(caught.value)
    assert not caught.value.retryable
    with pytest.raises(SecretRefused, match="airflow-variables-night_budget_usd"):
        Variable.get("night_budget_usd", default="none")


def test_disabled_version_is_an_error(server, gcloud):
    """Who disables the newest version has not removed the connection."""
    gcloud.disable(gcloud("airflow-connections-lab_aurora_robotics", lab("x")))
    with pytest.raises(SecretRefused, match="DISABLED"):
        BaseHook.get_connection(LAB)


def test_missing_credentials_are_an_error(server, monkeypatch):
    """A pod without workload identity is told so at its first read."""
    from airflow.sdk.configuration import clear_secrets_backends_cache

    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    clear_secrets_backends_cache()
    with pytest.raises(SecretRefused, match="default credentials were not found"):
        BaseHook.get_connection(LAB)


@pytest.mark.parametrize("state", ["unavailable", "quota", "internal", "silent", "gone"])
def test_outage_is_no_absence(server, gcloud, monkeypatch, state):
    """Unavailable, over quota, broken, silent and gone: an error that a retry may help, within the time that was set."""
    gcloud("airflow-connections-lab_aurora_robotics", lab("x"))
    monkeypatch.setenv("AIRFLOW_CONN_LAB_AURORA_ROBOTICS", json.dumps(lab("stale")))
    statuses = {"unavailable": "UNAVAILABLE", "quota": "RESOURCE_EXHAUSTED", "internal": "INTERNAL"}
    if state in statuses:
        server.failing = (grpc.StatusCode[statuses[state]], "The service is not well.")
    elif state == "silent":
        server.silent.set()
    else:
        server.stop()
    began = datetime.now(UTC)
    with pytest.raises(SecretsUnavailable, match="airflow-connections-lab_aurora_robotics") as caught:
        read_connections({"URL": f"{LAB}.host"})
    assert caught.value.retryable
    assert datetime.now(UTC) - began < timedelta(seconds=TIMEOUT_S + 8)


def test_short_outage_is_not_noticed(server, gcloud):
    """The client asks again within the read's time."""
    gcloud("airflow-variables-night_budget_usd", "250")
    access = server._find

    def recover(name):
        server._find = access
        from tests.plugins.secret_manager_server import Refusal

        raise Refusal(grpc.StatusCode.UNAVAILABLE, "one moment")

    server._find = recover
    assert Variable.get("night_budget_usd") == "250"
    assert len(server.reads) == 2


@pytest.mark.parametrize("value", ['{"extra": "swordfish"', b"swordfish\xff"])
def test_secret_that_is_no_connection_is_an_error(server, gcloud, value):
    """A slip at rotation is told, without the secret in the message."""
    gcloud("airflow-connections-lab_aurora_robotics", value)
    with pytest.raises(SecretUnreadable, match="airflow-connections-lab_aurora_robotics") as caught:
        BaseHook.get_connection(LAB)
    assert "swordfish" not in str(caught.value)


@pytest.mark.slow
def test_fork_after_a_read_can_read(server, gcloud):
    """Airflow's supervisor reads the connection of its remote log, then forks the task: at once, and both get answers."""
    gcloud("airflow-variables-night_budget_usd", "250")
    code = """
import os, signal, time
from airflow.sdk import Variable
assert Variable.get("night_budget_usd") == "250"
began = time.monotonic()
child = os.fork()
took_s = time.monotonic() - began
if child == 0:
    signal.alarm(30)
    os._exit(0 if Variable.get("night_budget_usd") == "250" else 1)
print(took_s < 5, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), Variable.get("night_budget_usd"))
"""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'include'}"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout.split()[-3:] == ["True", "0", "250"], ended.stderr[-2000:]


def run_reader(name, **arguments):
    """A DAG of one task that reads the lab's connection, with the retries of every stage."""
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:

        @task(**{**STAGE_RETRIES, "retry_delay": timedelta(seconds=0), **arguments})
        def read():
            return read_connections({"URL": f"{LAB}.host"})

        read()
    run, tasks = run_dag(dag)
    return run, tasks["read", -1]


@pytest.mark.slow
def test_task_waits_for_secret_manager(server, gcloud):
    """After an outage the next try reads the secret; no try runs without."""
    gcloud("airflow-connections-lab_aurora_robotics", lab("x"))
    server.failing = (grpc.StatusCode.UNAVAILABLE, "The service is not well.")

    def recover(_context):
        server.failing = None

    run, ti = run_reader("secret_outage", on_retry_callback=recover)
    assert (run.state, ti.try_number) == ("success", 2)
    assert xcom_of(run, "read") == {"URL": "https://hooks.lab/x"}


@pytest.mark.slow
def test_refused_secret_fails_the_task_at_once(server):
    """No try can help."""
    server.failing = REFUSALS["no right"]
    run, ti = run_reader("secret_refused")
    assert (run.state, ti.try_number) == ("failed", 1)
