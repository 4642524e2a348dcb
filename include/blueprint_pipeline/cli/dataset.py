"""``bpp dataset``: check and show datasets, in any format that we write."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from blueprint_pipeline.cli.output import JsonOption, show, table
from blueprint_pipeline.dataset.formats import FORMATS

app = typer.Typer(help=f"Check and show datasets ({', '.join(row.title for row in FORMATS.values())}).", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="Folder of a dataset, in one format.")]


@app.command(epilog="Example: bpp dataset check bundle/data/dataset/v3.0")
def check(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Compare every file of a dataset with what its metadata promise. Ends with 65 if anything is wrong."""
    from blueprint_pipeline.dataset.read import check_dataset

    findings = check_dataset(folder)
    rows = [[finding.code, finding.path, finding.message] for finding in findings]

    def text(console: Console) -> None:
        console.print(table(f"Findings in {folder}", ["code", "file", "what"], rows) if rows else f"{folder}: no problems found.")

    show({"folder": str(folder), "findings": [asdict(finding) for finding in findings]}, as_json=as_json, text=text)
    if findings:
        raise typer.Exit(65)


@app.command("show", epilog="Example: bpp dataset show bundle/data/dataset/v3.0 --json")
def show_dataset(folder: FolderArgument, *, as_json: JsonOption = False) -> None:
    """Show what a dataset says of itself: version, size, tasks, features."""
    from blueprint_pipeline.dataset.read import describe_dataset

    found = describe_dataset(folder)

    def text(console: Console) -> None:
        size = f"{found.episodes} episodes, {found.frames} frames at {found.fps} Hz, {found.size_bytes / 1e6:.1f} MB"
        console.print(f"{found.folder}: {FORMATS[found.version].title}, {found.robot_type}, {size}")
        rows = [[name, feature["dtype"], "x".join(map(str, feature["shape"]))] for name, feature in found.features.items()]
        console.print(table("Features", ["name", "dtype", "shape"], rows))
        console.print(table("Tasks", ["instruction"], [[task] for task in found.tasks]))

    show(asdict(found), as_json=as_json, text=text)
