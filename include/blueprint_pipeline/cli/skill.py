"""``bpp skill``: which skills there are."""

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.task.skills import SKILLS

app = typer.Typer(help="List the skills.", no_args_is_help=True)


@app.callback()
def skill() -> None:
    """List the skills."""


@app.command("list", epilog="Example: bpp skill list --json")
def list_skills(*, as_json: JsonOption = False) -> None:
    """List every skill, by the name that a request gives it."""
    found = [{"name": row.name, "title": row.title, "arms": row.arms} for row in SKILLS.values()]

    def text(console: Console) -> None:
        console.print(
            table("Skills", ["name", "title", "arms"], [[str(item[name]) for name in ("name", "title", "arms")] for item in found])
        )

    show({"skills": found}, as_json=as_json, text=text)
