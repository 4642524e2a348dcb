"""Wait without a worker and without spending a try, then let the task go on."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, Literal

from airflow.triggers.base import BaseTrigger, TriggerEvent
from pydantic import BaseModel, ConfigDict

from plugins.providers.kubernetes.pod_trigger import JobEvent

PAUSED: Final = "paused"
_JITTER = 0.2
"""Share of the pause by which tasks that began together come apart."""


class Pause(BaseModel):
    """What a task waits for, since when, and what it does then."""

    # A worker writes it, a triggerer and another worker read it, and they may be of two versions.
    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["paused"] = PAUSED
    code: str
    """Of the error that the wait is for."""
    since: datetime
    pause_s: float
    told: JobEvent | None = None
    """What is to be done after it: settle this; ``None``: find or make the pod."""


class PauseTrigger(BaseTrigger):
    """Sleep, and hand back what was given."""

    def __init__(self, pause: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow does not type it
        self.pause = Pause.model_validate(pause)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class and arguments, for the triggerer."""
        return f"{__name__}.{type(self).__name__}", {"pause": self.pause.model_dump(mode="json")}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, after the pause."""
        await asyncio.sleep(self.pause.pause_s * (1 + random.uniform(0, _JITTER)))
        yield TriggerEvent(self.pause.model_dump(mode="json"))
