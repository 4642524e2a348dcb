"""Measure what a piece of work uses, on its process and all children that it waited for."""

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import psutil

from blueprint_pipeline.errors import InternalError
from blueprint_pipeline.workspace.commits import UnitUsage, Usage

_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
"""Unit of ``ru_maxrss``: kilobytes on Linux, bytes on macOS."""


class NotMeasured(InternalError):
    """Usage was asked for before the block ended."""

    code = "cost.not_measured"
    template = "Usage was read inside of its `with measure_usage()` block; read it after the block."


class MeasuredUsage:
    """The usage of a ``with`` block, once it has ended."""

    def __init__(self) -> None:
        self._usage: Usage | None = None

    @property
    def usage(self) -> Usage:
        """What the block used.

        Raises:
            NotMeasured: The block has not ended.
        """
        if self._usage is None:
            raise NotMeasured
        return self._usage

    def end(self, usage: Usage) -> None:
        """The block has ended, and used this."""
        self._usage = usage


@contextmanager
def measure_usage() -> Iterator[MeasuredUsage]:
    """Measure the block; also when it raises.

    CPU time is user + system time of the process and of children that ended and were waited for; a child that still
    runs, or was left to itself, is not in it. Bytes are those of read(2) and write(2) calls, pipes included, files
    mapped to memory not; ``None`` where the system does not count them (macOS). The peak of memory is the largest
    resident set of one process since that process began: an upper bound where a process runs several stages.

    Source: getrusage(2); proc(5), ``/proc/[pid]/io``, which also sums up children that were waited for.
    """
    measurement = MeasuredUsage()
    wall_s, cpu_s, (read, written) = time.perf_counter(), _cpu_s(), _bytes()
    try:
        yield measurement
    finally:
        read_end, written_end = _bytes()
        usage = Usage(
            wall_s=time.perf_counter() - wall_s,
            cpu_s=max(0.0, _cpu_s() - cpu_s),
            peak_memory_bytes=_peak_memory_bytes(),
            bytes_read=None if read is None or read_end is None else read_end - read,
            bytes_written=None if written is None or written_end is None else written_end - written,
        )
        measurement.end(usage)


def usage_of_unit(measured: Usage, *, machine: str, side_by_side: int) -> UnitUsage:
    """What a unit took that was measured in its own process and ended just now.

    Args:
        measured: Of the process, while it worked on the unit.
        machine: Machine profile of the price table.
        side_by_side: How many processes shared the machine: the wall time of each is its part of the machine's.
    """
    usage = measured.model_copy(update={"wall_s": measured.wall_s / side_by_side})
    return UnitUsage(machine=machine, finished_at=datetime.now(UTC), usage=usage)


def add_usages(usages: Sequence[Usage]) -> Usage:
    """Times and bytes added up, the largest of the peaks; bytes that one of them did not count are not known."""
    return Usage(
        wall_s=sum(usage.wall_s for usage in usages),
        cpu_s=sum(usage.cpu_s for usage in usages),
        peak_memory_bytes=max((usage.peak_memory_bytes for usage in usages), default=0),
        bytes_read=_sum_or_none([usage.bytes_read for usage in usages]),
        bytes_written=_sum_or_none([usage.bytes_written for usage in usages]),
    )


def _sum_or_none(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_memory_bytes() -> int:
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * _MAXRSS_BYTES


def _bytes() -> tuple[int | None, int | None]:
    try:
        counters = psutil.Process().io_counters()
    except (AttributeError, OSError, RuntimeError, psutil.Error):
        # Not known, which is not zero. psutil has no such counters on macOS and without /proc/self/io (AttributeError); a sandbox may
        # leave that file unreadable (OSError, psutil.Error) or empty (RuntimeError).
        return None, None
    return counters.read_chars, counters.write_chars
