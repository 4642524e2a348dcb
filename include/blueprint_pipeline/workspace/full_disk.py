"""A full disk, raised as one error whichever library ran into it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from blueprint_pipeline.errors import TransientError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskFull(TransientError):
    """There is no room for a file, or the quota is used up."""

    code = "workspace.disk_full"
    template = "There is no room to write {path}: {reason}. Free space on that disk, or take another one; finished work is kept."

    path: str
    reason: str


@contextmanager
def name_full_disk() -> Iterator[None]:
    """Within the block, an ``OSError`` for lack of room becomes a :class:`DiskFull`; any other passes.

    Raises:
        DiskFull: There was no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull(str(error.filename or "a file"), error.strerror or str(error)) from error
        raise
