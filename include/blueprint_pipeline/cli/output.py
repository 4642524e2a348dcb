"""How commands speak: tables for people on stdout, or one JSON document with ``--json``; logs and errors on stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

console = Console()
error_console = Console(stderr=True)


def show(data: Mapping[str, object], *, as_json: bool, text: Callable[[Console], None]) -> None:
    """Print ``data`` as JSON, or what ``text`` draws."""
    if as_json:
        sys.stdout.write(json.dumps(data, indent=1, default=str) + "\n")
    else:
        text(console)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A Rich table of plain values."""
    built = Table(*columns, title=title, title_justify="left")
    for row in rows:
        built.add_row(*(str(cell) for cell in row))
    return built


def show_error(error: BlueprintError, *, as_json: bool) -> None:
    """Report a failure: for people on stderr, for programs also on stdout."""
    if as_json:
        sys.stdout.write(json.dumps({"error": error.as_dict()}, indent=1) + "\n")
        return
    error_console.print(f"[bold red]error[/] [bold]{error.code}[/]: ", end="")
    error_console.print(error.message, markup=False, highlight=False)
    if error.retryable:
        error_console.print("A retry can help: what was finished is kept.")


@contextmanager
def progress_bar(label: str, *, visible: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for work that counts (done, total); nothing where nobody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=error_console, disable=not visible or not error_console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def report_progress(label: str, settings: Settings, *, as_json: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar for people, and log events for programs that read this process's stderr."""
    with progress_bar(label, visible=not as_json) as bar:

        def progress(done: int, total: int) -> None:
            bar(done, total)
            if settings.log.format == "json":
                get_logger().info("progress", done=done, total=total)

        yield progress
