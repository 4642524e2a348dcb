"""Name a process so that others can tell later whether it still lives."""

import os
import socket
from functools import cache
from pathlib import Path

import psutil

_START_TOLERANCE_S = 1.0
"""Start times of one process, read twice, differ by less than this [s]."""


def this_process() -> str:
    """``host.boot|pid namespace|pid|start time``: unlike a pid alone, never the name of a later process."""
    return f"{_machine()}|{os.getpid()}|{_start_s(os.getpid()):.2f}"


def is_alive(process: str) -> bool | None:
    """Whether a process named by :func:`this_process` lives; ``None`` if it was on another machine or in another container."""
    machine, _, rest = process.partition("|pid:")
    if f"{machine}|pid:{rest.partition('|')[0]}" != _machine():
        return None
    pid, _, start_s = rest.partition("|")[2].partition("|")
    try:
        return abs(_start_s(int(pid)) - float(start_s)) < _START_TOLERANCE_S and psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@cache
def _machine() -> str:
    """Host, boot and PID namespace: pods of one job share their host name, and namespaces are numbered alike on every machine."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    host = f"{socket.gethostname()}.{boot.read_text().strip()}" if boot.exists() else socket.gethostname()
    namespace = Path("/proc/self/ns/pid")
    inside = str(namespace.readlink()) if namespace.is_symlink() else "pid:[machine]"
    return f"{host}|{inside}"


def _start_s(pid: int) -> float:
    return float(psutil.Process(pid).create_time())
