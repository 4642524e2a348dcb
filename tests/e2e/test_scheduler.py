"""A real Airflow (scheduler, API, DAG processor, triggerer): what a test run in one process cannot show."""

import json
import socket
import time
from datetime import UTC, datetime

import httpx
import pytest

from blueprint_pipeline.delivery.signing import make_signing_key
from blueprint_pipeline.episode.record import STRIPS_FOLDER
from blueprint_pipeline.quality.report import load_gate_report
from blueprint_pipeline.registry.approvals import approval_id
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import DeliverySettings, RegistrySettings, Settings, WorkspaceSettings
from blueprint_pipeline.workspace.storage import Workspace
from operators.embedded import up
from operators.embedded.airflow_home import airflow_environment, process_environment
from operators.embedded.receivers import receive
from plugins.pages.pictures import picture_path
from tests.airflow_home import ROOT
from tests.operators.gate_case import write_gates

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("scheduler"), pytest.mark.timeout(1500)]
PATIENCE_S = 400.0
ANSWER_S = 60.0
"""An answer of Airflow's API server, beside everything else that runs in a test; httpx itself waits 5 s."""
SCENES = """
scenes:
  - {scene_id: kitchen, source: sample, lab: aurora_robotics, priority: 9}
  - {scene_id: office_cancelled, source: sample, lab: aurora_robotics, priority: 8}
  - {scene_id: attic_full_disk, source: sample, lab: aurora_robotics, priority: 7}
  - {scene_id: shop, source: sample, lab: northwind_ai, priority: 6, params: {episodes: 3}}
  - {scene_id: cellar, source: sample, lab: aurora_robotics, params: {episods: 2}}
"""
"""A night of five: one that goes well, one that a person cancels, one without room, and two rows that cannot run."""


class Airflow:
    """Airflow's REST API, as a person's tools use it."""

    def __init__(self, url, settings, slack, pager):
        self.settings, self.slack, self.pager = settings, slack, pager
        self.url, self.token = url, httpx.get(f"{url}/auth/token", timeout=ANSWER_S).json()["access_token"]
        self._client = httpx.Client(base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {self.token}"}, timeout=ANSWER_S)

    def call(self, method, path, body=None):
        answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def trigger(self, dag_id, **conf):
        """Start a run; the DAG may not have been read yet."""
        wait_for(lambda: self.has(dag_id), f"DAG {dag_id}")
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        return self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]

    def cancel(self, dag_id, run_id):
        """Mark a run as failed."""
        self.call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})

    def has(self, dag_id):
        """Whether the DAG has been read."""
        return self._client.get(f"/dags/{dag_id}").status_code == 200

    def runs(self, dag_id):
        """State of every run, by id."""
        return {run["dag_run_id"]: run["state"] for run in self.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]}

    def runs_with(self, scene_id, state):
        """Ids of the runs of a scene that are in this state."""
        return [run_id for run_id, found in self.runs("scene_to_dataset").items() if scene_id in run_id and found == state]

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
    """What the condition gave, once it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(1.0)
    raise AssertionError(f"waited {PATIENCE_S:.0f} s in vain for {what}")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    """Airflow as ``make up`` starts it, with the test's DAGs and a receiver that plays Slack."""
    home = tmp_path_factory.mktemp("airflow")
    settings = Settings(
        workspace=WorkspaceSettings(url=str(home / "workspace"), cache_dir=home / "cache"),
        registry=RegistrySettings(url=f"sqlite:///{home / 'registry.db'}"),
        delivery=DeliverySettings(signing_key=home / "signing.pem"),
    )
    make_signing_key(home / "signing.pem")
    (home / "scenes.yaml").write_text(SCENES)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://localhost:{port}", home / "airflow.log"
    with receive() as slack, receive() as pager:
        connection = {"conn_type": "slackwebhook", "host": f"{slack.url}/services", "password": "T/B/X"}
        environment = {
            **airflow_environment(home, dags=ROOT / "tests" / "e2e" / "dags"),
            **process_environment(settings),
            **up.api_environment(port),
            "AIRFLOW_CONN_SLACK_DEFAULT": json.dumps(connection),
            "AIRFLOW_CONN_ON_CALL_BACKUP": json.dumps({"conn_type": "http", "host": f"{pager.url}/page"}),
        }
        up.migrate(environment)
        process = up.start(environment, log)
        try:
            up.wait_until_healthy(process, url, log, timeout_s=PATIENCE_S)
            yield Airflow(url, settings, slack, pager)
        finally:
            up.stop(process)
    assert up.read_health(url) == {}


