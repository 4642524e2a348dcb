"""What a person sees while the DAG runs: every task with its state, progress bars of shards, and what the stages say."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from blueprint_pipeline.stage.flow import STAGES
from operators.scene_requests import task_ids

_MARKS = {"success": ("done", "green"), "failed": ("failed", "red"), "skipped": ("skipped", "dim"), "up_for_retry": ("retry", "yellow")}
_LINE_WIDTH = 70


@dataclass
class TaskView:
    """One task instance."""

    state: str = "waiting"
    started_at: float | None = None
    ended_at: float | None = None
    done: int = 0
    total: int | None = None
    says: str = ""
    error: str = ""
    found_done: bool = False
    """The stage found its commit: the work was not repeated."""
    result: dict[str, Any] = field(default_factory=dict)

    def elapsed_s(self, now: float) -> float | None:
        return None if self.started_at is None else (self.ended_at or now) - self.started_at


class RunView:
    """The state of a run, built from its events."""

    def __init__(self) -> None:
        self.tasks: dict[tuple[str, int], TaskView] = {}
        self.phase = "starting Airflow"
        self.state = "running"
        self.problem = ""
        self.changed: list[str] = []
        """Lines for consoles that cannot be redrawn; who prints them empties the list."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event of ``operators.embedded.demo_run`` into account."""
        kind = event["kind"]
        if kind == "phase":
            self.phase = str(event["text"])
        elif kind == "problem":
            self.problem = str(event["text"])
        elif kind == "run":
            self.state = str(event["state"])
        elif "task_id" in event:
            key = (str(event["task_id"]), int(event["map_index"] if event["map_index"] is not None else -1))
            task = self.tasks.setdefault(key, TaskView())
            if kind == "final" and event["state"] == "failed" and task.state != "failed":
                task.state, task.error = "failed", "Airflow could not start or finish the task; the log says why."
            elif kind == "task":
                self._change(key, task, event)
            elif kind == "stage_event":
                _hear(task, event["data"])
            elif kind == "stage_result":
                task.result = event["data"]
                task.says = STAGES[key[0]].describe(task.result)

    def _change(self, key: tuple[str, int], task: TaskView, event: Mapping[str, Any]) -> None:
        task.state = str(event["state"])
        if task.state == "running":
            task.started_at = task.started_at or float(event["at"])
            task.ended_at = None
            return
        task.ended_at = float(event["at"])
        task.error = str(event.get("error") or "")
        if key[0] == "approve_episodes" and task.state == "skipped":
            task.says = "no episode is borderline: nobody has to be asked"
        if key[0] == "announce_delivery" and task.state == "skipped":
            task.says = "this delivery was announced before: nothing is said twice"
        self.changed.append(f"{label(key)}: {task.state} in {task.elapsed_s(task.ended_at) or 0:.1f} s. {task.error or task.says}".rstrip())

    def failed(self) -> list[tuple[str, TaskView]]:
        """Tasks that failed, in order of time."""
        found = [(label(key), task) for key, task in self.tasks.items() if task.state == "failed"]
        return sorted(found, key=lambda item: item[1].ended_at or 0)

    def result_of(self, task_id: str) -> dict[str, Any]:
        """What a stage returned; of the last shard where it is mapped; empty where it did not run."""
        found = [task.result for (name, _), task in self.tasks.items() if name == task_id and task.result]
        return found[-1] if found else {}

    def stage_seconds(self) -> dict[str, float]:
        """Wall time by task id [s], shards added up."""
        seconds: dict[str, float] = {}
        for (name, _), task in self.tasks.items():
            seconds[name] = seconds.get(name, 0.0) + (task.elapsed_s(time.time()) or 0.0)
        return seconds

    def found_done(self) -> tuple[int, int]:
        """Stages whose work was found done, and all stages that ran."""
        stages = [task for task in self.tasks.values() if task.result]
        return sum(task.found_done for task in stages), len(stages)

    def __rich_console__(self, console: Console, options: object) -> Any:
        yield draw(self, time.time())


def label(key: tuple[str, int]) -> str:
    """A task's name for people, with its shard."""
    return key[0] if key[1] < 0 else f"{key[0]} {key[1]}"


def _hear(task: TaskView, event: Mapping[str, Any]) -> None:
    name = str(event.get("event", ""))
    if name == "progress":
        task.done, task.total = int(event["done"]), int(event["total"])
    elif name == "stage already done":
        task.found_done = True
    elif event.get("level") in {"warning", "error"}:
        task.says = name


def draw(view: RunView, now: float) -> RenderableType:
    """The whole view: a line a task instance."""
    grid = Table.grid(padding=(0, 2))
    for width in (10, 18, 16, 8):
        grid.add_column(no_wrap=True, min_width=width)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for group, names in task_ids().items():
        shown = group
        for name in names:
            keys = sorted(key for key in view.tasks if key[0] == name) or [(name, -1)]
            for key in keys:
                grid.add_row(Text(shown, style="bold"), *_row(key, view.tasks.get(key) or TaskView(), now))
                shown = ""
    waiting = Spinner("dots", Text(f" {view.phase}", style="dim")) if not view.tasks else Text("")
    return Group(grid, waiting)


def _row(key: tuple[str, int], task: TaskView, now: float) -> list[RenderableType]:
    elapsed_s = task.elapsed_s(now)
    seconds = Text("" if elapsed_s is None else f"{elapsed_s:6.1f} s", style="dim")
    says = Text((task.error or task.says).replace("\n", " ")[:_LINE_WIDTH], style="red" if task.error else "dim")
    if task.state == "running":
        state: RenderableType = Spinner("dots", Text("running", style="cyan"))
        if task.total:
            says = Text(f"{task.done}/{task.total} {STAGES[key[0]].counts} ", style="cyan") + says
            return [Text(label(key)), ProgressBar(total=task.total, completed=task.done, width=16), seconds, says]
    else:
        word, style = _MARKS.get(task.state, ("", "dim"))
        state = Text("found done" if task.found_done and task.state == "success" else word, style=style)
    return [Text(label(key), style="" if task.started_at else "dim"), state, seconds, says]
