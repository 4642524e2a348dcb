"""The process of a local job, however it was started."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Protocol

from blueprint_pipeline.compute.fork_server import JobStart


class JobProcess(Protocol):
    """A process that leads a group of its own; what :class:`subprocess.Popen` says of itself."""

    pid: int
    returncode: int | None
    """``None`` until the end is known; the signal's number, negated, where one ended it."""

    @property
    def stderr(self) -> IO[bytes] | None:
        """What it logs."""

    def poll(self) -> int | None:
        """The return code, without waiting."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, in any thread.

        Raises:
            subprocess.TimeoutExpired: It is missing after ``timeout`` [s].
        """

    def terminate(self) -> None:
        """SIGTERM."""


def start_process(arguments: Sequence[str], environment: Mapping[str, str]) -> JobProcess:
    """A process that imports everything again."""
    return subprocess.Popen(
        [sys.executable, "-m", "blueprint_pipeline", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )


class ForkedJob:
    """A child of the fork server.

    Args:
        connection: To the server; closed when the job has ended.
        start: What the child is to do.

    Raises:
        EOFError: The server ended before the job had begun.
        OSError: Likewise.
    """

    def __init__(self, connection: socket.socket, start: JobStart) -> None:
        reading, writing = os.pipe()
        self.returncode: int | None = None
        self._stderr = os.fdopen(reading, "rb")
        self._ended = threading.Event()
        with connection:
            self._messages = connection.makefile("rb")  # keeps the connection open
            try:
                start.send(connection, writing)
                self.pid = self._receive("pid")
            except (EOFError, OSError):
                self._stderr.close()
                self._messages.close()
                raise
            finally:
                os.close(writing)
        threading.Thread(target=self._await_end, daemon=True).start()

    @property
    def stderr(self) -> IO[bytes]:
        """What it logs."""
        return self._stderr

    def poll(self) -> int | None:
        """The return code, without waiting."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; see :class:`JobProcess`."""
        if not self._ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired("job", timeout or 0.0)
        return self.returncode

    def terminate(self) -> None:
        """SIGTERM."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def _receive(self, name: str) -> int:
        line = self._messages.readline()
        if not line:
            raise EOFError(f"the fork server ended before it sent the {name}")
        return int(json.loads(line)[name])

    def _await_end(self) -> None:
        """Receive the status; a job whose server died cannot be waited for, and is killed."""
        try:
            status = self._receive("status")
        except (EOFError, OSError):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            status = -signal.SIGKILL
        self.returncode = status
        self._messages.close()
        self._ended.set()
