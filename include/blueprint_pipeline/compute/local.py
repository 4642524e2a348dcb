"""Run a job as a process of this machine."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from blueprint_pipeline.compute.errors import JobCrashed, JobRecordMissing, JobRecordUnreadable, JobTimedOut, OutOfMemory
from blueprint_pipeline.compute.events import parse_event
from blueprint_pipeline.compute.exit_codes import KILLED, Ending, ending_of, exit_code_of
from blueprint_pipeline.compute.job import JobSpec, OnEvent, StageFailed, UnitDone
from blueprint_pipeline.compute.job_process import JobProcess, start_process
from blueprint_pipeline.compute.record import JobRecord, describe_first
from blueprint_pipeline.compute.warm_start import fork_job, start_server
from blueprint_pipeline.errors import BlueprintError, Interrupted
from blueprint_pipeline.settings import environment_of_child, load_settings

_HERE = "the worker"


Start = Callable[[Sequence[str], Mapping[str, str]], JobProcess]
"""Starts a process with arguments of ``bpp`` and an environment."""


def start_warm(arguments: Sequence[str], environment: Mapping[str, str]) -> JobProcess:
    """A fork of the server where there can be one, else a process of its own."""
    return fork_job(arguments, environment, idle_s=load_settings().compute.warm_s) or start_process(arguments, environment)


def prepare_jobs() -> None:
    """Start the server that jobs without variables of their own are forks of, for who will run some soon."""
    start_server(_environment_with({}), idle_s=load_settings().compute.warm_s)


_running: set["LocalCompute"] = set()
"""What has a job now, in this process."""


def stop_local_jobs(wait_s: float) -> None:
    """Ask every local job of this process to end between two units, and wait for that, at most ``wait_s`` [s] each."""
    for compute in tuple(_running):
        compute.stop()
        compute.wait(wait_s)


class LocalCompute:
    """One process a job, in a process group of its own; its log events are passed on as they come.

    Args:
        start: How a process is started; :func:`start_warm` if not given.
    """

    def __init__(self, start: Start | None = None) -> None:
        self._start = start or start_warm
        self._process: JobProcess | None = None
        self._grace_s = 0.0

    def run(self, spec: JobSpec, on_event: OnEvent) -> list[UnitDone]:
        """Run ``bpp job run`` and return what became of each request.

        A process that takes longer than its profile's ``timeout_s`` is ended, whether it says something or not. Nothing of its
        group outlives it.

        Raises:
            StageFailed: The stage raised.
            JobTimedOut: It took too long.
            PreemptedError: The process was asked to end, and said nothing.
            OutOfMemory: It was killed, and nobody here had asked it to end.
            JobCrashed: It ended without a typed error: a full disk, a defect.
            JobRecordMissing: It ended well and left no record.
            JobRecordUnreadable: It ended well, and its record cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="blueprint-pipeline-job-") as folder:
            given, record = Path(folder) / "spec.json", Path(folder) / "record.json"
            given.write_text(spec.model_dump_json())
            process = self._start(["job", "run", str(given), "--record", str(record)], _environment(spec))
            self._process, self._grace_s = process, spec.profile.grace_s
            _running.add(self)
            try:
                with _bounded(process, spec.profile.timeout_s, self._grace_s) as overdue:
                    tail = _pass_on(process.stderr, on_event)
                    status = process.wait()
            finally:
                _running.discard(self)
            if overdue.is_set() and status != 0:
                raise JobTimedOut(spec.name, _HERE, spec.profile.timeout_s)
            return _outcome(spec, status, record, tail)

    def stop(self) -> None:
        """Send SIGTERM to the job's process; it ends between two units and commits what is whole. After its grace it is killed."""
        if self._process is not None and self._process.poll() is None:
            _start(_end, self._process, self._grace_s)

    def wait(self, timeout_s: float) -> None:
        """Wait until the job's process has ended, or ``timeout_s`` [s] are over."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)


@contextmanager
def _bounded(process: JobProcess, timeout_s: float, grace_s: float) -> Iterator[threading.Event]:
    """End a process after ``timeout_s`` [s], or when the caller is interrupted; yields the event that it took too long.

    When it is over, what it leaves of its group is killed: a child that holds the log open would be waited for without end.
    """
    overdue = threading.Event()

    def end_overdue() -> None:
        overdue.set()
        _end(process, grace_s)

    def clear_up() -> None:
        process.wait()
        _kill_group(process)

    timer = threading.Timer(timeout_s, end_overdue)
    timer.daemon = True
    timer.start()
    _start(clear_up)
    try:
        yield overdue
    finally:
        timer.cancel()
        if process.poll() is None:
            _end(process, grace_s)


def _end(process: JobProcess, grace_s: float) -> None:
    """SIGTERM to the process, and SIGKILL to its group if it is still there after ``grace_s`` [s]."""
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        _kill_group(process)


def _kill_group(process: JobProcess) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _start(work: Callable[..., None], *given: Any) -> None:
    threading.Thread(target=work, args=given, daemon=True).start()


def _environment(spec: JobSpec) -> dict[str, str]:
    secrets = {name: value.get_secret_value() for name, value in spec.secrets.items()}
    return _environment_with({**spec.profile.environment, **secrets})


def _environment_with(variables: Mapping[str, str]) -> dict[str, str]:
    """A job's own variables over those of this process; numerical libraries use one thread, for stages count their processes."""
    given = environment_of_child({"BPP__LOG__FORMAT": "json", **variables})
    return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **given}


