"""Ids that are made of other ids: readable, and never longer than the column that keeps them.

An id of Airflow's has up to 250 characters, and an id of ours may name a DAG, a run and a time. SQLite takes any length; PostgreSQL
refuses what does not fit.
"""

from datetime import datetime

from blueprint_pipeline.registry.records import MessageKind
from blueprint_pipeline.workspace.canonical import key_of

ID_CHARACTERS = 255
"""Of an id in the registry."""
_DIGITS = 16
"""Of the digest that stands for what was cut off."""


def shorten_id(whole: str, limit: int = ID_CHARACTERS) -> str:
    """``whole`` where it fits, else its beginning, ``~`` and a digest of all of it, so that two ids stay two."""
    if len(whole) <= limit:
        return whole
    return f"{whole[: limit - _DIGITS - 1]}~{key_of({'id': whole})[:_DIGITS]}"


def run_name(dag_id: str, run_id: str) -> str:
    """A run among the runs of all DAGs: two DAGs of one schedule have runs of one id."""
    return f"{dag_id}/{run_id}"


def message_id(kind: MessageKind, *event: object) -> str:
    """The id of the message about an event: the same event is the same message.

    Args:
        kind: What the message is about.
        event: What tells the event from others of its kind, e.g. DAG, run and time; ``None`` where there is nothing to tell.
    """
    return shorten_id("/".join((kind, *map(_plain, event))))


def _plain(part: object) -> str:
    if part is None:
        return ""
    return part.isoformat() if isinstance(part, datetime) else str(part)
