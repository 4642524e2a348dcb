"""``bpp job``: run a job specification, in a pod or as a process of a worker."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from blueprint_pipeline.cli.output import JsonOption, error_console, report_progress, show
from blueprint_pipeline.compute.job import JobSpec
from blueprint_pipeline.errors import BlueprintError, InputError
from blueprint_pipeline.settings import load_settings

app = typer.Typer(help="Run jobs: requests of one stage, one after the other, in one process.", no_args_is_help=True)


class JobSpecInvalid(InputError):
    """The file is not a job specification."""

    code = "compute.job_spec_invalid"
    template = "{path} is no job specification: {reason}. Expected the JSON of a JobSpec (stage, requests, run_id)."

    path: Path
    reason: str


@app.callback()
def group() -> None:
    """Keep `run` a command of its own, though it is the only one."""


@app.command(
    epilog="Example: bpp job run job.json. "
    "Exit codes: 0 done · 64-74, 76-78 permanent · 75 retry · 143 preempted, resume · others: a defect."
)
def run(
    spec: Annotated[Path, typer.Argument(help="JSON file with the job's specification; - for standard input.")],
    *,
    record: Annotated[Path | None, typer.Option(help="File to keep the job's record in; the scene's folder if not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a job. Each request is committed on its own, and work that is already done is found and not repeated."""
    from blueprint_pipeline.stage.runner import stop_on_sigterm

    with stop_on_sigterm():
        from blueprint_pipeline.compute.record import JobRecord, write_record
        from blueprint_pipeline.compute.run_job import run_job, write_termination_message
        from blueprint_pipeline.workspace.storage import Workspace

        settings = load_settings()
        try:
            job = _read_spec(spec)
            scene = Workspace(settings.workspace).scene(job.scene_id)

            def keep(found: JobRecord) -> None:
                if record is None:
                    write_record(scene, found)
                else:
                    record.write_text(found.model_dump_json())

            with report_progress(job.stage, settings, as_json=as_json) as progress:
                ended = run_job(job, settings, keep=keep, progress=progress)
        except JobSpecInvalid:
            raise
        except BlueprintError as error:
            write_termination_message(error)
            if as_json or error_console.is_terminal:
                raise
            raise typer.Exit(error.exit_code) from error  # who reads the log has it in an event, "stage failed" or "job ended"
    show(ended.model_dump(mode="json"), as_json=as_json, text=lambda console: console.print(f"{ended.name}: {ended.outcome}"))


def _read_spec(path: Path) -> JobSpec:
    try:
        return JobSpec.model_validate_json(sys.stdin.read() if str(path) == "-" else path.read_text())
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}" for item in error.errors())
        raise JobSpecInvalid(path, found) from error
    except (OSError, UnicodeDecodeError) as error:
        raise JobSpecInvalid(path, str(error)) from error
