"""Run a job as a process of this machine."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from blueprint_pipeline.compute.errors import JobCrashed, JobRecordMissing, JobTimedOut, OutOfMemory
from blueprint_pipeline.compute.events import parse_event
from blueprint_pipeline.compute.exit_codes import KILLED, Ending, ending_of, exit_code_of
from blueprint_pipeline.compute.job import JobSpec, OnEvent, StageFailed
from blueprint_pipeline.compute.record import JobRecord
from blueprint_pipeline.errors import BlueprintError, Interrupted
from blueprint_pipeline.settings import environment_of_child

_HERE = "the worker"


class LocalCompute:
    """One subprocess a job, in a process group of its own; its log events are passed on as they come."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._grace_s = 0.0

    def run(self, spec: JobSpec, on_event: OnEvent) -> list[dict[str, Any]]:
        """Run ``bpp job run`` and return the stage's results.

        A process that takes longer than its profile's ``timeout_s`` is ended, whether it says something or not. Nothing of its
        group outlives it.

        Raises:
            StageFailed: The stage raised.
            JobTimedOut: It took too long.
            PreemptedError: The process was asked to end, and said nothing.
            OutOfMemory: It was killed, and nobody here had asked it to end.
            JobCrashed: It ended without a typed error: a full disk, a defect.
            JobRecordMissing: It ended well and left no record.
        """
        with tempfile.TemporaryDirectory(prefix="blueprint-pipeline-job-") as folder:
            given, record = Path(folder) / "spec.json", Path(folder) / "record.json"
            given.write_text(spec.model_dump_json())
            secrets = {name: value.get_secret_value() for name, value in spec.secrets.items()}
            process = subprocess.Popen(  # noqa: S603 -- our own program; the request goes through a file
                [*_command(), str(given), "--record", str(record)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="backslashreplace",  # native libraries write what they like
                start_new_session=True,
                env=environment_of_child({"BPP__LOG__FORMAT": "json", **spec.profile.environment, **secrets}),
            )
            self._process, self._grace_s = process, spec.profile.grace_s
            with _bounded(process, spec.profile.timeout_s, self._grace_s) as overdue:
                tail = _pass_on(process.stderr, on_event)
                status = process.wait()
            if overdue.is_set() and status != 0:
                raise JobTimedOut(spec.name, _HERE, spec.profile.timeout_s)
            return _outcome(spec, status, record, tail)

    def stop(self) -> None:
        """Send SIGTERM to the job's process; it ends between two units and commits what is whole. After its grace it is killed."""
        if self._process is not None and self._process.poll() is None:
            _start(_end, self._process, self._grace_s)


@contextmanager
def _bounded(process: subprocess.Popen[str], timeout_s: float, grace_s: float) -> Iterator[threading.Event]:
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


def _end(process: subprocess.Popen[str], grace_s: float) -> None:
    """SIGTERM to the process, and SIGKILL to its group if it is still there after ``grace_s`` [s]."""
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        _kill_group(process)


def _kill_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _start(work: Callable[..., None], *given: Any) -> None:
    threading.Thread(target=work, args=given, daemon=True).start()


def _command() -> list[str]:
    return [sys.executable, "-m", "blueprint_pipeline", "job", "run"]


def _pass_on(stream: IO[str] | None, on_event: OnEvent) -> list[str]:
    """Read log lines to the end; return the last plain-text lines (a crash's words are not JSON)."""
    plain: list[str] = []
    for line in stream or ():
        event = parse_event(line)
        if event is not None:
            on_event(event)
        elif line.strip():
            plain = [*plain[-39:], line.rstrip()]
            on_event({"event": line.rstrip(), "level": "info"})
    return plain


def _outcome(spec: JobSpec, status: int, path: Path, tail: list[str]) -> list[dict[str, Any]]:
    record = JobRecord.model_validate_json(path.read_text()) if path.exists() else None
    if status == 0 and record is not None:
        return record.results()
    if record is not None and record.error is not None:
        raise StageFailed(record.error, spec.stage)
    raise _error_without_words(spec, status, path, tail)


def _error_without_words(spec: JobSpec, status: int, path: Path, tail: list[str]) -> BlueprintError:
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
        message = f"Job {spec.name} on {_HERE} ended with status {code}; its last output: {_last_words(tail)}"
        return StageFailed({"code": "stage.failed", "message": message, "retryable": False, "exit_code": code}, spec.stage)
    reason = signal.Signals(-status).name if status < 0 else "no signal"
    return JobCrashed(spec.name, _HERE, code, reason, _last_words(tail))


def _last_words(tail: list[str]) -> str:
    return tail[-1] if tail else "none"
