"""What a person sees while the DAG runs: a line a stage, with a bar, its time, and what it made in words."""

import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from operators.embedded.run_view import RunView, StageLine
from operators.task_order import task_ids

_BAR_WIDTH = 12
_MINUTE_S = 60
_STYLES = {"done": "green", "found done": "green", "failed": "red", "retried": "yellow"}


class Progress:
    """Draws a run again and again: what ``rich.live`` shows."""

    def __init__(self, view: RunView) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: object) -> Iterator[RenderableType]:
        yield draw(self._view, time.time())


class LineReporter:
    """Tells the same to a file or a pipe: one unbroken line a stage, when it has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[str] = set()

    def report(self, view: RunView) -> None:
        """Print the stages that have ended since the last call."""
        now = time.time()
        for name in _names():
            line = view.line(name, now)
            if name not in self._told and line.state not in {"waiting", "running", "retried"}:
                self._told.add(name)
                text = f"{line.name:<18} {line.state:<{_BAR_WIDTH}} {_seconds(line):>8}  {_first_line(line.words)}"
                self._console.print(text.rstrip(), markup=False, soft_wrap=True)


def draw(view: RunView, now: float) -> RenderableType:
    """The whole run: a line a stage."""
    grid = Table.grid(padding=(0, 1), expand=True)
    for width in (17, _BAR_WIDTH):
        grid.add_column(no_wrap=True, width=width)
    grid.add_column(no_wrap=True, width=8, justify="right")
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for name in _names():
        grid.add_row(*_row(view.line(name, now)))
    if view.tasks:
        return grid
    return Group(grid, Spinner("dots", Text(view.phase, style="dim")))


def describe_time(seconds: float) -> str:
    """A time in the unit that people say.

    >>> describe_time(8.24), describe_time(89.7), describe_time(1012)
    ('8.2 s', '1 min 30 s', '16 min 52 s')
    """
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest} s"


def _names() -> list[str]:
    return [name for names in task_ids().values() for name in names]


def _row(line: StageLine) -> list[RenderableType]:
    seconds = Text(_seconds(line), style="dim")
    words = Text(_first_line(line.words), style="red" if line.state == "failed" else "")
    if line.state == "running":
        total = None if line.fraction is None else 1.0
        return [Text(line.name), ProgressBar(total=total, completed=line.fraction or 0.0, width=_BAR_WIDTH), seconds, words]
    state = "" if line.state == "waiting" else line.state
    return [
        Text(line.name, style="dim" if line.state == "waiting" else ""),
        Text(state, style=_STYLES.get(line.state, "dim")),
        seconds,
        words,
    ]


def _seconds(line: StageLine) -> str:
    return "" if line.elapsed_s is None or line.state == "skipped" else f"{line.elapsed_s:.1f} s"


def _first_line(text: str) -> str:
    return text.replace("\n", " ")
