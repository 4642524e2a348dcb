"""Twenty random faults, one run each, as a table: ``python -m tests.e2e.faults [--seed N] [--only 3,7]``.

Every run simulates two shards of two episodes in one pod. The fault comes at a random moment of the run. Right is: the run
succeeds, every episode is there with the same bytes as in a run left alone, none was written twice, and the API server
never had two living pods of the job.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import airflow_home  # noqa: F401 -- points Airflow at a home of this process before the lab imports it
from tests.e2e.fault_lab import FaultLab, Watcher, wait_for
from tests.kube import IMAGE, NAMESPACE
from tests.postgres import running_postgres

EPISODES, SHARD_SIZE = 4, 2
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Fault:
    """What is done to the running job, and how the lab is corrected afterwards."""

    name: str
    strike: Callable[[FaultLab, random.Random], None]
    correct: Callable[[FaultLab], None] = lambda _: None
    before_start: bool = False
    """Strikes before the run is triggered."""


def pod_name(lab):
    return wait_for(lab.job_pod, "the pod", 90).metadata.name


def node_of(lab):
    return wait_for(lambda: (pod := lab.job_pod()) and pod.spec.node_name, "a node", 90)


def kill_pod(lab, _):
    lab.cluster.core.delete_namespaced_pod(pod_name(lab), NAMESPACE, grace_period_seconds=0)


def evict_pod(lab, _):
    lab.cluster.core.delete_namespaced_pod(pod_name(lab), NAMESPACE)


def preempt(lab, _):
    lab.cluster.tell("preempt", pod_name(lab))


def kill_node(lab, _):
    lab.cluster.tell("node-kill", node_of(lab))


def delete_node(lab, _):
    lab.cluster.tell("node-kill", node_of(lab), "--delete")


def part_node(lab, _):
    lab.cluster.tell("node-pause", node_of(lab))


def freeze_node(lab, _):
    lab.cluster.tell("node-pause", node_of(lab), "--containers")


def mend_nodes(lab):
    """Bring back what ended, wake what sleeps."""
    import subprocess

    for node in ("node-0", "node-1"):
        for command in ("node-resume", "node-start"):
            try:
                lab.cluster.tell(command, node)
            except subprocess.CalledProcessError:
                continue
    ready = {node.metadata.name for node in lab.cluster.core.list_node().items if not node.spec.unschedulable}
    assert ready == {"node-0", "node-1"}, ready


def answer_with(status):
    def strike(lab, chance):
        lab.proxy.fail_next(chance.randint(3, 8), status)

    return strike


def cut_logs(lab, chance):
    lab.proxy.cut_logs(chance.randint(2, 4))


def fall_silent(lab, chance):
    lab.proxy.fall_silent(chance.uniform(4, 8))


def exchange_token(lab, chance):
    """The old token is refused at once; the connection has the new one some seconds later."""
    lab.proxy.exchange_token(f"token-{chance.random()}", tell=False)
    time.sleep(chance.uniform(1, 4))
    lab.proxy.write_kubeconfig()


def restart(*parts):
    def strike(lab, chance):
        for part in parts:
            lab.kill_part(part)
        time.sleep(chance.uniform(0, 3))
        for part in parts:
            lab.start_part(part)

    return strike


def both(one, two):
    def strike(lab, chance):
        one(lab, chance)
        two(lab, chance)

    return strike


def break_image(lab, _):
    """The release names an image that is missing, and is corrected once the pod was seen to fail."""
    images = lab.templates / "images.yaml"
    images.write_text(f"stable: {IMAGE.partition('@')[0]}:missing\n")


def mend_image_when_seen(lab):
    wait_for(lambda: any("missing" in (pod.spec.containers[0].image or "") for pod in lab.cluster.pods()), "the broken pod", 120)
    (lab.templates / "images.yaml").write_text(f"stable: {IMAGE}\n")


def occupy_gpus(lab, _):
    """Every GPU is taken; the job asks for one."""
    lab.configure(gpus=1)
    for number in range(2):
        container = {"name": "hold", "image": "any", "command": ["/bin/sleep", "600"], "resources": {"limits": {"nvidia.com/gpu": "1"}}}
        pod = {"metadata": {"name": f"hold-{number}"}, "spec": {"containers": [container], "restartPolicy": "Never"}}
        lab.cluster.core.create_namespaced_pod(NAMESPACE, pod)
    wait_for(lambda: all(pod.spec.node_name for pod in lab.cluster.pods()), "the GPUs to be taken", 60)


def free_gpus_when_seen(lab):
    wait_for(lambda: lab.job_pod() is not None, "the pod that waits", 120)
    wait_for(lambda: lab.job_pod() is None, "the job to give up for now", 120)
    for number in range(2):
        lab.cluster.core.delete_namespaced_pod(f"hold-{number}", NAMESPACE, grace_period_seconds=0)


FAULTS = (
    Fault("pod killed without grace", kill_pod),
    Fault("pod evicted (SIGTERM, 15 s)", evict_pod),
    Fault("Spot preemption of the node", preempt, mend_nodes),
    Fault("node dies, its object stays", kill_node, mend_nodes),
    Fault("node dies and is deleted", delete_node, mend_nodes),
    Fault("node cut off, containers go on", part_node, mend_nodes),
    Fault("node freezes", freeze_node, mend_nodes),
    Fault("API answers 429", answer_with(429)),
    Fault("API answers 500", answer_with(500)),
    Fault("API answers 410", answer_with(410)),
    Fault("API drops all connections for seconds", fall_silent),
    Fault("log stream cut", cut_logs),
    Fault("token expires", exchange_token),
    Fault("scheduler and its workers killed", restart("scheduler")),
    Fault("triggerer killed", restart("triggerer")),
    Fault("scheduler and triggerer killed", restart("scheduler", "triggerer")),
    Fault("image cannot be pulled", break_image, before_start=True),
    Fault("not enough GPUs", occupy_gpus, before_start=True),
    Fault("triggerer killed while the pod is killed", both(kill_pod, restart("triggerer"))),
    Fault("scheduler killed while the node is preempted", both(preempt, restart("scheduler")), mend_nodes),
)
WHILE_RUNNING = {"image cannot be pulled": mend_image_when_seen, "not enough GPUs": free_gpus_when_seen}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    number: int
    fault: str
    moment: str
    state: str
    tries: int
    pods: int
    most_at_once: int
    missing: int
    different: int
    repeated: int
    seconds: float

    @property
    def is_right(self):
        return self.state == "success" and self.most_at_once <= 1 and not (self.missing or self.different or self.repeated)


def left_alone(lab):
    """Digests of every recorded file of a run without a fault."""
    run_id = lab.trigger()
    wait_for(lambda: lab.run_state(run_id) in {"success", "failed"}, "the calm run", PATIENCE_S)
    assert lab.run_state(run_id) == "success"
    return lab.digests()


def suffer(lab, number, seed, calm):
    """One run with one fault."""
    fault, chance = FAULTS[number], random.Random(f"{seed}-{number}")
    lab.reset()
    moment = chance.choice(["pod made", *(f"{done} episodes done" for done in range(1, EPISODES))])
    watcher, began = Watcher(lab), time.monotonic()
    if fault.before_start:
        moment = "before the start"
        fault.strike(lab, chance)
    run_id = lab.trigger()
    if fault.name in WHILE_RUNNING:
        WHILE_RUNNING[fault.name](lab)
    if not fault.before_start:
        wanted = 0 if moment == "pod made" else int(moment[0])
        wait_for(lambda: lab.job_pod() is not None and len(lab.published()) >= wanted, moment, PATIENCE_S)
        fault.strike(lab, chance)
    ended = time.monotonic() + PATIENCE_S
    while (state := lab.run_state(run_id)) not in {"success", "failed"} and time.monotonic() < ended:
        time.sleep(0.5)
    seconds = time.monotonic() - began
    watcher.end()
    found = lab.digests()
    row = Row(
        number=number + 1,
        fault=fault.name,
        moment=moment,
        state=state,
        tries=lab.tries(run_id),
        pods=len(watcher.uids),
        most_at_once=watcher.most_at_once,
        missing=len(calm.keys() - found.keys()),
        different=sum(found.get(name, digest) != digest for name, digest in calm.items()),
        repeated=watcher.repeated,
        seconds=seconds,
    )
    fault.correct(lab)
    lab.configure()
    return row


def print_row(row):
    cells = (row.number, row.fault, row.moment, row.state, row.tries, row.pods, row.most_at_once, row.missing, row.different, row.repeated)
    sys.stdout.write("| " + " | ".join(str(cell) for cell in cells) + f" | {row.seconds:.0f} | {'right' if row.is_right else 'WRONG'} |\n")
    sys.stdout.flush()


HEADER = """| # | fault | when | run | tries | pods | most at once | lost | other bytes | repeated | s | |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def main(arguments):
    """Print the table; 1 if a row is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(str(number + 1) for number in range(len(FAULTS))))
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="blueprint-pipeline-faults-"))
    with running_postgres() as database:
        lab = FaultLab(folder, database)
        try:
            lab.start().prepare(EPISODES, SHARD_SIZE)
            calm = left_alone(lab)
            sys.stdout.write(f"seed {chosen.seed}; left alone: {len(calm)} files; {folder}\n\n{HEADER}")
            rows = []
            for number in chosen.only.split(","):
                rows.append(suffer(lab, int(number) - 1, chosen.seed, calm))
                print_row(rows[-1])
        finally:
            lab.stop()
    return 0 if all(row.is_right for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
