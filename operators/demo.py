"""``make demo``: the real DAG on the sample scene, from meshes to a delivered, verified, signed dataset, on this machine.

Slack and the lab are real HTTP receivers on loopback, reached through ordinary Airflow connections. Airflow's log goes to a file;
the screen shows a line a stage. Run again, every stage finds its commit and nothing changes.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live

from blueprint_pipeline.dataset.certify.environment import digest_environment
from blueprint_pipeline.delivery.lab import list_labs
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.robot.names import DEFAULT_ROBOT, robot_names
from blueprint_pipeline.settings import Settings, environment_of_child, load_settings
from blueprint_pipeline.stage.flow import load_stage
from blueprint_pipeline.stage.runner import parse_request
from blueprint_pipeline.task.skills import SKILLS
from operators.embedded.airflow_home import AIRFLOW_HOME, ROOT, airflow_environment, process_environment
from operators.embedded.demo_connections import lab_secret
from operators.embedded.demo_report import show_delivery, show_failure
from operators.embedded.expected_time import Timing, add_timing, expected_time
from operators.embedded.progress import LineReporter, Progress
from operators.embedded.receivers import Receiver, receive
from operators.embedded.run_view import RunView

APPROVAL_WINDOW_S = 15
"""Nobody is at the demo to be asked: a borderline episode waits this long [s], then the default (Reject) applies."""
SHARD_SIZE = 100
"""Episodes of a mapped task: one machine works off a shard after the other on all cores, and each starts its processes anew (3 s)."""
LAB = "aurora_robotics"
WORK = ("scene_id", "source", "robot", "skills", "episodes", "seed", "lab")
"""Options that say what is made; they are parameters of the DAG's run."""


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The demo's options."""
    parser = argparse.ArgumentParser(
        prog="python -m operators.demo",
        description="Run the real DAG on the sample scene, or on another one: from meshes to a delivered, verified, signed dataset. "
        'With make: make demo DEMO_ARGS="--skills place_in stack".',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--scene-id", default="tabletop_scanned", help="name of the scene's folder")
    parser.add_argument("--source", help="folder or URL of a reconstructed scene; the sample scene if not given")
    parser.add_argument("--robot", choices=robot_names(), default=DEFAULT_ROBOT, help="who acts; `bpp robot list` says who can")
    parser.add_argument("--skills", choices=sorted(SKILLS), nargs="+", default=["pick_place"], help="episodes are dealt out among them")
    parser.add_argument("--episodes", type=int, default=24, help="how many attempts")
    parser.add_argument("--seed", type=int, default=0, help="decides starts, goals and sentences")
    parser.add_argument("--lab", choices=list_labs(), default=LAB, help="who gets the dataset")
    parser.add_argument("--approval-window-s", type=float, default=APPROVAL_WINDOW_S, help="how long borderline episodes wait for a person")
    parser.add_argument("--airflow-home", type=Path, default=AIRFLOW_HOME / "demo", help="where Airflow keeps its database and log")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the demo; 0 where a dataset was delivered."""
    console = Console(highlight=False)
    chosen = parse_arguments(arguments)
    try:
        settings = load_settings()
        check(chosen, settings)
        prepare(settings)
    except BlueprintError as error:
        console.print(f"[bold red]error[/] {error}")
        return error.exit_code
    secret = lab_secret(chosen.airflow_home)
    with receive() as slack, receive(secret) as lab:
        certify = certify_environment(settings)
        show_start(console, chosen, certify)
        started = time.monotonic()
        view, status = run(chosen, settings, console, {"slack": slack, "lab": lab}, secret)
        if console.is_terminal:
            console.print(Progress(view))
        if status != 0:
            show_failure(console, view, log_path(chosen), slack)
            return 1
        wall_s = time.monotonic() - started
        found_done, stages = view.found_done()
        timing = Timing(work=work_of(chosen), certify_environment=certify, stages=stages, found_done=found_done, wall_s=wall_s)
        add_timing(chosen.airflow_home, timing)
        show_delivery(console, view, settings, scene_id=chosen.scene_id, receivers={"Slack": slack, "Lab": lab}, wall_s=wall_s)
        return 0


def show_start(console: Console, chosen: argparse.Namespace, certify: str) -> None:
    """What is going to run, how long that takes, and where Airflow's log is."""
    what = f"scene {chosen.scene_id}, {chosen.robot}, {' and '.join(chosen.skills)}, {chosen.episodes} episodes, for lab {chosen.lab}"
    console.print(f"[bold]Demo:[/] {what}. Log: {log_path(chosen)}", soft_wrap=True)
    console.print(f"[bold]Expected:[/] {expected_time(chosen.airflow_home, work_of(chosen), certify)}", soft_wrap=True)


def work_of(chosen: argparse.Namespace) -> dict[str, str]:
    """What a run is asked for: two runs of the same work may be compared in time."""
    return {name: str(getattr(chosen, name)) for name in WORK}


def certify_environment(settings: Settings) -> str:
    """sha256 of the packages that certify; empty where there is no such environment."""
    return "".join(digest.sha256 for digest in digest_environment(settings.dataset.certify_python).values())


def check(chosen: argparse.Namespace, settings: Settings) -> None:
    """Refuse what the planner would refuse, before Airflow starts.

    Raises:
        InvalidRequest: A value that no plan can have.
        UnsupportedRobot: The robot is on record, and cannot act.
    """
    stage = load_stage("plan_tasks")
    request = {name: getattr(chosen, name) for name in ("scene_id", "robot", "skills", "episodes", "seed")}
    stage.complete(parse_request(stage, request), settings)


def prepare(settings: Settings) -> None:
    """Make what a fresh machine lacks: folders, and a signing key."""
    from blueprint_pipeline.delivery.signing import make_signing_key

    if not settings.delivery.signing_key.exists():
        make_signing_key(settings.delivery.signing_key)


def log_path(chosen: argparse.Namespace) -> Path:
    """Airflow's log, relative to where the person stands if it is below."""
    path = Path(chosen.airflow_home) / "demo.log"
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def connections(receivers: dict[str, Receiver], lab: str, secret: str) -> dict[str, str]:
    """Airflow connections, as variables of its process."""
    slack = {"conn_type": "slackwebhook", "host": f"{receivers['slack'].url}/services", "password": "T000/B000/demo"}
    webhook = {"conn_type": "http", "host": f"{receivers['lab'].url}/blueprint_pipeline", "password": secret}
    return {"AIRFLOW_CONN_SLACK_DEFAULT": json.dumps(slack), f"AIRFLOW_CONN_LAB_{lab.upper()}": json.dumps(webhook)}


def run(
    chosen: argparse.Namespace, settings: Settings, console: Console, receivers: dict[str, Receiver], secret: str
) -> tuple[RunView, int]:
    """Run the DAG in a process of its own and show what happens; returns the view and the process's status."""
    home = Path(chosen.airflow_home)
    conf, events = home / "conf.json", home / "events.jsonl"
    names = (*WORK, "approval_window_s")
    given = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    conf.write_text(json.dumps({**given, "shard_size": SHARD_SIZE}))
    events.write_text("")
    environment = {**airflow_environment(home), **process_environment(settings), **connections(receivers, chosen.lab, secret)}
    view = RunView()
    with log_path(chosen).open("w") as log, events.open() as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "operators.embedded.demo_run", str(conf), str(events)],
            cwd=ROOT,
            env=environment_of_child(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            watch(process, stream, view, console)
        except KeyboardInterrupt:
            console.print("Stopping after the episode in work. What is finished is kept; the next `make demo` resumes there.")
            os.kill(process.pid, signal.SIGTERM)
        return view, process.wait()


def watch(process: subprocess.Popen[bytes], stream: TextIO, view: RunView, console: Console) -> None:
    """Show events until the process has ended and all of them are shown."""
    rest, lines = "", LineReporter(console)
    shown = Live(Progress(view), console=console, refresh_per_second=8, transient=True) if console.is_terminal else nullcontext()
    with shown:
        while True:
            ended = process.poll() is not None
            *events, rest = (rest + stream.read()).split("\n")
            for event in events:
                view.take(json.loads(event))
            if not console.is_terminal:
                lines.report(view)
            if ended:
                return
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
