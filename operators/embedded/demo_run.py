"""The demo's Airflow process: runs the DAG to its end without a server, and tells what happens as JSON lines.

``python -m operators.embedded.demo_run CONF.json EVENTS.jsonl [DAG_FILE]``. A process of its own, so that
all of Airflow's output goes to a file.
"""

import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from blueprint_pipeline.compute.local import prepare_jobs, stop_local_jobs
from operators.embedded.airflow_home import ROOT

DAG_FILE = ROOT / "dags" / "scene_to_dataset.py"
GRACE_S = 20.0
"""How long stages get to finish their unit when the demo is ended."""


class EventFile:
    """Appends events; each line is whole when it is visible."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.task: dict[str, Any] = {}
        """The task that runs now: tasks of this process run one after the other."""

    def write(self, kind: str, **facts: Any) -> None:
        with self._lock:
            self._stream.write(json.dumps({"kind": kind, "at": time.time(), **facts}, default=str) + "\n")
            self._stream.flush()


def build_listener(events: EventFile) -> object:
    """An Airflow listener that writes every change of a task's state."""
    from airflow.listeners import hookimpl

    def emit(state: str, task_instance: Any, error: object = None) -> None:
        events.task = {"task_id": task_instance.task_id, "map_index": task_instance.map_index}
        facts = {"error": str(error)} if error else {}
        events.write("task", **events.task, state=state, try_number=task_instance.try_number, **facts)

    class Listener:
        @hookimpl
        def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
            del previous_state
            emit("running", task_instance)

        @hookimpl
        def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
            del previous_state
            emit("success", task_instance)

        @hookimpl
        def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:
            del previous_state
            emit("skipped", task_instance)

        @hookimpl
        def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: object) -> None:
            del previous_state
            emit("failed", task_instance, error)

    return Listener()


def prepare_database() -> None:
    """Make or migrate Airflow's database; nothing to do where it is up to date."""
    from airflow.utils.db import check_migrations, initdb

    try:
        check_migrations(0)
    except TimeoutError:
        initdb()


def serve_newest_version() -> None:
    """Let the API within this process answer in its newest version alone, which is the one that its only client speaks.

    Airflow serves all versions since 3.0, for workers that are older than their server, and writes the routes of each anew at every start
    (3.3.2: nine, in 3.5 s of CPU).
    """
    from airflow.api_fastapi.execution_api import versions
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG  # has no public name; routes that the newest version lacks carry it

    versions.bundle = VersionBundle(HeadVersion(), Version(versions.bundle.versions[0].value))
    routes = execution_api_router.routes
    routes[:] = [route for route in routes if _DELETED_ROUTE_TAG not in getattr(route, "tags", ())]


@contextmanager
def expire_approvals(events: EventFile) -> Iterator[None]:
    """Let windows of questions to people end, as a scheduler does: ``dag.test`` has none, and waits forever.

    Source: ``SchedulerJobRunner.check_awaiting_input_timeouts`` of Airflow 3.3, called here unchanged.
    """
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    runner = SchedulerJobRunner(job=Job())
    ended = threading.Event()

    def sweep() -> None:
        while not ended.wait(1.0):
            if events.task.get("task_id") == "approve_episodes":
                runner.check_awaiting_input_timeouts()

    thread = threading.Thread(target=sweep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def end_with_stages(number: int, _frame: object) -> None:
    """Ask running stages to end between two units, wait for them, and leave."""
    stop_local_jobs(GRACE_S)
    logging.shutdown()
    sys.stdout.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def run_dag(conf: dict[str, Any], events: EventFile, path: Path = DAG_FILE) -> str:
    """Run the DAG that a file is named after, with these parameters; return the run's state."""
    prepare_jobs()  # they import while Airflow does
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.listener import get_listener_manager

    from operators.stage_task import StageTask

    events.write("phase", text="preparing Airflow's database")
    prepare_database()
    serve_newest_version()
    events.write("phase", text="reading the DAG")
    bag = DagBag(path)
    if bag.import_errors:
        events.write("problem", text="; ".join(bag.import_errors.values()))
        return "failed"
    get_listener_manager().add_listener(build_listener(events))
    StageTask.watchers.append(lambda kind, data: events.write(f"stage_{kind}", **events.task, data=data))
    dag = bag.dags[path.stem]
    # Deadlines are watched by a scheduler; without one, Airflow 3.3's DAG.test() ends in an error when it looks for them.
    dag.deadline = None
    with expire_approvals(events):
        events.write("phase", text="running")
        run: Any = dag.test(run_conf=conf)
    for ti in run.get_task_instances():
        events.write("final", task_id=ti.task_id, map_index=ti.map_index, state=str(getattr(ti.state, "value", ti.state)))
    return str(getattr(run.state, "value", run.state))


def main(arguments: list[str]) -> int:
    """Run the DAG; 0 where it succeeded."""
    conf, target, *others = map(Path, arguments)
    path = others[0] if others else DAG_FILE
    handle: Callable[[int, object], None] = end_with_stages
    with target.open("a") as stream:
        events = EventFile(stream)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handle)
        state = run_dag(json.loads(conf.read_text()), events, path)
        events.write("run", state=state)
    return 0 if state == "success" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
