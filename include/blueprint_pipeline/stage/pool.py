"""Runs units of work on processes, one a core; a process that dies takes no other unit with it.

Every worker is an executor of its own with one spawned process: where one breaks, the unit that it worked on is known,
and a new process takes its place. An error of the work, or of preparing a process for it, is no broken process: it is raised
as it is.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait as wait_for_sentinel
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

from blueprint_pipeline.errors import PreemptedError, TransientError

Prepared = TypeVar("Prepared")
Unit = TypeVar("Unit")
Answer = TypeVar("Answer")


class WorkerDied(TransientError):
    """A worker process ended without an answer (out of memory, or a crash in native code)."""

    code = "stage.worker_died"
    template = (
        "Worker processes died while working on {units} ({causes:; }). The other {finished} units are finished and kept: run "
        "the stage again to redo these. If the same ones die again, check the machine's memory, or lower BPP__COMPUTE__WORKERS."
    )

    units: Sequence[str]
    reasons: Sequence[str]
    """Of each unit."""
    finished: int

    @property
    def causes(self) -> list[str]:
        """Every reason once."""
        return list(dict.fromkeys(self.reasons))


@dataclass(frozen=True)
class Finished(Generic[Unit, Answer]):
    """A unit and what its worker gave back."""

    unit: Unit
    answer: Answer


@dataclass(frozen=True)
class Died(Generic[Unit]):
    """A unit whose worker ended without an answer."""

    unit: Unit
    reason: str


@dataclass
class _Worker:
    """One process, from the moment it is given something to do."""

    executor: ProcessPoolExecutor
    is_prepared: bool = False


class WorkerPool(Generic[Prepared, Unit, Answer]):
    """A few processes that work off units.

    Args:
        workers: How many processes.
        prepare: Called once in each new process, before its first unit, e.g. to make a planner ready. What it returns stays there.
        arguments: Arguments of ``prepare``; they are pickled.
        work: Called in a process with what ``prepare`` returned there, and one unit.
        stop_if_asked: Called before a unit is handed out; raises to stop. Units in flight are then waited for and yielded no more.
    """

    def __init__(
        self,
        workers: int,
        prepare: Callable[..., Prepared],
        arguments: tuple[Any, ...],
        work: Callable[[Prepared, Unit], Answer],
        stop_if_asked: Callable[[], None],
    ) -> None:
        self._count = workers
        self._prepare = prepare
        self._arguments = arguments
        self._work = work
        self._stop_if_asked = stop_if_asked
        self._stopping: PreemptedError | None = None

    def run(self, units: Sequence[Unit]) -> Iterator[Finished[Unit, Answer] | Died[Unit]]:
        """Work off all units; yields each as it ends, in any order.

        Raises:
            PreemptedError: ``stop_if_asked`` raised it; units that were in flight are yielded first.
            Exception: Whatever ``prepare`` or ``work`` raises.
        """
        waiting = deque(units)
        workers = [_Worker(_start_process()) for _ in range(min(self._count, len(units)))]
        running: dict[Future[Any], tuple[_Worker, Unit]] = {}
        try:
            for worker in workers:
                self._hand_out(running, waiting, worker)
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    worker, unit = running.pop(future)
                    try:
                        answer = future.result()
                    except BrokenProcessPool as error:
                        worker.executor.shutdown(wait=False)
                        worker.executor, worker.is_prepared = _start_process(), False
                        yield Died(unit, str(error).splitlines()[0])
                    else:
                        if not worker.is_prepared:
                            worker.is_prepared = True
                            self._submit(running, worker, unit)
                            continue
                        yield Finished(unit, answer)
                    self._hand_out(running, waiting, worker)
            if self._stopping is not None:
                raise self._stopping
        finally:
            for worker in workers:
                worker.executor.shutdown(wait=True, cancel_futures=True)

    def _hand_out(self, running: dict[Future[Any], tuple[_Worker, Unit]], waiting: deque[Unit], worker: _Worker) -> None:
        """Give a worker the next unit, unless there is none or the work is to stop."""
        if not waiting or self._stopping is not None:
            return
        try:
            self._stop_if_asked()
        except PreemptedError as error:
            self._stopping = error
            return
        self._submit(running, worker, waiting.popleft())

    def _submit(self, running: dict[Future[Any], tuple[_Worker, Unit]], worker: _Worker, unit: Unit) -> None:
        """Let a worker do what comes next for its unit: prepare itself, or work on it."""
        step = partial(_work_here, self._work, unit) if worker.is_prepared else partial(_prepare_here, self._prepare, self._arguments)
        running[worker.executor.submit(step)] = (worker, unit)


_here = SimpleNamespace()
"""What was prepared in this worker process."""


def _prepare_here(prepare: Callable[..., Prepared], arguments: tuple[Any, ...]) -> None:
    _here.prepared = prepare(*arguments)


def _work_here(work: Callable[[Prepared, Unit], Answer], unit: Unit) -> Answer:
    return work(_here.prepared, unit)


def _start_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_obey_parent)


def _obey_parent() -> None:
    """Stop when the parent says so, or ends, and at no signal."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the parent decides, between units
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed must not live on: it would write what nobody publishes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_sentinel([parent.sentinel])
        os._exit(1)
