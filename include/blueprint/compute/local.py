"""Run a stage as a process of this machine."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from blueprint.compute.job import OnEvent, StageFailed, StageJob
from blueprint.errors import InternalError, TransientError
from blueprint.settings import environment_of_child


class LocalCompute:
    """One subprocess a stage, in a process group of its own; its log events are passed on as they come."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, job: StageJob, on_event: OnEvent) -> dict[str, Any]:
        """Run ``blueprint stage run`` and return the stage's result.

        Raises:
            StageFailed: The stage raised, or its process ended without a word (killed, out of memory: retryable).
        """
        with tempfile.TemporaryDirectory(prefix="blueprint-job-") as folder:
            request, result = Path(folder) / "request.json", Path(folder) / "result.json"
            request.write_text(json.dumps(dict(job.request)))
            self._process = subprocess.Popen(  # noqa: S603 -- our own program; the request goes through a file
                [*_command(job), "--request", str(request), "--result", str(result)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env=environment_of_child({"BLUEPRINT__LOG__FORMAT": "json", **job.environment}),
            )
            tail = _pass_on(self._process.stderr, on_event)
            exit_status = self._process.wait()
            return _outcome(job, exit_status, result, tail)

    def stop(self) -> None:
        """Send SIGTERM to the stage's process; it ends between two units and commits what is whole."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            threading.Timer(30.0, self._kill).start()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)


def _command(job: StageJob) -> list[str]:
    ids = ["--run-id", job.run_id, "--attempt", str(job.attempt), "--correlation-id", job.correlation_id or job.run_id]
    return [sys.executable, "-m", "blueprint", "stage", "run", job.stage, *ids]


def _pass_on(stream: IO[str] | None, on_event: OnEvent) -> list[str]:
    """Read log lines to the end; return the last plain-text lines (a crash's words are not JSON)."""
    plain: list[str] = []
    for line in stream or ():
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            on_event(event)
        elif line.strip():
            plain = [*plain[-39:], line.rstrip()]
            on_event({"event": line.rstrip(), "level": "info"})
    return plain


def _outcome(job: StageJob, exit_status: int, result: Path, tail: list[str]) -> dict[str, Any]:
    answer = json.loads(result.read_text()) if result.exists() else {}
    if exit_status == 0 and "result" in answer:
        found: dict[str, Any] = answer["result"]
        return found
    if "error" in answer:
        raise StageFailed(job.stage, answer["error"])
    last_words = tail[-1] if tail else "none"
    if exit_status < 0:
        ended = f"was ended by {signal.Signals(-exit_status).name} (out of memory is the usual cause)"
        advice = "Finished units are kept; a retry resumes."
    else:
        ended = f"ended with status {exit_status} without a typed error"
        advice = "This is a defect: report it with the log."
    raise StageFailed(
        job.stage,
        {
            "code": "compute.process_lost",
            "message": f"The process of stage {job.stage} {ended}. {advice} Its last words: {last_words}",
            "retryable": exit_status < 0,
            "exit_code": TransientError.exit_code if exit_status < 0 else InternalError.exit_code,
            "facts": {"exit_status": exit_status},
        },
    )
