"""A real Airflow (scheduler, API, DAG processor, triggerer): what a test run in one process cannot show."""

import json
import socket
import time

import httpx
import pytest

from blueprint_pipeline.quality.report import load_gate_report
from blueprint_pipeline.registry.approvals import approval_id
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings
from blueprint_pipeline.workspace.storage import Workspace
from operators.embedded import up
from operators.embedded.airflow_home import airflow_environment, process_environment
from operators.embedded.receivers import receive
from tests.airflow_home import ROOT
from tests.operators.gate_case import write_gates

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("scheduler"), pytest.mark.timeout(1500)]
PATIENCE_S = 400.0


class Airflow:
    """Airflow's REST API, as a person's tools use it."""

    def __init__(self, url, settings, slack):
        self.settings, self.slack = settings, slack
        token = httpx.get(f"{url}/auth/token", timeout=30).json()["access_token"]
        self._client = httpx.Client(base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def call(self, method, path, body=None):
        answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def trigger(self, dag_id):
        """Start a run; the DAG may not have been read yet."""
        wait_for(lambda: self.has(dag_id), f"DAG {dag_id}")
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        return self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]

    def has(self, dag_id):
        """Whether the DAG has been read."""
        return self._client.get(f"/dags/{dag_id}").status_code == 200

    def runs(self, dag_id):
        """State of every run, by id."""
        return {run["dag_run_id"]: run["state"] for run in self.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]}

    def state(self, dag_id, run_id, task_id):
        return self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")["state"]

    def reached(self, dag_id, run_id, task_id, state):
        """Whether a task is in this state; another end is told at once."""
        found = self.state(dag_id, run_id, task_id)
        assert found == state or found not in {"success", "failed", "upstream_failed", "skipped"}, f"{task_id} is {found}, not {state}"
        return found == state

    def xcom(self, dag_id, run_id, task_id):
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._client.get(path, params={"stringify": "false"}).json()["value"]


def wait_for(condition, what):
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(1.0)
    raise AssertionError(f"waited {PATIENCE_S:.0f} s in vain for {what}")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """Airflow as ``make up`` starts it, with the test's DAGs and a receiver that plays Slack."""
    home = tmp_path_factory.mktemp("airflow")
    settings = Settings(
        workspace=WorkspaceSettings(url=str(home / "workspace"), cache_dir=home / "cache"),
        registry=RegistrySettings(url=f"sqlite:///{home / 'registry.db'}"),
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://localhost:{port}", home / "airflow.log"
    with receive() as slack:
        connection = {"conn_type": "slackwebhook", "host": f"{slack.url}/services", "password": "T/B/X"}
        environment = {
            **airflow_environment(home, dags=ROOT / "tests" / "e2e" / "dags"),
            **process_environment(settings),
            **up.api_environment(port),
            "AIRFLOW_CONN_SLACK_DEFAULT": json.dumps(connection),
        }
        up.migrate(environment)
        process = up.start(environment, log)
        try:
            up.wait_until_healthy(process, url, log, timeout_s=PATIENCE_S)
            yield Airflow(url, settings, slack)
        finally:
            up.stop(process)
    assert up.read_health(url) == {}


def told(slack, *words):
    """Whether a message with all these words has arrived."""
    return any(all(word in json.dumps(message.body) for word in words) for message in slack.messages)


def test_person_approves_through_the_api(airflow):
    """The task parks, the answer comes through the REST API, and the decision with its author is in the registry."""
    waiting = write_gates(airflow.settings, "s1", 2)
    run_id = airflow.trigger("ask")
    wait_for(lambda: airflow.reached("ask", run_id, "approve_episodes", "awaiting_input"), "the question")
    (question,) = airflow.call("GET", f"/dags/ask/dagRuns/{run_id}/hitlDetails")["hitl_details"]
    assert waiting[0] in question["body"]
    # Airflow 3.3 takes an answer within a scheduler's loop of the question for a lost task; no person is so fast.
    time.sleep(10)
    answer = {"chosen_options": ["Approve"], "params_input": {"only_episodes": waiting[0], "review_note": "looks fine"}}
    airflow.call("PATCH", f"/dags/ask/dagRuns/{run_id}/taskInstances/approve_episodes/-1/hitlDetails", answer)
    wait_for(lambda: airflow.reached("ask", run_id, "approve_episodes", "success"), "the decision")
    decisions = airflow.xcom("ask", run_id, "approve_episodes")
    assert [(d["episode_id"], d["approved"], d["reason"]) for d in decisions] == [
        (waiting[0], True, "looks fine"),
        (waiting[1], False, "looks fine"),
    ]
    registry = open_registry(airflow.settings.registry)
    job_id = load_gate_report(Workspace(airflow.settings.workspace).scene("s1")).job_id
    actions = [event.action for event in registry.approvals.audit(approval_id(job_id, waiting))]
    assert actions == ["requested", "approved"]


def test_failure_reaches_slack(airflow):
    """A permanent error fails the task at its first try, and Slack hears scene, stage, code and message."""
    run_id = airflow.trigger("fail")
    wait_for(lambda: airflow.reached("fail", run_id, "estimate_physics", "failed"), "the failure")
    task = airflow.call("GET", f"/dags/fail/dagRuns/{run_id}/taskInstances/estimate_physics")
    assert task["try_number"] == 1
    wait_for(lambda: told(airflow.slack, "estimate_physics", "kitchen", "workspace.input_missing", "A retry cannot help"), "Slack")


def test_missed_deadline_reaches_slack(airflow):
    """A run that is not done in time is told while it still runs."""
    run_id = airflow.trigger("late")
    wait_for(lambda: told(airflow.slack, "late", run_id, "deadline"), "Slack")


def test_a_night_starts_what_is_due_and_the_next_one_nothing(airflow):
    """The shipped `nightly_scenes`: the due scene gets a run whose id is the night's; done, it is not due again that night."""
    wait_for(lambda: airflow.has("scene_to_dataset"), "DAG scene_to_dataset")
    airflow.call("PATCH", "/dags/scene_to_dataset", {"is_paused": False})
    first = airflow.trigger("nightly_scenes")
    wait_for(lambda: airflow.reached("nightly_scenes", first, "plan_night", "success"), "the plan of the night")
    wait_for(lambda: airflow.runs("scene_to_dataset").values(), "the run of the scene")
    wait_for(lambda: set(airflow.runs("scene_to_dataset").values()) == {"success"}, "the end of the scene's run")
    started = airflow.runs("scene_to_dataset")
    (scene,) = [record for record in open_registry(airflow.settings.registry).scenes.all() if record.source.enabled]
    assert scene.source.scene_id == "tabletop_nightly"
    assert [run_id.endswith("__tabletop_nightly") for run_id in started] == [True]
    wait_for(lambda: set(airflow.runs("nightly_scenes").values()) == {"success"}, "the end of all nights")
    second = airflow.trigger("nightly_scenes")
    wait_for(lambda: airflow.runs("nightly_scenes")[second] == "success", "the second night")
    assert airflow.state("nightly_scenes", second, "start_scene") == "skipped"
    assert airflow.runs("scene_to_dataset") == started
