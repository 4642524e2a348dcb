"""Lose a region on purpose: what ``bpp drill region-loss --first KUBECONFIG --second KUBECONFIG …`` starts.

One pod simulates a batch of eight shards on the first cluster. In the middle of it the way to that cluster's API is cut and
the pod is killed, without a word to Airflow. The job has to end on the second cluster, and what was finished must not be
done again. The drill prints what happened as JSON, and ends with 1 if a promise was broken.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from blueprint_pipeline.compute.record import JobRecord
from blueprint_pipeline.log import configure_logging
from blueprint_pipeline.settings import Settings, environment_of_child, load_settings
from blueprint_pipeline.stage.flow import stages_of
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace
from operators.embedded.airflow_home import ROOT, airflow_environment, process_environment
from operators.embedded.severable_proxy import SeverableProxy, server_of, write_proxied_kubeconfig
from operators.scene_params import sample_source

DRILL_FILE = ROOT / "operators" / "embedded" / "drills" / "region_loss.py"
NAMES = ("first", "second")
NOT_PROVEN = (
    "Both clusters were reached by kubeconfigs. A cluster that compute.yaml reaches as `gke:`, by Google's own services, was not lost "
    "here: block its API with a firewall rule while a batch runs."
)
"""What the drill's outcome says nothing of."""
SHARDS = 8
"""Of the one batch that the pod takes."""


