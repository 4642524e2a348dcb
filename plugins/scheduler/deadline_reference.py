"""When a run's deadline begins: as the run is queued, by a reference of our own.

Airflow moves deadlines of its reference ``DAGRUN_QUEUED_AT`` when a task is cleared, and fails on the way: it calls
``timedelta(seconds=...)`` with the serialized interval, so the API answers with 500 and nothing can be cleared while the deadline stands.
Deadlines of a reference of another name are left alone, so the deadline of a cleared run stays where it was.

Source: apache/airflow#70368; ``_recalculate_dagrun_queued_at_deadlines`` of Airflow 3.3.2.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from airflow.sdk.definitions.deadline import BaseDeadlineReference


@dataclass(eq=False)
class RunQueuedDeadline(BaseDeadlineReference):
    """So many hours after a run was queued; give its alert an interval of zero."""

    default_h: float = 4.0
    """For runs whose parameters do not say ``deadline_h``."""
    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}

    def serialize_reference(self) -> dict[str, Any]:
        """For Airflow's database."""
        return {**super().serialize_reference(), "default_h": self.default_h}

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> Self:
        """From Airflow's database."""
        return cls(default_h=float(reference_data["default_h"]))

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        from airflow.models.dagrun import DagRun
        from sqlalchemy import select

        found = session.execute(select(DagRun.queued_at, DagRun.conf).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one_or_none()
        if found is None or found.queued_at is None:
            return None
        queued_at: datetime = found.queued_at
        asked = (found.conf or {}).get("deadline_h")
        return queued_at + timedelta(hours=asked if isinstance(asked, int | float) and asked > 0 else self.default_h)
