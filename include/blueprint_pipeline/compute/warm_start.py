"""Starts jobs as forks of a server (:mod:`blueprint_pipeline.compute.fork_server`) that processes like this one share.

The server is found by its socket, in a folder that this user alone can enter. The socket's name is a hash over what a fork has from its
server and a job could want otherwise: code, interpreter, variables that are read at a start or an import, limits, cores, priority.
So changed code is served by another server; the one before ends when it is idle.
"""

import fcntl
import hashlib
import json
import os
import resource
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import blueprint_pipeline
from blueprint_pipeline.compute.fork_server import JobStart
from blueprint_pipeline.compute.job_process import ForkedJob
from blueprint_pipeline.log import get_logger

SERVER_MODULE = "blueprint_pipeline.cli.fork_server"
_READ_AT_START = (
    *("COVERAGE", "GLIBC", "HOME", "LANG", "LC_", "LD_", "MALLOC", "MPL", "MUJOCO", "NPY_", "OMP_", "OPENBLAS", "PATH", "PYTHON", "TMP"),
)
"""How variables begin that count when a process starts or imports: a server is given these alone."""
_WITHOUT_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""A process that forks has one thread. Source: jemalloc, "background_thread"; pyarrow brings one under the prefix JE_ARROW_, and starts its
thread though it allocates with mimalloc."""
_KEY_LENGTH = 24


def fork_job(arguments: Sequence[str], environment: Mapping[str, str], *, idle_s: float, module: str = SERVER_MODULE) -> ForkedJob | None:
    """Start a job as a fork of the server, which is started if need be.

    Args:
        arguments: Of ``bpp``.
        environment: The whole environment of the job.
        idle_s: How long a server that is started here stays without a job [s]; 0: there is none.
        module: What the server runs.

    Returns:
        The job; ``None`` where no server can be had: another system than Linux, a folder that others can enter, a server that ends.
    """
    if not _can_be_had(idle_s):
        return None
    start = JobStart(arguments=tuple(arguments), folder=str(Path.cwd()), environment=environment)
    try:
        path, server = _server_for(environment, idle_s, module)
        return _ask(path, start) or _ask_new(path, start, server)
    except (EOFError, OSError, subprocess.SubprocessError) as error:
        get_logger().warning("no fork server, so the job imports everything again", reason=str(error))
        return None


def start_server(environment: Mapping[str, str], *, idle_s: float, module: str = SERVER_MODULE) -> None:
    """Start the server if there is none: it imports while the caller has something else to do. What prevents it prevents no job.

    Arguments are those of :func:`fork_job`.
    """
    if not _can_be_had(idle_s):
        return
    with suppress(OSError, subprocess.SubprocessError):
        path, server = _server_for(environment, idle_s, module)
        with _locked(path.with_suffix(".lock")):
            if not path.exists():
                server.start(path)


def _can_be_had(idle_s: float) -> bool:
    return idle_s > 0 and hasattr(os, "pidfd_open")


def _server_for(environment: Mapping[str, str], idle_s: float, module: str) -> tuple[Path, "_Server"]:
    """Where the server for jobs with an environment listens, and how it is started."""
    for_server = {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)} | _WITHOUT_THREADS
    return _private_folder() / f"{_server_key(for_server, module)[:_KEY_LENGTH]}.socket", _Server(for_server, idle_s, module)


def _ask(path: Path, start: JobStart) -> ForkedJob | None:
    """Start a job on the server that is there; ``None`` where there is none, or it just ended for want of jobs."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
        return ForkedJob(connection, start)
    except (EOFError, FileNotFoundError, ConnectionError):
        connection.close()
        return None


def _ask_new(path: Path, start: JobStart, server: "_Server") -> ForkedJob:
    """Start a server, unless another caller did so meanwhile, and a job on it.

    Raises:
        EOFError: The server ended at once.
        OSError: Likewise; or it cannot be started.
    """
    connection = socket.socket(socket.AF_UNIX)
    with _locked(path.with_suffix(".lock")):
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            server.start(path)
            connection.connect(str(path))
    return ForkedJob(connection, start)


@dataclass(frozen=True)
class _Server:
    """How a server is started."""

    environment: Mapping[str, str]
    idle_s: float
    module: str

    def start(self, path: Path) -> None:
        """Bind the socket and hand it to a new process: callers can connect before it is ready."""
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener, path.with_suffix(".log").open("wb") as log:
            listener.bind(str(path))
            listener.listen()
            subprocess.run(
                [sys.executable, "-m", self.module, str(listener.fileno()), str(path), str(self.idle_s)],
                check=True,
                cwd="/",
                env=self.environment,
                pass_fds=[listener.fileno()],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _private_folder() -> Path:
    """The folder of this user's sockets.

    Raises:
        PermissionError: It is not this user's alone.
    """
    folder = Path(tempfile.gettempdir()) / f"blueprint-pipeline-{os.getuid()}"
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        raise PermissionError(f"{folder} is not a folder that this user alone can enter")
    return folder


def _server_key(environment: Mapping[str, str], module: str) -> str:
    inherited = {
        "limits": [resource.getrlimit(getattr(resource, name)) for name in sorted(dir(resource)) if name.startswith("RLIMIT_")],
        "cores": sorted(os.sched_getaffinity(0)),
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "cgroup": Path("/proc/self/cgroup").read_text(),
        "umask": Path("/proc/self/status").read_text().partition("Umask:")[2].split()[0],
    }
    started = {"environment": dict(environment), "module": module, "interpreter": [sys.executable, sys.version], "code": _code_state()}
    return hashlib.sha256(json.dumps([inherited, started], sort_keys=True).encode()).hexdigest()


def _code_state() -> list[object]:
    """Changes whenever a module of ours or an installed package does: names, sizes, times of change."""
    package = Path(blueprint_pipeline.__file__).parent
    files = ((path, path.stat()) for path in sorted(package.rglob("*.py")))
    installed = [Path(sysconfig.get_path(name)).stat().st_mtime_ns for name in ("purelib", "platlib")]
    return [installed, [[str(path), found.st_size, found.st_mtime_ns] for path, found in files]]
