"""``make up``: Airflow's UI, scheduler, DAG processor and triggerer on this machine; Ctrl-C ends all of them."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from blueprint_pipeline.delivery.signing import make_signing_key
from blueprint_pipeline.errors import BlueprintError, TransientError
from blueprint_pipeline.settings import environment_of_child, load_settings
from operators.embedded.airflow_home import AIRFLOW_HOME, ROOT, airflow_environment, process_environment
from operators.embedded.demo_connections import lab_secret, with_receivers
from operators.embedded.receivers import Receiver, readable_message, receive
from operators.embedded.settings_file import import_settings, load_airflow_settings

PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
STARTUP_S = 600.0
"""All parts are there within this time [s]; runs that were open when Airflow last ended are taken up first, which takes its time."""
LOOK_S, SICK_S = 10.0, 60.0
"""How often the parts are looked at, and how long one may be down before Airflow is started anew [s]."""
END_S = 20.0


class AirflowNotHealthy(TransientError):
    """Airflow did not come up."""

    code = "airflow.not_healthy"
    template = "Airflow did not come up: {found}. Its log is {log}; another process may have the port."

    log: Path
    found: str


def migrate(environment: Mapping[str, str]) -> None:
    """Make or migrate Airflow's database."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], env=environment_of_child(environment), check=True, capture_output=True
    )


def start(environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start ``airflow standalone`` in a process group of its own: ended by its leader alone, it leaves orphans."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            cwd=ROOT,
            env=environment_of_child(environment),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_healthy(process: "subprocess.Popen[bytes]", url: str, log: Path, timeout_s: float = STARTUP_S) -> None:
    """Wait for all four parts.

    Raises:
        AirflowNotHealthy: The process ended, or the time is over.
    """
    deadline = time.monotonic() + timeout_s
    states: dict[str, str | None] = {}
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AirflowNotHealthy(log, f"its process ended with status {process.returncode}")
        states = read_health(url)
        if states and all(states.get(part) == "healthy" for part in PARTS):
            return
        time.sleep(1.0)
    raise AirflowNotHealthy(log, f"after {timeout_s:.0f} s its parts are {states or 'silent'}")


def read_health(url: str) -> dict[str, str | None]:
    """What each part says of itself; empty while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310 -- loopback, http
            found = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return {}
    return {name: (part or {}).get("status") for name, part in found.items()}


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the whole process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            continue


def main(arguments: list[str]) -> int:
    """Run Airflow until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m operators.embedded.up", description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--airflow-home", type=Path, default=AIRFLOW_HOME)
    chosen = parser.parse_args(arguments)
    console, home = Console(highlight=False), Path(chosen.airflow_home).absolute()
    home.mkdir(parents=True, exist_ok=True)
    url, log = f"http://localhost:{chosen.port}", home / "airflow.log"
    try:
        settings = load_settings()
        if not settings.delivery.signing_key.exists():
            make_signing_key(settings.delivery.signing_key)
        environment = {**airflow_environment(home), **process_environment(settings), **api_environment(chosen.port)}
        console.print("Preparing Airflow's database, connections, pools and variables ...")
        migrate(environment)
        with receive() as slack, receive(lab_secret(home)) as lab:
            import_settings(with_receivers(load_airflow_settings(ROOT / "airflow_settings.yaml"), slack, lab), environment)
            return serve(console, environment, url, log, {"Slack": slack, "The lab's webhook": lab})
    except BlueprintError as error:
        console.print(f"[bold red]error[/] {error}", soft_wrap=True)
        return error.exit_code


def api_environment(port: int) -> dict[str, str]:
    """Where the UI and the workers' API listen."""
    return {
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",
    }


def serve(console: Console, environment: Mapping[str, str], url: str, log: Path, played: Mapping[str, Receiver]) -> int:
    """Start Airflow, say where it is, show what the receivers get, start it anew if a part of it is gone, and end it with Ctrl-C.

    Raises:
        AirflowNotHealthy: It did not come up.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    process = start(environment, log)
    try:
        while True:
            with console.status("Starting Airflow (scheduler, API, DAG processor, triggerer) ..."):
                wait_until_healthy(process, url, log)
            console.print(f"Airflow is up: [bold]{url}[/]  (DAG scene_to_dataset; log: {log}; Ctrl-C ends it)", soft_wrap=True)
            console.print("[dim]Messages to Slack and to the labs appear here.[/]", soft_wrap=True)
            lost = watch(process, console, played, url)
            if not lost:
                return process.returncode
            console.print(f"[bold red]Airflow's {', '.join(lost)} is gone:[/] starting Airflow anew. Open runs go on.", soft_wrap=True)
            stop(process)
            process = start(environment, log)
    except KeyboardInterrupt:
        console.print("Ending Airflow ...")
        return 0
    finally:
        stop(process)


def watch(process: "subprocess.Popen[bytes]", console: Console, played: Mapping[str, Receiver], url: str) -> list[str]:
    """Show messages until Airflow ends, or until a part of it has been down for :data:`SICK_S`; the parts that are."""
    well_at = looked_at = time.monotonic()
    while process.poll() is None:
        show_messages(console, played)
        now = time.monotonic()
        if now - looked_at >= LOOK_S:
            looked_at = now
            states = read_health(url)
            down = [part for part in PARTS if states.get(part) != "healthy"]
            well_at = well_at if down else now
            if down and now - well_at >= SICK_S:
                return down
        time.sleep(0.5)
    return []


def show_messages(console: Console, played: Mapping[str, Receiver]) -> None:
    """Print what came in since the last time."""
    for name, receiver in played.items():
        for message in receiver.take():
            title = f"{name} got" if message.accepted else f"{name} refused: {message.note}"
            console.print(Panel(escape(readable_message(message)), title=title, title_align="left"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
