"""What the exit code of ``bpp job run`` means to whoever started it.

=================  ============= ===========================================================
exit code          ending        what follows
=================  ============= ===========================================================
0                  done          the job record has the results
64 to 74, 76 to 78 permanent     the same input fails again: a person is needed
75                 retry         the same job may succeed later
137, 143           preempted     the machine was taken away: finished units are kept, continue at once
137 for its memory out of memory tried again: the same job may find more of it
all others         defect        a crash without a typed error: tried again, for it may be the machine's
=================  ============= ===========================================================

137 is for its memory where Kubernetes says ``OOMKilled``, and where a process was killed whose worker lives on: the kernel is
then the usual killer, and a machine that is taken away takes the worker along.

Source: ``sysexits.h`` (BSD) for 64 to 78; 128 + signal for 137 (SIGKILL) and 143 (SIGTERM).
"""

from enum import StrEnum

from blueprint_pipeline.errors import PreemptedError, TransientError

KILLED = 137


class Ending(StrEnum):
    """How a job's process ended."""

    DONE = "done"
    PERMANENT = "permanent"
    RETRY = "retry"
    PREEMPTED = "preempted"
    OUT_OF_MEMORY = "out of memory"
    DEFECT = "defect"


_PERMANENT = range(64, 79)


def exit_code_of(status: int) -> int:
    """The exit code as shells and Kubernetes write it, of a ``returncode`` of Python: ``-9`` is 137."""
    return status if status >= 0 else 128 - status


def ending_of(exit_code: int, *, for_memory: bool = False) -> Ending:
    """The meaning of an exit code, of a process that was killed for its memory or not."""
    if for_memory:
        return Ending.OUT_OF_MEMORY
    if exit_code == 0:
        return Ending.DONE
    if exit_code in {PreemptedError.exit_code, KILLED}:
        return Ending.PREEMPTED
    if exit_code == TransientError.exit_code:
        return Ending.RETRY
    return Ending.PERMANENT if exit_code in _PERMANENT else Ending.DEFECT
