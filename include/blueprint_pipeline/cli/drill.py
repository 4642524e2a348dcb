"""``bpp drill``: break something on purpose, and see the promise kept."""

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.errors import GateError, MissingPartError

app = typer.Typer(help="Lose a region on purpose. Needs Airflow, as on the machine that starts the jobs.", no_args_is_help=True)


class AirflowMissing(MissingPartError):
    """A drill runs Airflow's operators, and they are not on this machine."""

    code = "drill.airflow_missing"
    template = "A drill starts jobs as Airflow does, and this machine has no operators: run it from a checkout, or in the image `airflow`."


class PromiseBroken(GateError):
    """A drill did not end as it should."""

    code = "drill.promise_broken"
    template = "The drill {drill} did not keep its promise; it saw: {seen}."

    drill: str
    seen: str


@app.callback()
def group() -> None:
    """Keep each drill a command of its own."""


@app.command(
    "region-loss",
    epilog="Example: bpp drill region-loss --first a.kubeconfig --second b.kubeconfig --namespace blueprint_pipeline",
)
def region_loss(
    *,
    first: Annotated[Path, typer.Option(help="Kubeconfig of the region that is lost.", exists=True, dir_okay=False)],
    second: Annotated[Path, typer.Option(help="Kubeconfig of the region that takes over.", exists=True, dir_okay=False)],
    namespace: Annotated[str, typer.Option(help="Namespace of the pods, on both clusters.")] = "default",
    templates: Annotated[Path | None, typer.Option(help="Folder of pod templates; that of the settings if not given.")] = None,
    unreachable_s: Annotated[float, typer.Option(help="Silence of the API after which a job moves [s].", min=1.0)] = 60.0,
    report: Annotated[Path | None, typer.Option(help="File for the outcome, as JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a region away in the middle of a batch of eight shards: the batch ends on the second cluster, and nothing is done twice."""
    if find_spec("operators") is None and not Path("operators/drill.py").is_file():
        raise AirflowMissing
    options: dict[str, object] = {"first": first, "second": second, "namespace": namespace, "unreachable-s": unreachable_s}
    if templates is not None:
        options["templates"] = templates
    with tempfile.TemporaryDirectory(prefix="blueprint-pipeline-drill-") as folder:
        written = report or Path(folder) / "report.json"  # what Airflow prints stands between the drill's own words on stdout
        command = [sys.executable, "-m", "operators.drill", "region-loss", f"--report={written}"]
        command += [f"--{name}={value}" for name, value in options.items()]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        told = written.read_text() if written.exists() else ""
    if ended.returncode != 0:
        raise PromiseBroken("region-loss", told.strip() or "nothing; its output is above")
    seen = json.loads(told)
    rows = [[name.replace("_", " "), value] for name, value in seen.items()]
    show(seen, as_json=as_json, text=lambda console: console.print(table("Region lost, promises kept", ["what", "seen"], rows)))
