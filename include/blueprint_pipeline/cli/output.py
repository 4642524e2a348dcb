"""How commands speak: tables for people on stdout, or one JSON document with ``--json``; logs and errors on stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.log import get_logger, writes_json
from blueprint_pipeline.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

_GAP = 2
"""Spaces between two columns of a table."""

console = Console()
error_console = Console(stderr=True)


def show(data: Mapping[str, object], *, as_json: bool, text: Callable[[Console], None]) -> None:
    """Print ``data`` as JSON, or what ``text`` draws."""
    if as_json:
        sys.stdout.write(json.dumps(data, indent=1, default=str) + "\n")
    else:
        text(console)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A Rich table of plain values and of coloured words (:class:`~rich.text.Text`); nothing of a value is left out on a narrow screen."""
    cells = [[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row] for row in ([*columns], *rows)]
    widths = _share_width([[text.plain for text in column] for column in zip(*cells, strict=True)])
    sized = [Column(header, width=width, overflow="fold") for header, width in zip(cells[0], widths, strict=True)]
    built = Table(*sized, title=Text(title), title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for row in cells[1:]:
        built.add_row(*row)
    if not rows:
        built.caption, built.caption_justify = Text("none"), "left"
    return built


def _share_width(columns: Sequence[Sequence[str]]) -> list[int]:
    """Width of each column in characters: that of its widest cell where the screen has room, else lines are broken, between words first."""
    widths = [max(map(len, cells)) for cells in columns]
    whole_words = [max(len(word) for cell in cells for word in cell.split() or [""]) for cells in columns]
    room = max(console.width - _GAP * (len(columns) - 1), len(columns))
    while sum(widths) > room:
        spare = [width - whole for width, whole in zip(widths, whole_words, strict=True)]
        widest = spare.index(max(spare)) if max(spare) > 0 else widths.index(max(widths))
        widths[widest] -= 1
    return widths


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
            if writes_json(settings.log):
                get_logger().info("progress", done=done, total=total)

        yield progress
