"""Read a pod's log piece by piece: after a cut stream, without loss and without doubles.

The API takes ``sinceTime`` in whole seconds, so a second is asked for again, and what was seen of it is skipped.
"""

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict


class LogCursor(BaseModel):
    """How far a log was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stamp: str = ""
    """Time stamp of the last line, as the API wrote it (RFC 3339, nanoseconds)."""
    same: int = 0
    """Lines seen with just this time stamp."""

    @property
    def since_time(self) -> datetime | None:
        """From when to read on; ``None``: from the start."""
        return datetime.fromisoformat(self.stamp[:19] + "+00:00") if self.stamp else None


def read_on(cursor: LogCursor, lines: Iterable[str]) -> tuple[list[str], LogCursor]:
    """The new ones of some lines with time stamps, and how far the log was read then.

    Args:
        cursor: How far it was read before.
        lines: From ``cursor.since_time`` on, in order, each ``<time stamp> <text>``.
    """
    fresh: list[str] = []
    stamp, same, again = cursor.stamp, cursor.same, 0
    for line in lines:
        found, _, text = line.partition(" ")
        if not found[:4].isdigit():
            continue  # a piece of a line that the API cut
        if _order(found) < _order(cursor.stamp):
            continue
        if found == cursor.stamp:
            again += 1
            if again <= cursor.same:
                continue
        same = same + 1 if found == stamp else 1
        stamp = found
        fresh.append(text)
    return fresh, LogCursor(stamp=stamp, same=same)


def _order(stamp: str) -> tuple[str, str]:
    """Sorts time stamps whose trailing zeros the API leaves out."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return whole, fraction.ljust(9, "0")
