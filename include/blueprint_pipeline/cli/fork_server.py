"""``python -m blueprint_pipeline.cli.fork_server DESCRIPTOR SOCKET IDLE_S``: imports what stages import, then starts jobs as forks.

Started by :mod:`blueprint_pipeline.compute.warm_start`, never by people. A job is what ``bpp`` does with the job's arguments.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from socket import socket

_THREADS = Path("/proc/self/task")
_IMPORTED_LATE = ("blueprint_pipeline.compute.run_job", "blueprint_pipeline.stage.pool")
"""What jobs import within functions."""


def main(arguments: list[str]) -> None:
    """Serve, detached from the caller; in a child, be ``bpp``."""
    if os.fork() != 0:
        os._exit(0)
    from blueprint_pipeline.cli import app
    from blueprint_pipeline.compute.fork_server import ForkServer, run_and_leave, take_on_job
    from blueprint_pipeline.registry.tables import Base
    from blueprint_pipeline.stage.flow import STAGES
    from blueprint_pipeline.workspace.commits import package_versions

    for module in (*dict.fromkeys(row.module for row in STAGES.values()), *_IMPORTED_LATE):
        import_module(module)
    Base.registry.configure()  # once, instead of in every job: 30 ms each
    package_versions()  # likewise; another server takes over when a package is installed
    threads = len(list(_THREADS.iterdir()))
    if threads != 1:
        sys.exit(f"{threads} threads run after the imports: a fork would leave all but one behind.")
    descriptor, path, idle_s = arguments
    caller = ForkServer(socket(fileno=int(descriptor)), Path(path), float(idle_s)).serve()
    if caller is not None:
        take_on_job(caller)
        run_and_leave(app.main)


if __name__ == "__main__":
    main(sys.argv[1:])
