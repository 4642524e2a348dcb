"""``bpp robot``: which robots there are."""

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, show, table

app = typer.Typer(help="List the robots.", no_args_is_help=True)


@app.callback()
def robot() -> None:
    """List the robots."""


@app.command("list", epilog="Example: bpp robot list --json")
def list_robots(*, as_json: JsonOption = False) -> None:
    """List every robot on record: those that can act, and why the others cannot."""
    from blueprint_pipeline.robot.embodiment import list_records

    records = [
        {
            "name": record.name,
            "title": record.title,
            "status": record.support.status,
            "arms": [arm.name for arm in record.arms],
            "aliases": list(record.aliases),
            "reason": record.support.reason,
            "stand_in": record.support.stand_in,
        }
        for record in list_records()
    ]

    def text(console: Console) -> None:
        rows = [[str(item["name"]), str(item["title"]), str(item["status"]), str(item["reason"] or "")] for item in records]
        console.print(table("Robots", ["name", "title", "status", "why not"], rows))

    show({"robots": records}, as_json=as_json, text=text)