def test_a_picture_is_served_where_the_question_points(airflow):
    """Airflow's API server has the plugin's page."""
    name = "0123456789abcdef.jpg"
    Workspace(airflow.settings.workspace).scene("s1").write_bytes(f"{STRIPS_FOLDER}/{name}", b"jpeg")
    address = f"{airflow.url}{picture_path('s1', name)}"
    shown = httpx.get(address, headers={"Authorization": f"Bearer {airflow.token}"}, timeout=ANSWER_S)
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, b"jpeg", "image/jpeg")


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
    assert "There is no picture: [workspace.file_missing]" in question["body"]
    # Airflow 3.3 takes an answer within a scheduler's loop of the question for a lost task; no person is so fast.
    time.sleep(10)
    answer = {"chosen_options": ["Approve"], "params_input": {"only_episodes": [waiting[0]], "review_note": "looks fine"}}
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
    wait_for(lambda: told(airflow.slack, "estimate_physics", "kitchen", "workspace.input_missing", "No retry will help"), "Slack")


def test_missed_deadline_reaches_slack(airflow):
    """A run that is not done in time is told while it still runs."""
    run_id = airflow.trigger("late")
    airflow.call("PATCH", "/dags/watch_runs", {"is_paused": False})
    wait_for(lambda: told(airflow.slack, "late", run_id, "Deadline"), "Slack")


def test_a_task_can_be_cleared_while_a_deadline_stands(airflow):
    """Through the API, as the UI does it: 200 instead of Airflow's own 500; it fails again, which is another alert.

    Once the run has ended: Airflow loses a clear that meets the scheduler's own last look at a run whose task has just failed.
    """
    run_id = airflow.trigger("fail")
    wait_for(lambda: airflow.runs("fail")[run_id] == "failed", "the failure")
    told_before = len(airflow.slack.messages)
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["estimate_physics"], "only_failed": True, "reset_dag_runs": True}
    airflow.call("POST", "/dags/fail/clearTaskInstances", body)
    wait_for(
        lambda: airflow.call("GET", f"/dags/fail/dagRuns/{run_id}/taskInstances/estimate_physics")["try_number"] == 2, "the second try"
    )
    wait_for(lambda: len(airflow.slack.messages) > told_before, "the second alert")


def test_a_night_of_five_scenes(airflow):
    """A cancelled run, a full disk, two bad rows, a missing pool and a Slack that hangs: what on-call sees, as it arrived.

    Each scene ends as it should, nothing stays claimed, and every alert reaches the second channel while Slack hangs.
    """
    wait_for(lambda: airflow.has("scene_to_dataset") and airflow.has("watch_runs"), "the DAGs")
    airflow.call("DELETE", "/pools/render")
    for dag_id in ("scene_to_dataset", "watch_runs"):
        airflow.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    judge = airflow.slack.judge
    airflow.slack.judge = lambda headers, raw: (time.sleep(30), judge(headers, raw))[1]
    airflow.trigger("nightly_scenes")
    (cancelled,) = wait_for(lambda: airflow.runs_with("office_cancelled", "running"), "the run to cancel")
    wait_for(lambda: airflow.state("scene_to_dataset", cancelled, "draw") == "running", "its task")
    airflow.cancel("scene_to_dataset", cancelled)

    registry = open_registry(airflow.settings.registry)
    wait_for(
        lambda: len(registry.runs.since(datetime(2026, 1, 1, tzinfo=UTC))) >= 3 and not registry.runs.running(), "the end of the night"
    )
    ended = {run.scene_id: (run.status, run.code) for run in registry.runs.since(datetime(2026, 1, 1, tzinfo=UTC))}
    assert ended["kitchen"][0] == "succeeded"
    assert ended["office_cancelled"][0] == "cancelled"
    assert airflow.runs("scene_to_dataset")[cancelled] == "failed"
    assert ended["attic_full_disk"] == ("failed", "workspace.disk_full")
    assert set(ended) == {"kitchen", "office_cancelled", "attic_full_disk"}
    wait_for(lambda: registry.scenes.claims() == [], "scenes that are free")
    assert airflow.call("GET", "/pools/render")["slots"] == 1
    for words in (
        ("check_rows failed", "scenes.invalid_config"),
        ("office_cancelled: the run was cancelled",),
        ("attic_full_disk", "workspace.disk_full"),
    ):
        wait_for(lambda words=words: told(airflow.pager, *words), f"the page with {words}")
    airflow.slack.judge = judge
    seen = [message.body["message_id"] for message in airflow.pager.messages]
    assert len(seen) == len(set(seen)), seen


def test_the_next_night_starts_nothing_that_is_done(airflow):
    """What is done is not due again; what failed is due after a pause."""
    before = airflow.runs("scene_to_dataset")
    second = airflow.trigger("nightly_scenes")
    wait_for(lambda: airflow.runs("nightly_scenes")[second] in {"success", "failed"}, "the second night")
    assert airflow.state("nightly_scenes", second, "start_scene") == "skipped"
    assert set(airflow.runs("scene_to_dataset")) == set(before)
