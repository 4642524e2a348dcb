"""``blueprint_pipeline``: the root of the command line, and how every command ends."""

import sys
from typing import Annotated

import typer

from blueprint_pipeline import __version__
from blueprint_pipeline.cli import (
    cost,
    coverage,
    dataset,
    delivery,
    doctor,
    drill,
    episode,
    job,
    policy,
    registry,
    robot,
    scene,
    simulator,
    skill,
    stage,
)
from blueprint_pipeline.cli.output import show_error
from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.log import configure_logging
from blueprint_pipeline.settings import load_settings

EXIT_CODES = """Exit codes: 0 done · 2 wrong usage · 64 a gate said no · 65 the input is wrong · 66 bytes are not as recorded ·
69 a part of the machine is missing · 70 a defect of this program · 75 try again later · 78 a setting is wrong ·
143 ended by SIGTERM, resume."""

app = typer.Typer(
    name="bpp",
    help="A data factory for robot learning: from a reconstructed scene to a delivered, verified, signed dataset.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=sys.stderr.isatty(),  # a log has lines, no boxes
)
app.add_typer(scene.app, name="scene")
app.add_typer(stage.app, name="stage")
app.add_typer(job.app, name="job")
app.add_typer(episode.app, name="episode")
app.add_typer(dataset.app, name="dataset")
app.add_typer(simulator.app, name="simulator")
app.add_typer(robot.app, name="robot")
app.add_typer(skill.app, name="skill")
app.add_typer(policy.app, name="policy")
app.add_typer(registry.app, name="registry")
app.add_typer(drill.app, name="drill")
app.command("deliver")(delivery.deliver)
app.command("verify")(delivery.verify)
app.command("cost")(cost.cost)
app.command("coverage")(coverage.coverage)
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def root(*, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Read the settings and send logs to stderr before any command runs."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    configure_logging(load_settings().log)


def main() -> None:
    """Run the command line; every failure ends in one clear message and its own exit code."""
    as_json = "--json" in sys.argv
    try:
        app()
    except BlueprintError as error:
        show_error(error, as_json=as_json)
        sys.exit(error.exit_code)
