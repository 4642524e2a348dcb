"""Two hundred shards in the queue, a pod each: is the scheduler still there for others? ``python -m tests.e2e.full_queue``.

Prints how far the queue came in the time given, and meanwhile: the scheduler's health, the API's answer times, and how long a
small DAG of somebody else waits from its trigger until the scheduler starts it, and until it has ended.
"""

import argparse
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests import airflow_home  # noqa: F401 -- points Airflow at a home of this process before the lab imports it
from tests.e2e.fault_lab import FaultLab, Watcher, wait_for
from tests.postgres import running_postgres

SHARDS = 200


def measure(lab, slots, minutes):
    """Run the queue to its end, or for so many minutes; figures."""
    lab.call("POST", "/pools", {"name": "simulation", "slots": slots, "include_deferred": True})
    lab.scene.write_bytes("plan.json", b"{}")
    alone = probe(lab)
    watcher, began = Watcher(lab), time.monotonic()
    run_id = lab.trigger("queued")
    beats, answers, probes, peak = [], [], [], 0
    while lab.run_state(run_id, "queued") not in {"success", "failed"} and time.monotonic() < began + 60 * minutes:
        asked = time.monotonic()
        health = lab.call("GET", "/monitor/health")["scheduler"]
        answers.append(time.monotonic() - asked)
        beats.append(health["status"] == "healthy")
        peak = max(peak, len(lab.cluster.pods()))
        if len(answers) % 10 == 0:
            probes.append(probe(lab))
        time.sleep(2)
    lasted = time.monotonic() - began
    watcher.end()
    return {
        "state": lab.run_state(run_id, "queued"),
        "shards": SHARDS,
        "slots": slots,
        "commits": len(lab.scene.files_under("commits/toy_shard.*.json")),
        "pods": len(watcher.uids),
        "most_pods_at_once": peak,
        "most_of_one_job": watcher.most_at_once,
        "seconds": round(lasted),
        "scheduler_healthy_share": round(sum(beats) / len(beats), 3),
        "api_answer_s": {"median": round(statistics.median(answers), 3), "worst": round(max(answers), 3)},
        "other_dag_started_s": spread(alone, probes, 0),
        "other_dag_ended_s": spread(alone, probes, 1),
    }


def spread(alone, probes, index):
    """One of the figures of a probe: with an empty queue, and with a full one."""
    found = [probe[index] for probe in probes]
    return {"alone": round(alone[index], 1), "median": round(statistics.median(found), 1), "worst": round(max(found), 1)}


def probe(lab):
    """Seconds from the trigger of a small DAG to its start, and to its end."""
    run_id = lab.trigger("probe")
    wait_for(lambda: lab.run_state(run_id, "probe") == "success", "the other DAG", 300)
    run = lab.call("GET", f"/dags/probe/dagRuns/{run_id}")
    queued, started, ended = (datetime.fromisoformat(run[name]) for name in ("queued_at", "start_date", "end_date"))
    return (started - queued).total_seconds(), (ended - queued).total_seconds()


def main(arguments):
    """Print the figures; 1 if the run failed, or ended without a shard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=20.0)
    chosen = parser.parse_args(arguments)
    with running_postgres() as database:
        lab = FaultLab(Path(tempfile.mkdtemp(prefix="blueprint-pipeline-queue-")), database)
        try:
            found = measure(lab.start(), chosen.slots, chosen.minutes)
        finally:
            lab.stop()
    for name, value in found.items():
        sys.stdout.write(f"{name}: {value}\n")
    return 0 if found["state"] == "running" or (found["state"], found["commits"]) == ("success", SHARDS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
