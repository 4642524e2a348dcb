"""The real DAG with its heavy stages as pods of a real control plane: delivered like at home, nothing left on the cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from blueprint_pipeline.compute.record import JobRecord
from blueprint_pipeline.cost.job_usage import JobUsage
from blueprint_pipeline.delivery.signing import make_signing_key
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.settings import DatasetSettings, DeliverySettings, RegistrySettings, Settings, WorkspaceSettings
from blueprint_pipeline.workspace.commits import load_commits
from blueprint_pipeline.workspace.storage import Workspace
from operators.demo import LAB, connections
from operators.embedded.airflow_home import airflow_environment, process_environment
from operators.embedded.demo_connections import lab_secret
from operators.embedded.receivers import receive
from tests.kube import ROOT, KubeCluster, clean_environment, environment_of, write_compute, write_templates

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.xdist_group("kubernetes")]

SCENE = "tabletop_scanned"
CONF = {"scene_id": SCENE, "episodes": 4, "shard_size": 1, "seed": 0, "lab": LAB, "approval_window_s": 1}


@pytest.fixture(scope="module")
def ended(tmp_path_factory, database_url):
    """One run of the DAG with pods: settings, cluster, events."""
    folder = tmp_path_factory.mktemp("pods")
    settings = Settings(
        workspace=WorkspaceSettings(url=str(folder / "state" / "workspace"), cache_dir=folder / "state" / "cache"),
        registry=RegistrySettings(url=database_url, lease_s=30),
        delivery=DeliverySettings(signing_key=folder / "keys" / "signing.pem"),
        dataset=DatasetSettings(certify_python=ROOT / ".venv-certify" / "bin" / "python"),
    )
    make_signing_key(settings.delivery.signing_key)
    (folder / "state").mkdir()
    cluster = KubeCluster(folder)
    try:
        cluster.start()
        config = write_compute(folder / "compute.yaml", [cluster], stages={"simulate_shard": "cpu", "render_shard": "cpu"})
        templates = write_templates(folder / "templates", settings)
        pods = environment_of(settings, config, templates, [cluster])
        yield settings, cluster, run_dag_process(folder, settings, pods)
    finally:
        cluster.stop()


def run_dag_process(folder: Path, settings: Settings, pods: dict[str, str]) -> list[dict[str, object]]:
    """Run the DAG to its end in a process of its own; its events."""
    home, secret = folder / "airflow", lab_secret(folder / "airflow")
    conf, events = folder / "conf.json", folder / "events.jsonl"
    conf.write_text(json.dumps(CONF))
    with receive() as slack, receive(secret) as lab:
        environment = {
            **clean_environment(),
            **airflow_environment(home),
            **process_environment(settings),
            **connections({"slack": slack, "lab": lab}, LAB, secret),
            **pods,
        }
        log = folder / "airflow.log"
        command = [sys.executable, "-m", "operators.embedded.demo_run", str(conf), str(events)]
        with log.open("w") as stream:
            done = subprocess.run(command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT, check=False)
    told = [json.loads(line) for line in events.read_text().splitlines()]
    wrong = [event for event in told if event.get("state") == "failed"]
    assert done.returncode == 0, f"{wrong}\n{log.read_text()[-3000:]}"
    return told


def load_records(settings) -> list[JobRecord]:
    """The records of all jobs."""
    scene = Workspace(settings.workspace).scene(SCENE)
    return [JobRecord.model_validate_json(scene.read_bytes(name)) for name in scene.files_under("jobs/*.json")]


def test_batches_of_shards_ran_as_pods_and_are_gone(ended):
    """Four shards, two a pod: two pods of each heavy stage, each with its record; the cluster is empty again.

    The lab buys failures, so a shard is drawn for both selections.
    """
    settings, cluster, _ = ended
    records = load_records(settings)
    assert sorted(record.stage for record in records) == ["render_shard"] * 2 + ["simulate_shard"] * 2
    assert {(record.outcome, record.node) for record in records} == {("done", "node-0")}
    assert {(record.stage, len(record.units)) for record in records} == {("simulate_shard", 2), ("render_shard", 4)}
    assert len({record.pod_uid for record in records}) == 4
    assert cluster.pods() == []


def test_every_shard_was_committed_once_by_its_pod(ended):
    """What the pods committed is what the scene has and what the registry counts."""
    settings, _, _ = ended
    scene = Workspace(settings.workspace).scene(SCENE)
    made = [unit.commit_key for record in load_records(settings) for unit in record.units]
    commits = [commit for commit in load_commits(scene) if commit.stage in {"simulate_shard", "render_shard"}]
    assert sorted(made) == sorted(commit.key for commit in commits)
    assert len(commits) == 4 + 2 * 4
    assert all(commit.image_digest for commit in commits)
    registered = {commit.key for commit in open_registry(settings.registry).commits.of_scene(SCENE)}
    assert set(made) <= registered


def test_every_second_of_the_pods_is_booked_once(ended):
    """The commits' seconds and what the pods held beside add up to what the nodes say; node and job agree."""
    settings, _, _ = ended
    scene = Workspace(settings.workspace).scene(SCENE)
    usages = [JobUsage.model_validate_json(scene.read_bytes(name)) for name in scene.files_under("jobs/usage")]
    assert len(usages) == 4
    assert {usage.mismatch for usage in usages} == {()}
    entries = [e for e in open_registry(settings.registry).ledger.entries(scene_id=SCENE) if e.stage in {"simulate_shard", "render_shard"}]
    vcpu_s = sum(entry.quantity for entry in entries if entry.item in {"vcpu", "pod.vcpu"}) / 8 * 3600
    assert vcpu_s == pytest.approx(sum(usage.pod_s for usage in usages), abs=0.1)


def test_the_bundle_is_delivered_and_verifies(ended):
    """The dataset is the same product, wherever its shards were made."""
    settings, _, _ = ended
    bundle = Workspace(settings.workspace).scene(SCENE).local(f"deliveries/{LAB}/bundle")
    keys = settings.delivery.signing_key.parent
    public = next(path for path in keys.iterdir() if path.name != "signing.pem")
    command = [sys.executable, "-m", "blueprint_pipeline", "verify", str(bundle), "--key", str(public)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
