"""The server that starts jobs as forks of itself: what they import is imported once, and a start costs milliseconds.

It has one thread, and nothing open but its socket and a connection a job. It forks when a caller connects; the *child* reads what the
caller sends, so a job's environment and secrets never enter the server. A connection carries:

1. caller to child: a :class:`JobStart` as JSON behind its length (4 bytes, network order), with the caller's log as a file descriptor;
2. child to caller: ``{"pid": …}``, once the child leads a process group of its own;
3. server to caller: ``{"status": …}``, once the child has ended, as :attr:`subprocess.Popen.returncode` says it.

The job of a caller that goes away is asked to end: nobody would read its result. Linux only (``pidfd_open``).
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn, Self

from blueprint_pipeline.settings import replace_environment

_LENGTH = struct.Struct("!I")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, kw_only=True)
class JobStart:
    """What a process is started with."""

    arguments: tuple[str, ...]
    """Of the program, without its name."""
    folder: str
    """Working directory."""
    environment: Mapping[str, str]
    """The whole of it."""

    def send(self, connection: socket.socket, log: int) -> None:
        """Send it, with the file descriptor that becomes the process's standard error."""
        data = json.dumps(asdict(self)).encode()
        socket.send_fds(connection, [_LENGTH.pack(len(data))], [log])
        connection.sendall(data)

    @classmethod
    def receive(cls, connection: socket.socket) -> tuple[Self, int]:
        """What was sent; the file descriptor is the receiver's to close.

        Raises:
            EOFError: The caller went away.
        """
        head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, 1)
        if len(head) != _LENGTH.size or not descriptors:
            raise EOFError("the caller went away before it said what to do")
        given = json.loads(_read(connection, _LENGTH.unpack(head)[0]))
        return cls(arguments=tuple(given["arguments"]), folder=given["folder"], environment=given["environment"]), descriptors[0]


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError("the caller went away while it said what to do")
        data += part
    return bytes(data)


@dataclass(frozen=True)
class _Job:
    """A child of the server."""

    pid: int
    ended: int
    """File descriptor that is readable once the child has ended."""
    caller: socket.socket


class ForkServer:
    """Forks a child for each connection.

    Args:
        listener: Bound and listening.
        path: Where it is bound; removed when the server ends.
        idle_s: The server ends after this long without a job [s].
    """

    def __init__(self, listener: socket.socket, path: Path, idle_s: float) -> None:
        self._listener, self._path, self._idle_s = listener, path, idle_s
        self._jobs: dict[int, _Job] = {}
        """By both file descriptors that the server listens to for a job."""
        self._poll = select.poll()
        self._woken, self._wakes = socket.socketpair()
        self._is_ending = False

    def serve(self) -> socket.socket | None:
        """Serve until idle, or until SIGTERM: then jobs are asked to end and waited for.

        Returns:
            In a child: the connection to its caller. ``None`` in the server, when it has ended.
        """
        gc.collect()
        gc.freeze()  # the collector of a child then writes to no page that it shares with the server
        for end in (self._listener, self._woken, self._wakes):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno())
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        self._poll.register(self._listener, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        while self._jobs or not self._is_ending:
            ready = self._poll.poll(None if self._jobs else self._idle_s * 1000)
            if not ready:
                self._stop_listening()
            for descriptor, _ in ready:
                caller = self._answer(descriptor)
                if caller is not None:
                    return caller
        return None

    def _answer(self, descriptor: int) -> socket.socket | None:
        """Do what a ready file descriptor asks for; returns the caller in a new child."""
        if descriptor == self._listener.fileno():
            return self._start_job()
        if descriptor == self._woken.fileno():
            self._woken.recv(64)
            self._stop_listening()
            self._ask_to_end(*{job.pid for job in self._jobs.values()})
        elif (job := self._jobs.get(descriptor)) is not None:
            if descriptor == job.ended:
                self._reap(job)
            else:
                self._poll.unregister(self._jobs.pop(descriptor).caller)
                self._ask_to_end(job.pid)
        return None

    def _start_job(self) -> socket.socket | None:
        try:
            caller, _ = self._listener.accept()
        except BlockingIOError:  # who called went away
            return None
        caller.setblocking(True)
        pid = os.fork()
        if pid == 0:
            self._become_child()
            return caller
        job = _Job(pid, os.pidfd_open(pid), caller)
        self._jobs |= {job.ended: job, caller.fileno(): job}
        self._poll.register(job.ended, select.POLLIN)
        self._poll.register(caller, 0)  # tells when the other end is closed; what is sent, the child reads
        return None

    def _become_child(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
        for job in set(self._jobs.values()):
            os.close(job.ended)
            job.caller.close()
        for end in (self._listener, self._woken, self._wakes):
            end.close()
        os.setsid()

    def _reap(self, job: _Job) -> None:
        _, status = os.waitpid(job.pid, 0)
        for descriptor in (job.ended, job.caller.fileno()):
            if self._jobs.pop(descriptor, None) is not None:
                self._poll.unregister(descriptor)
        os.close(job.ended)
        tell(job.caller, status=os.waitstatus_to_exitcode(status))
        job.caller.close()

    def _stop_listening(self) -> None:
        """Start nothing more; a caller that comes now starts another server."""
        if not self._is_ending:
            self._is_ending = True
            self._path.unlink(missing_ok=True)
            self._poll.unregister(self._listener)
            self._listener.close()

    def _ask_to_end(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)  # a child that has ended is there until it is reaped, and that is done here


def tell(connection: socket.socket, **facts: int) -> None:
    """Send one line to a caller, if it is still there."""
    try:
        connection.sendall(json.dumps(facts).encode() + b"\n")
    except OSError:
        return


def take_on_job(caller: socket.socket) -> None:
    """Make this process, a child of the server, what its caller asks for.

    Raises:
        EOFError: The caller went away.
    """
    start, log = JobStart.receive(caller)
    nothing = os.open(os.devnull, os.O_RDWR)
    for source, target in ((nothing, 0), (nothing, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    os.chdir(start.folder)
    replace_environment(start.environment)
    time.tzset()
    sys.argv[1:] = start.arguments
    tell(caller, pid=os.getpid())
    caller.close()


def run_and_leave(job: Callable[[], None]) -> NoReturn:
    """Do a job in a child of the server, and leave without taking a thousand modules apart (0.14 s).

    The forks of :mod:`multiprocessing` end in the same way.
    """
    status = 0
    try:
        job()
    except SystemExit as ended:
        if isinstance(ended.code, int):
            status = ended.code
        elif ended.code is not None:
            sys.stderr.write(f"{ended.code}\n")
            status = 1
    except BaseException:  # noqa: BLE001 -- the process ends here, whatever came; the interpreter would do just this
        traceback.print_exc()
        status = 1
    # What the interpreter does at its end:
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 -- waits for threads and executors; has no public name
    atexit._run_exitfuncs()  # noqa: SLF001 -- removes temporary folders, saves coverage; has no public name
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
