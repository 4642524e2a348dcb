"""The state of a run, built from the events of ``operators.embedded.demo_run``; nothing here draws."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from blueprint_pipeline.stage.flow import FAILURES, STAGES

State = Literal["waiting", "running", "done", "found done", "skipped", "failed", "retried"]
_STATES: dict[str, State] = {
    "running": "running",
    "success": "done",
    "skipped": "skipped",
    "failed": "failed",
    "up_for_retry": "retried",
}
"""Airflow's states that people see, in words; every other one is waiting."""
_SKIPPED = {
    "approve_episodes": "no episode is borderline, so nobody is asked",
    "announce_delivery": "this delivery was announced before",
}

_DONE = {"announce_delivery": "Slack was told"}
"""What tasks that are no stages did, in words."""


@dataclass
class TaskView:
    """One task instance."""

    state: State = "waiting"
    started_at: float | None = None
    ended_at: float | None = None
    done: int = 0
    total: int | None = None
    warning: str = ""
    error: str = ""
    found_done: bool = False
    """The stage found its commit: the work was not repeated."""
    result: dict[str, Any] = field(default_factory=dict)

    def elapsed_s(self, now: float) -> float | None:
        return None if self.started_at is None else (self.ended_at or now) - self.started_at


@dataclass(frozen=True)
class StageLine:
    """A task with all of its shards, as one line shows it."""

    name: str
    state: State
    words: str
    fraction: float | None
    """Share of the work that is done, 0 to 1; ``None``: the stage counts nothing."""
    elapsed_s: float | None
    """From the first start to the last end [s]."""


class RunView:
    """The tasks of a run by name and shard, and what Airflow says of the run."""

    def __init__(self) -> None:
        self.tasks: dict[tuple[str, int], TaskView] = {}
        self.phase = "starting Airflow"
        self.state = "running"
        self.problem = ""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event into account."""
        kind = event["kind"]
        if kind == "phase":
            self.phase = str(event["text"])
        elif kind == "problem":
            self.problem = str(event["text"])
        elif kind == "run":
            self.state = str(event["state"])
        elif "task_id" in event:
            index = event["map_index"]
            task = self.tasks.setdefault((str(event["task_id"]), -1 if index is None else int(index)), TaskView())
            if kind == "final" and event["state"] == "failed" and task.state != "failed":
                task.state, task.error = "failed", "Airflow could not start or finish the task; the log says why."
            elif kind == "task":
                _change(task, event)
            elif kind == "stage_event":
                _receive_event(task, event["data"])
            elif kind == "stage_result" and event["data"].get("selection") != FAILURES:  # those are told on the report page
                task.result = event["data"]

    def failed(self) -> list[tuple[str, TaskView]]:
        """Tasks that failed, in order of time; the last task of a run only says that another one did."""
        found = [(label(key), task) for key, task in self.tasks.items() if task.state == "failed"]
        own = [(name, task) for name, task in found if name != "close_run"]
        return sorted(own or found, key=lambda item: item[1].ended_at or 0)

    def result_of(self, task_id: str) -> dict[str, Any]:
        """What a stage returned; of all shards, counts added up; empty where it did not run."""
        merged: dict[str, Any] = {}
        for task in self._shards(task_id):
            for name, value in task.result.items():
                merged[name] = _added(merged[name], value) if name in merged else value
        return merged

    def line(self, task_id: str, now: float) -> StageLine:
        """One task with all of its shards."""
        shards = self._shards(task_id)
        expected = max(self._expected(task_id), len(shards))
        starts = [task.started_at for task in shards if task.started_at is not None]
        ends = [task.ended_at for task in shards if task.ended_at is not None]
        state = _state_of(shards, expected)
        last = now if state == "running" else max(ends, default=now)
        return StageLine(
            name=task_id,
            state=state,
            words=self._words(task_id, shards, state),
            fraction=_fraction(shards, expected) if state == "running" else None,
            elapsed_s=last - min(starts) if starts else None,
        )

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

    def _shards(self, task_id: str) -> list[TaskView]:
        return [self.tasks[key] for key in sorted(key for key in self.tasks if key[0] == task_id)]

    def _expected(self, task_id: str) -> int:
        """How many tasks a name stands for: the shards of the last plan before it, or one."""
        row = STAGES.get(task_id)
        if row is None or not row.sharded:
            return 1
        plans = [self.result_of(earlier.name).get(earlier.gives, []) for earlier in STAGES.values() if earlier.gives]
        return max((len(plan) for plan in plans), default=1)

    def _words(self, task_id: str, shards: list[TaskView], state: State) -> str:
        errors = [task.error for task in shards if task.error]
        if errors:
            return errors[0]
        if state == "skipped":
            return _SKIPPED.get(task_id, "")
        if state == "running":
            counted, row = sum(task.done for task in shards), STAGES.get(task_id)
            if counted and row and row.counts:
                return f"{counted} {row.counts}"
            return next((task.warning for task in shards if task.warning), "")
        result = self.result_of(task_id)
        if result:
            return STAGES[task_id].describe(result)
        return _DONE.get(task_id, "") if state == "done" else ""


def label(key: tuple[str, int]) -> str:
    """A task's name for people, with its shard."""
    return key[0] if key[1] < 0 else f"{key[0]} {key[1]}"


def _change(task: TaskView, event: Mapping[str, Any]) -> None:
    task.state = _STATES.get(str(event["state"]), "waiting")
    if task.state == "running":
        task.started_at = task.started_at or float(event["at"])
        task.ended_at = None
    else:
        task.ended_at = float(event["at"])
        task.error = str(event.get("error") or "")


def _receive_event(task: TaskView, event: Mapping[str, Any]) -> None:
    name = str(event.get("event", ""))
    if name == "progress":
        task.done, task.total = int(event["done"]), int(event["total"])
    elif name == "stage already done":
        task.found_done = True
    elif event.get("level") in {"warning", "error"}:
        task.warning = name


def _state_of(shards: list[TaskView], expected: int) -> State:
    states = {task.state for task in shards}
    for state in ("failed", "running", "retried"):
        if state in states:
            return state
    if not states or states == {"waiting"}:
        return "waiting"
    if states == {"skipped"}:
        return "skipped"
    if len(shards) < expected or "waiting" in states:
        return "running"
    return "found done" if all(task.found_done for task in shards) else "done"


def _fraction(shards: list[TaskView], expected: int) -> float | None:
    finished = sum(task.state in {"done", "skipped"} for task in shards)
    begun = [task.done / task.total for task in shards if task.state == "running" and task.total]
    return (finished + sum(begun)) / expected if finished or begun else None


def _added(first: Any, second: Any) -> Any:
    """Two shards' values of one field: counts, lists and tables of counts are added up; of everything else the later one stands."""
    if isinstance(first, dict):
        return dict(Counter(first) + Counter(second))
    if isinstance(first, bool) or not isinstance(first, int | float | list):
        return second
    return first + second
