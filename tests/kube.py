"""Real Kubernetes control planes for tests, and the configuration under which jobs run on them as pods of this checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.shipping.conftest import ROOT, find_testcluster

IMAGE = "blueprint-pipeline/job@sha256:" + "5a" * 32
NAMESPACE = "default"
TOY = ROOT / "tests" / "operators" / "toy_pipeline.py"


def copy_code(folder):
    """The package as it is now: all pods of a test run one version, as of one image, though somebody may be editing."""
    code = folder / "code"
    if not code.exists():
        shutil.copytree(ROOT / "include", code, ignore=shutil.ignore_patterns("__pycache__"))
    return code


class KubeCluster:
    """One control plane with its nodes: a region."""

    def __init__(self, folder, name="alpha", program=("-m", "blueprint_pipeline"), options=("--nodes", "1")):
        self.name, self.folder = name, Path(folder) / name
        self._tool = [sys.executable, str(find_testcluster())]
        images = Path(folder) / f"{name}.images.json"
        environment = {"PYTHONPATH": str(copy_code(Path(folder))), "OMP_NUM_THREADS": "1"}
        entry = {"entrypoint": [sys.executable, *program], "env": environment, "workingDir": "/tmp"}
        images.write_text(json.dumps({"*": entry}))
        self._options = [*options, "--images", str(images)]

    def start(self):
        done = subprocess.run([*self._tool, "start", self.folder, *self._options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return self

    def stop(self):
        subprocess.run([*self._tool, "stop", self.folder], check=False, capture_output=True)

    def tell(self, command, *words):
        """Give a command, e.g. ``preempt POD`` or ``node-kill NODE``."""
        subprocess.run([*self._tool, command, self.folder, *words], check=True, capture_output=True, text=True)

    @property
    def kubeconfig(self):
        return self.folder / "kubeconfig"

    @property
    def core(self):
        from kubernetes import client, config

        return client.CoreV1Api(config.new_client_from_config(str(self.kubeconfig)))

    def pods(self):
        return self.core.list_namespaced_pod(NAMESPACE).items

    def connection(self, kubeconfig=None):
        """The Airflow connection, as an environment variable."""
        extra = {"kube_config_path": str(kubeconfig or self.kubeconfig), "namespace": NAMESPACE}
        return {f"AIRFLOW_CONN_KUBE_{self.name.upper()}": json.dumps({"conn_type": "kubernetes", "extra": extra})}

    def entry(self):
        """Its row in the list of clusters."""
        machines = dict.fromkeys(("cpu", "gpu"), "gce_e2_standard_8")
        return {"name": self.name, "region": self.name, "connection": f"kube_{self.name}", "namespace": NAMESPACE, "machines": machines}


def write_templates(folder, settings, variables=()):
    """Pod templates as the chart makes them, for pods that share this machine's disk."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "BPP__WORKSPACE__URL": settings.workspace.url,
        "BPP__WORKSPACE__CACHE_DIR": str(settings.workspace.cache_dir),
        "BPP__REGISTRY__URL": settings.registry.url,
        "BPP__REGISTRY__LEASE_S": "15",
        "BPP__COMPUTE__WORKERS": "1",
        **dict(variables),
    }
    shared = {
        Path(settings.workspace.url).parent,
        *([Path(settings.registry.url[10:]).parent] if settings.registry.url[:6] == "sqlite" else []),
    }
    container = {
        "name": "base",
        "env": [{"name": name, "value": value} for name, value in values.items()],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "volumeMounts": [{"name": f"shared-{index}", "mountPath": str(path)} for index, path in enumerate(sorted(shared))],
    }
    volumes = [{"name": f"shared-{index}", "hostPath": {"path": str(path)}} for index, path in enumerate(sorted(shared))]
    pod = {"metadata": {"labels": {"app": "blueprint-pipeline"}}, "spec": {"containers": [container], "volumes": volumes}}
    (folder / "cpu.yaml").write_text(yaml.safe_dump(pod))
    (folder / "images.yaml").write_text(yaml.safe_dump({"stable": IMAGE, "canary_weight_percent": 0}))
    return folder


def write_compute(path, clusters, **changes):
    """The file of profiles and clusters, quick about everything."""
    document = {
        "schema_version": "1.0",
        "shards_per_job": 2,
        "profiles": {"cpu": {"template": "cpu.yaml", "timeout_s": 600}, "gpu": {"template": "cpu.yaml", "resources": {"gpus": 1}}},
        "stages": {},
        "clusters": [cluster.entry() for cluster in clusters],
        "failover": {
            "unschedulable_s": 6,
            "unreachable_s": 8,
            "breaker_s": 20,
            "poll_s": 0.5,
            "gone_s": 40,
            "quiet_s": 0,
            "pull_s": 0,
            "room_poll_s": 1,
        },
        **changes,
    }
    path.write_text(yaml.safe_dump(document))
    return path


def environment_of(settings, config, templates, clusters):
    """Variables of Airflow's processes: settings, and a connection a cluster."""
    found = {
        "BPP__WORKSPACE__URL": settings.workspace.url,
        "BPP__WORKSPACE__CACHE_DIR": str(settings.workspace.cache_dir),
        "BPP__REGISTRY__URL": settings.registry.url,
        "BPP__COMPUTE__KIND": "kubernetes",
        "BPP__COMPUTE__CONFIG": str(config),
        "BPP__COMPUTE__POD_TEMPLATES": str(templates),
    }
    for cluster in clusters:
        found.update(cluster.connection())
    return found


def clean_environment():
    """This process's environment without what its test added."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BPP__", "AIRFLOW_CONN_KUBE"))}
