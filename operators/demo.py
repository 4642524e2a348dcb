"""``make demo``: the real DAG on the sample scene, from meshes to a delivered, verified, signed dataset, on this machine.

Slack and the lab are real HTTP receivers on loopback, reached through ordinary Airflow connections. What Airflow says goes to a file;
the screen shows the tasks. Run again, every stage finds its commit and nothing changes.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.settings import Settings, environment_of_child, load_settings
from operators.embedded.closing import show_closing, show_failure
from operators.embedded.home import AIRFLOW_HOME, ROOT, airflow_environment, process_environment
from operators.embedded.played import lab_secret
from operators.embedded.progress import RunView
from operators.embedded.receivers import Receiver, receive

APPROVAL_WINDOW_S = 15
"""Nobody is at the demo to be asked: a borderline episode waits this long [s], then the default (Reject) applies."""
LAB = "aurora_robotics"


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The demo's options."""
    parser = argparse.ArgumentParser(prog="python -m operators.demo", description=__doc__)
    parser.add_argument("--scene-id", default="tabletop_scanned", help="name of the scene's folder")
    parser.add_argument("--source", help="folder or URL of a reconstructed scene; the sample scene if not given")
    parser.add_argument("--episodes", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lab", default=LAB)
    parser.add_argument("--approval-window-s", type=float, default=APPROVAL_WINDOW_S, help="how long borderline episodes wait for a person")
    parser.add_argument("--airflow-home", type=Path, default=AIRFLOW_HOME / "demo")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the demo; 0 where a dataset was delivered."""
    console = Console(highlight=False)
    chosen = parse_arguments(arguments)
    try:
        settings = load_settings()
        prepare(settings)
    except BlueprintError as error:
        console.print(f"[bold red]error[/] {error}")
        return error.exit_code
    secret = lab_secret(chosen.airflow_home)
    with receive() as slack, receive(secret) as lab:
        console.print(
            f"[bold]Blueprint demo[/]  scene {chosen.scene_id}, {chosen.episodes} episodes, two cameras, for lab {chosen.lab}",
            soft_wrap=True,
        )
        console.print(
            f"[dim]Slack is played by {slack.url}, the lab's webhook by {lab.url}; Airflow's words go to {log_path(chosen)}[/]",
            soft_wrap=True,
        )
        started = time.monotonic()
        view, status = run(chosen, settings, console, {"slack": slack, "lab": lab}, secret)
        console.print(view)
        if status != 0:
            show_failure(console, view, log_path(chosen), slack)
            return 1
        return show_closing(console, view, settings, chosen.scene_id, {"Slack": slack, chosen.lab: lab}, time.monotonic() - started)


def prepare(settings: Settings) -> None:
    """Make what a fresh machine lacks: folders, and a signing key."""
    from blueprint_pipeline.delivery.signing import make_signing_key

    if not settings.delivery.signing_key.exists():
        make_signing_key(settings.delivery.signing_key)


def log_path(chosen: argparse.Namespace) -> Path:
    """Where Airflow's words go."""
    return Path(chosen.airflow_home) / "demo.log"


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
    names = ("scene_id", "source", "episodes", "seed", "lab", "approval_window_s")
    conf.write_text(json.dumps({name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}))
    events.write_text("")
    environment = {**airflow_environment(home), **process_environment(settings), **connections(receivers, chosen.lab, secret)}
    view = RunView()
    with log_path(chosen).open("w") as log, events.open() as stream:
        process = subprocess.Popen(  # noqa: S603 -- our own program
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
            console.print("Ending: stages stop between two episodes; what is finished stays, and the next `make demo` goes on there.")
            os.kill(process.pid, signal.SIGTERM)
        return view, process.wait()


def watch(process: subprocess.Popen[bytes], stream: TextIO, view: RunView, console: Console) -> None:
    """Show events until the process has ended and all of them are shown."""
    rest = ""
    with Live(view, console=console, refresh_per_second=8, transient=True, auto_refresh=console.is_terminal) as live:
        while True:
            ended = process.poll() is not None
            *lines, rest = (rest + stream.read()).split("\n")
            for line in lines:
                view.take(json.loads(line))
            if not console.is_terminal:
                for text in view.changed:
                    live.console.print(text, markup=False)
            view.changed.clear()
            if ended:
                return
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