def _pass_on(stream: IO[bytes] | None, on_event: OnEvent) -> list[str]:
    """Read log lines to the end; return the last plain-text lines (a crash's output is not JSON)."""
    plain: list[str] = []
    for data in stream or ():
        line = data.decode(errors="backslashreplace")
        event = parse_event(line)
        if event is not None:
            on_event(event)
        elif line.strip():
            plain = [*plain[-39:], line.rstrip()]
            on_event({"event": line.rstrip(), "level": "info"})
    return plain


def _outcome(spec: JobSpec, status: int, path: Path, tail: list[str]) -> list[UnitDone]:
    record = _read_record(spec, status, path)
    if status == 0 and record is not None:
        return record.done()
    if record is not None and record.error is not None:
        raise StageFailed(record.error, spec.stage)
    raise _untyped_failure(spec, status, path, tail)


def _read_record(spec: JobSpec, status: int, path: Path) -> JobRecord | None:
    """What the process recorded; ``None`` where there is nothing, or half of it because the process was killed.

    Raises:
        JobRecordUnreadable: The process ended well, and its record cannot be read.
    """
    try:
        return JobRecord.model_validate_json(path.read_bytes()) if path.exists() else None
    except ValidationError as error:
        if status == 0:
            raise JobRecordUnreadable(spec.name, str(path), describe_first(error)) from error
        return None


def _untyped_failure(spec: JobSpec, status: int, path: Path, tail: list[str]) -> BlueprintError:
    """The error of a process that left no error of its own, by the same table as a pod's."""
    code = exit_code_of(status)
    ending = ending_of(code, for_memory=code == KILLED)
    if ending is Ending.DONE:
        return JobRecordMissing(spec.name, _HERE, str(path))
    if ending is Ending.PREEMPTED:
        return Interrupted(f"Job {spec.name} on {_HERE}")
    if ending is Ending.OUT_OF_MEMORY:
        return OutOfMemory(spec.name, _HERE)
    if ending is Ending.PERMANENT:
        message = f"Job {spec.name} on {_HERE} ended with status {code}; its last output: {_last_output(tail)}"
        return StageFailed({"code": "stage.failed", "message": message, "retryable": False, "exit_code": code}, spec.stage)
    reason = signal.Signals(-status).name if status < 0 else "no signal"
    return JobCrashed(spec.name, _HERE, code, reason, _last_output(tail))


def _last_output(tail: list[str]) -> str:
    return tail[-1] if tail else "none"