@dataclass(frozen=True)
class Outcome:
    """What the drill saw."""

    state: str
    """Of the DAG run."""
    tries: int
    """Of the task."""
    shards_before: int
    """Committed when the region was lost."""
    episodes_before: int
    """Published when the region was lost."""
    episodes: int
    """Planned."""
    published: int
    """At the end."""
    done_again: int
    """Episodes that were published before the loss and written again after it; 0: no more than those in flight was started again."""
    pods: int
    """That worked at the job: one on each cluster."""
    lost_to_end_s: float

    @property
    def is_kept(self) -> bool:
        """Whether every promise was kept."""
        whole = self.state == "success" and self.published == self.episodes and 0 < self.shards_before < SHARDS
        return whole and self.done_again == 0 and self.pods == len(NAMES)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drill", choices=["region-loss"])
    parser.add_argument("--first", type=Path, required=True, help="kubeconfig of the region that is lost")
    parser.add_argument("--second", type=Path, required=True, help="kubeconfig of the region that takes over")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--templates", type=Path, help="folder of pod templates; the setting's if not given")
    parser.add_argument("--machine", default="gce_e2_standard_8_spot", help="price profile of the nodes")
    parser.add_argument("--scene-id", default="drill")
    parser.add_argument("--source", help="folder of a scene; the sample if not given")
    parser.add_argument("--episodes-per-shard", type=int, default=2)
    parser.add_argument("--lose-after", type=int, default=3, help="shards that are committed when the region is lost")
    parser.add_argument("--unreachable-s", type=float, default=60.0, help="silence of the API after which a job moves")
    parser.add_argument("--report", type=Path, help="file for the outcome, as JSON, beside standard output")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the drill; 0 where every promise was kept."""
    chosen, settings = parse_arguments(arguments), load_settings()
    configure_logging(settings.log)
    scene = prepare_scene(chosen, settings)
    with tempfile.TemporaryDirectory(prefix="blueprint-pipeline-drill-") as folder, SeverableProxy(*server_of(chosen.first)) as way:
        outcome = run(chosen, settings, scene, Path(folder), way)
    report = json.dumps({**asdict(outcome), "promises_kept": outcome.is_kept, "not_proven": NOT_PROVEN}, indent=1) + "\n"
    sys.stdout.write(report)
    if chosen.report:
        chosen.report.write_text(report)
    return 0 if outcome.is_kept else 1


def prepare_scene(chosen: argparse.Namespace, settings: Settings) -> SceneFolder:
    """Bring the scene to its plan, here and with the stages themselves."""
    for row in stages_of("scene"):
        source = {"source": chosen.source or sample_source()} if "source" in row.params else {}
        run_stage(row.name, {"scene_id": chosen.scene_id, **source}, settings)
    episodes = {"episodes": SHARDS * chosen.episodes_per_shard, "shard_size": chosen.episodes_per_shard}
    run_stage("plan_tasks", {"scene_id": chosen.scene_id, **episodes}, settings)
    return Workspace(settings.workspace).scene(chosen.scene_id)


def run(chosen: argparse.Namespace, settings: Settings, scene: SceneFolder, folder: Path, way: SeverableProxy) -> Outcome:
    """Run the DAG, lose the region in the middle, and look at what came out."""
    conf, events, log = folder / "conf.json", folder / "events.jsonl", folder / "airflow.log"
    conf.write_text(json.dumps({"scene_id": chosen.scene_id}))
    environment = {
        **airflow_environment(folder / "airflow", dags=DRILL_FILE.parent),
        **process_environment(settings),
        **compute_environment(chosen, settings, folder, way),
    }
    command = [sys.executable, "-m", "operators.embedded.demo_run", str(conf), str(events), str(DRILL_FILE)]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, env=environment_of_child(environment), stdout=stream, stderr=subprocess.STDOUT)
        while process.poll() is None and len(commits(scene)) < chosen.lose_after:
            time.sleep(0.2)
        lost_at, before, shards = time.monotonic(), published(scene), len(commits(scene))
        way.cut()
        kill_pods(chosen)
        process.wait()
    told = [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
    if process.returncode != 0:
        sys.stderr.write(log.read_text()[-4000:])
    return judge(scene, told, before=before, shards=shards, lasted_s=time.monotonic() - lost_at)


def judge(scene: SceneFolder, told: list[dict[str, Any]], *, before: dict[str, float], shards: int, lasted_s: float) -> Outcome:
    """Compare what was there at the loss with what is there at the end."""
    after = published(scene)
    plan: Any = scene.read_json("geniesim/plan.json")
    records = [JobRecord.model_validate_json(scene.read_bytes(name)) for name in scene.files_under("jobs/*.json")]
    return Outcome(
        state=next((str(event["state"]) for event in told if event["kind"] == "run"), "ended without a message"),
        tries=max((int(event.get("try_number", 0)) for event in told if event["kind"] == "task"), default=0),
        shards_before=shards,
        episodes_before=len(before),
        episodes=len(plan["episodes"]),
        published=len(after),
        done_again=sum(after.get(name) != stamp for name, stamp in before.items()),
        pods=len({record.pod_uid for record in records}),
        lost_to_end_s=round(lasted_s, 1),
    )


def commits(scene: SceneFolder) -> list[str]:
    """Committed shards."""
    return scene.files_under("commits/simulate_shard.*.json")


def published(scene: SceneFolder) -> dict[str, float]:
    """Episodes that are whole, each with the time at which it was written."""
    names = [name for name in scene.files_under("geniesim/recordings") if name.endswith("/episode.json")]
    return {name: float((scene.root / name).stat().st_mtime) for name in names}


def kill_pods(chosen: argparse.Namespace) -> None:
    """End the job's pods of the first region at once, behind Airflow's back: its machines are gone too."""
    from kubernetes import client, config

    core = client.CoreV1Api(config.new_client_from_config(str(chosen.first)))
    for pod in core.list_namespaced_pod(chosen.namespace, label_selector="blueprint-pipeline-stage=simulate_shard").items:
        core.delete_namespaced_pod(pod.metadata.name, chosen.namespace, grace_period_seconds=0)


def compute_environment(chosen: argparse.Namespace, settings: Settings, folder: Path, way: SeverableProxy) -> dict[str, str]:
    """Two clusters, the first through the way that will be cut."""
    kubeconfigs = {
        "first": write_proxied_kubeconfig(chosen.first, folder / "first.kubeconfig", way.port),
        "second": chosen.second.absolute(),
    }
    clusters = [
        {"name": name, "region": name, "connection": f"drill_{name}", "namespace": chosen.namespace, "machines": {"drill": chosen.machine}}
        for name in NAMES
    ]
    document = {
        "schema_version": "1.0",
        "shards_per_job": SHARDS,
        "profiles": {"drill": {"template": "cpu.yaml", "timeout_s": 3600}},
        "stages": {"simulate_shard": "drill"},
        "clusters": clusters,
        "failover": {"unreachable_s": chosen.unreachable_s, "poll_s": 2.0},
    }
    path = folder / "compute.yaml"
    path.write_text(yaml.safe_dump(document))
    connections = {
        f"AIRFLOW_CONN_DRILL_{name.upper()}": json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(kubeconfig)}})
        for name, kubeconfig in kubeconfigs.items()
    }
    return {
        **connections,
        "BPP__COMPUTE__KIND": "kubernetes",
        "BPP__COMPUTE__CONFIG": str(path),
        "BPP__COMPUTE__POD_TEMPLATES": str((chosen.templates or settings.compute.pod_templates).absolute()),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
