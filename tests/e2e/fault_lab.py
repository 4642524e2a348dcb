"""A real Airflow, in parts that can be killed, over a real control plane behind a proxy that can fail: where faults are tried."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx

from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.compute.local import LocalCompute
from blueprint_pipeline.compute.profiles import Profile
from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings
from blueprint_pipeline.stage.flow import stages_of
from blueprint_pipeline.workspace.storage import Workspace
from operators.embedded import up
from operators.embedded.airflow_home import airflow_environment, process_environment
from operators.scene_params import sample_source
from tests.api_proxy import ApiProxy
from tests.kube import NAMESPACE, ROOT, TOY, KubeCluster, clean_environment, environment_of, write_compute, write_templates

PARTS = ("api-server", "dag-processor", "scheduler", "triggerer")
SCENE = "tabletop"
QUICK = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "25",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
}
"""Airflow finds out about its own dead parts sooner than by default."""
FAILOVER = {"unschedulable_s": 8, "unreachable_s": 20, "breaker_s": 5, "poll_s": 1, "gone_s": 4, "quiet_s": 8}


class FaultLab:
    """Everything that a fault can hit, and what is looked at afterwards."""

    def __init__(self, folder, database_url):
        self.folder = folder
        self.settings = Settings(
            workspace=WorkspaceSettings(url=str(folder / "state" / "workspace"), cache_dir=folder / "state" / "cache"),
            registry=RegistrySettings(url=database_url),
        )
        (folder / "state").mkdir()
        options = ("--nodes", "2", "--gpus-per-node", "1", "--node-grace", "8", "--eviction-seconds", "4")
        self.cluster = KubeCluster(folder, program=(str(TOY),), options=options)
        self.scene = Workspace(self.settings.workspace).scene(SCENE)
        self.parts = {}

    def start(self):
        self.cluster.start()
        self.proxy = ApiProxy(self.cluster.kubeconfig, self.folder)
        self.templates = write_templates(self.folder / "templates", self.settings)
        self.configure()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        home = self.folder / "airflow"
        home.mkdir()
        self.environment = {
            **clean_environment(),
            **airflow_environment(home, dags=ROOT / "tests" / "e2e" / "fault_dags"),
            **process_environment(self.settings),
            **environment_of(self.settings, self.folder / "compute.yaml", self.templates, [self.cluster]),
            **self.cluster.connection(self.proxy.kubeconfig),
            **up.api_environment(port),
            **QUICK,
        }
        up.migrate(self.environment)
        for part in PARTS:
            self.start_part(part)
        self.url = f"http://localhost:{port}"
        self._client = wait_for(self._log_in, "Airflow's API", 180)
        return self

    def stop(self):
        for part in list(self.parts):
            self.kill_part(part)
        self.cluster.stop()

    def configure(self, **resources):
        """Write the file of profiles; ``gpus=1`` asks for one."""
        profiles = {"cpu": {"template": "cpu.yaml", "timeout_s": 600, "resources": resources}}
        stages = dict.fromkeys(("simulate_shard", "toy_shard"), "cpu")
        write_compute(self.folder / "compute.yaml", [self.cluster], profiles=profiles, stages=stages, failover=FAILOVER)

    def prepare(self, episodes, shard_size):
        """Bring the scene to its plan."""
        fields = {"ingest_scene": {"source": sample_source()}, "plan_tasks": {"episodes": episodes, "shard_size": shard_size}}
        profile = Profile(environment=process_environment(self.settings))
        for stage in (*(row.name for row in stages_of("scene")), "plan_tasks"):
            request = {"scene_id": SCENE, **fields.get(stage, {})}
            LocalCompute().run(JobSpec(stage=stage, requests=(request,), run_id="prepare", profile=profile), lambda _: None)

    def start_part(self, part):
        with (self.folder / f"{part}.log").open("a") as log:
            self.parts[part] = subprocess.Popen(
                [sys.executable, "-m", "airflow", part], env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def kill_part(self, part):
        """SIGKILL, with all its children: as a machine that goes."""
        process = self.parts.pop(part)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def call(self, method, path, body=None):
        answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def trigger(self, dag_id="faulty"):
        wait_for(lambda: self._client.get(f"/dags/{dag_id}").status_code == 200, f"DAG {dag_id}", 120)
        return self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]

    def run_state(self, run_id, dag_id="faulty"):
        return self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]

    def tries(self, run_id, dag_id="faulty", task_id="simulate_shard"):
        return self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")["try_number"]

    def published(self):
        """Whole episodes, each with when it was written."""
        names = [name for name in self.scene.files_under("geniesim/recordings") if name.endswith("/episode.json")]
        return {name: (self.scene.root / name).stat().st_mtime_ns for name in names}

    def digests(self):
        """sha256 of every recorded file."""
        names = self.scene.files_under("geniesim/recordings")
        return {name: hashlib.sha256(self.scene.read_bytes(name)).hexdigest() for name in names}

    def commits(self):
        return self.scene.files_under("commits/simulate_shard.*.json")

    def reset(self):
        """Take away what the last run made."""
        for name in ("geniesim/recordings", "geniesim/usage", "commits/simulate_shard.*.json", "jobs"):
            self.scene.remove(name)
        shutil.rmtree(self.folder / "state" / "workspace" / "scenes" / SCENE / ".staging", ignore_errors=True)

    def job_pod(self):
        """The living pod of the job, if there is one."""
        pods = [pod for pod in self.cluster.pods() if (pod.metadata.labels or {}).get("blueprint-pipeline-stage")]
        return pods[0] if pods else None

    def _log_in(self):
        try:
            token = httpx.get(f"{self.url}/auth/token", timeout=10).json()["access_token"]
        except (httpx.HTTPError, KeyError, ValueError):
            return None
        return httpx.Client(base_url=f"{self.url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=60)


class Watcher(threading.Thread):
    """Sees, from the real API server and the disk, whether ever two pods of one job lived, and whether an episode was written twice."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self._lab, self._ended = lab, threading.Event()
        self.most_at_once, self.uids, self.written = 0, set(), {}
        self.start()

    def run(self):
        core = self._lab.cluster.core
        while not self._ended.wait(0.25):
            living = {}
            for pod in core.list_namespaced_pod(NAMESPACE, label_selector="blueprint-pipeline-key").items:
                self.uids.add(pod.metadata.uid)
                if pod.status.phase in {"Pending", "Running"}:
                    key = pod.metadata.annotations["blueprint-pipeline-key"]
                    living[key] = living.get(key, 0) + 1
            self.most_at_once = max([self.most_at_once, *living.values()])
            for name, stamp in self._lab.published().items():
                self.written.setdefault(name, set()).add(stamp)

    def end(self):
        self._ended.set()
        self.join()
        return self

    @property
    def repeated(self):
        """Episodes that were written more than once."""
        return sum(len(stamps) > 1 for stamps in self.written.values())


def wait_for(condition, what, patience_s):
    """What the condition gave, once it is true."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"waited {patience_s:.0f} s in vain for {what}")
