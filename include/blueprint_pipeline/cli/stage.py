"""``bpp stage``: run one stage as a command, in a pod or by hand."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, report_progress, show, table
from blueprint_pipeline.errors import BlueprintError, InputError
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.contract import StageRequest
from blueprint_pipeline.stage.flow import STAGES, load_stage

app = typer.Typer(help="Run and list the stages that a scene goes through.", no_args_is_help=True)


class UnreadableRequest(InputError):
    """The request file is not a JSON object."""

    code = "stage.unreadable_request"
    template = "The request file {path} cannot be read: {reason}. Expected one JSON object with the fields of the stage's request."

    path: Path
    reason: str


@app.command("list", epilog="Example: bpp stage list --json")
def list_stages(*, as_json: JsonOption = False) -> None:
    """List all stages in order, with the fields of their requests."""
    stages = [(row.group, load_stage(row.name)) for row in STAGES.values()]
    data = {
        "stages": [
            {"name": stage.name, "group": group, "description": stage.description, "request": stage.request.model_json_schema()}
            for group, stage in stages
        ]
    }

    def text(console: Console) -> None:
        rows = [[group, stage.name, _fields(stage.request), stage.description] for group, stage in stages]
        console.print(table("Stages, in order", ["group", "stage", "request", "what it does"], rows))

    show(data, as_json=as_json, text=text)


def _fields(request: type[StageRequest]) -> str:
    return ", ".join(_field(name, info) for name, info in request.model_fields.items())


def _field(name: str, field: object) -> str:
    default = getattr(field, "default", None)
    required = getattr(field, "is_required", lambda: True)()
    return name if required else f"{name}={_plain(default)}"


def _plain(default: object) -> str:
    """A default as a person would write it."""
    if default is None:
        return "none"
    return "+".join(map(str, default)) or "none" if isinstance(default, tuple) else str(default)


@app.command(epilog='Example: echo \'{"scene_id": "tabletop"}\' > request.json && bpp stage run settle_scene --request request.json')
def run(
    name: Annotated[str, typer.Argument(help="Name of the stage; `bpp stage list` shows them.")],
    *,
    request: Annotated[Path, typer.Option(help="JSON file with the fields of the request; - for standard input.")],
    result: Annotated[Path | None, typer.Option(help="File to write the outcome to, as JSON: `result` or `error`.")] = None,
    run_id: Annotated[str | None, typer.Option(help="Id of the run that wants this, for logs and leases; none: this process.")] = None,
    attempt: Annotated[int, typer.Option(help="Which try this is, from 1.")] = 1,
    correlation_id: Annotated[str, typer.Option(help="Id that ties the logs of one request together.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Run one stage. Work that is already done is found by its key and not repeated."""
    from blueprint_pipeline.stage.runner import run_stage, stop_on_sigterm

    settings = load_settings()
    try:
        fields = _read_request(request)
        with stop_on_sigterm(), report_progress(name, settings, as_json=as_json) as progress:
            ids = {"run_id": run_id, "attempt": str(attempt), "correlation_id": correlation_id or run_id}
            given = {name: value for name, value in ids.items() if value is not None}
            outcome = run_stage(name, fields, settings, progress=progress, **given).model_dump(mode="json")
    except BlueprintError as error:
        if result is not None:
            result.write_text(json.dumps({"error": error.as_dict()}))
        raise
    if result is not None:
        result.write_text(json.dumps({"result": outcome}))
    show({"result": outcome}, as_json=as_json, text=lambda console: console.print_json(data=outcome))


def _read_request(path: Path) -> dict[str, object]:
    try:
        fields = json.loads(sys.stdin.read() if str(path) == "-" else path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableRequest(path, str(error)) from error
    if not isinstance(fields, dict):
        raise UnreadableRequest(path, f"found a {type(fields).__name__}")
    return fields
