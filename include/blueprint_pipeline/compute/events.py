"""Log events of a job, as they come out of its process or its pod, and as a person reads them."""

import json
import logging
from collections.abc import Mapping
from typing import Any

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "critical": logging.CRITICAL}
_IDS = {"event", "level", "timestamp", "run_id", "scene_id", "stage", "attempt", "correlation_id", "unit"}


def parse_event(line: str) -> dict[str, Any] | None:
    """The event in a line of a log; ``None`` for text that is not ours (a crash's output)."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def level_of(event: Mapping[str, Any]) -> int:
    """The event's level as a number of :mod:`logging`."""
    return _LEVELS.get(str(event.get("level")), logging.INFO)


def readable(event: Mapping[str, Any]) -> str:
    """A structured event as a line for people: what happened, then the facts that are not ids."""
    if event.get("event") == "progress":
        return f"{event.get('done')} of {event.get('total')} done"
    facts = " ".join(f"{name}={value}" for name, value in event.items() if name not in _IDS)
    return f"{event.get('event', '')} {facts}".rstrip()
