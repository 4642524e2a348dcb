"""Read a pod's log piece by piece: after a cut stream, without loss and without doubles.

The API takes ``sinceTime`` in whole seconds, so a second is asked for again, and what was seen of it is skipped.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from pydantic import BaseModel, ConfigDict

LINE_BYTES = 2**18
"""A longer line is passed on up to here; how much is missing stands at its end."""


class LineCutter:
    """Makes lines of a stream's pieces, in bounded memory whatever a line's length."""

    def __init__(self, limit: int = LINE_BYTES) -> None:
        self._limit = limit
        self._held = bytearray()
        self._left_out = 0

    def feed(self, piece: bytes) -> Iterator[str]:
        """The lines that a piece ends."""
        *whole, rest = piece.split(b"\n")
        for part in whole:
            self._hold(part)
            yield from self.end()
        self._hold(rest)

    def end(self) -> Iterator[str]:
        """What the last piece left without an end of line."""
        if self._held or self._left_out:
            text = self._held.decode("utf-8", errors="replace")
            yield f"{text} … {self._left_out} more bytes of this line are in the pod's log" if self._left_out else text
        self._held, self._left_out = bytearray(), 0

    def _hold(self, part: bytes) -> None:
        room = self._limit - len(self._held)
        self._held += part[:room]
        self._left_out += max(0, len(part) - room)


class LogCursor(BaseModel):
    """How far a log was read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stamp: str = ""
    """Time stamp of the last line, as the API wrote it (RFC 3339, nanoseconds)."""
    same: int = 0
    """Lines seen with just this time stamp."""

    @property
    def since_time(self) -> datetime | None:
        """From when to read on; ``None``: from the start."""
        return datetime.fromisoformat(self.stamp[:19] + "+00:00") if self.stamp else None


class LogReading:
    """One answer of the API, read piece by piece.

    Args:
        cursor: How far the log was read before.

    Attributes:
        cursor: How far it is read now.
    """

    def __init__(self, cursor: LogCursor) -> None:
        self.cursor = cursor
        self._before = cursor
        self._again = 0

    def fresh(self, lines: Iterable[str]) -> list[str]:
        """The new ones of the next lines, each ``<time stamp> <text>``, without their time stamps."""
        found = []
        for line in lines:
            stamp, _, text = line.partition(" ")
            if self._is_fresh(stamp):
                found.append(text)
                same = self.cursor.same + 1 if stamp == self.cursor.stamp else 1
                self.cursor = LogCursor(stamp=stamp, same=same)
        return found

    def _is_fresh(self, stamp: str) -> bool:
        if not stamp[:4].isdigit():
            return False  # a piece of a line that a cut stream left
        if stamp == self._before.stamp:
            self._again += 1
            return self._again > self._before.same
        return _order(stamp) >= _order(self._before.stamp)


def read_on(cursor: LogCursor, lines: Iterable[str]) -> tuple[list[str], LogCursor]:
    """The new ones of a whole answer's lines, from ``cursor.since_time`` on, and how far the log was read then."""
    reading = LogReading(cursor)
    return reading.fresh(lines), reading.cursor


def _order(stamp: str) -> tuple[str, str]:
    """Sorts time stamps whose trailing zeros the API leaves out."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return whole, fraction.ljust(9, "0")
