"""What a person makes of a run stands, whatever the scheduler makes of it meanwhile.

A person who cancels a run fails its running tasks, and Airflow skips the others; a run whose last task was skipped counts as a success. A
scheduler that read the run before that and its tasks after it calls it one, and where the database locks no rows (SQLite) it writes so
over what the person set. So the scheduler ends only a run that still runs in the database.

Source: apache/airflow#45530; ``DagRun.update_state`` and ``set_dag_run_state_to_failed`` of Airflow 3.3.2.
"""

import logging
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)


def keep_state(dag_run: Any) -> None:
    """Give a run that a session is about to end the state that others set meanwhile, if they did.

    The look is a write: nobody else can set a state between it and the end of the session's transaction.
    """
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from sqlalchemy import select, update
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    this = DagRun.id == dag_run.id
    look = update(DagRun).where(this, DagRun.state == DagRunState.RUNNING).values(updated_at=DagRun.updated_at)
    with session.no_autoflush:  # what this session is about to write is not what others wrote
        runs = session.connection().execute(look).rowcount
        stands = dag_run.state if runs else session.scalar(select(DagRun.state).where(this))
    if stands in {None, dag_run.state}:
        return
    log.warning("run %s of %s was set to %s meanwhile, and is not %s", dag_run.run_id, dag_run.dag_id, stands, dag_run.state)
    dag_run.set_state(DagRunState(stands))


class RunEndListener:
    """Lets what a person made of a run stand; its errors are logged by Airflow and stop nothing."""

    def __init__(self) -> None:
        self._in_scheduler = False
        """Other processes of Airflow tell of what a person does, before it is written."""

    @hookimpl
    def on_starting(self, component: object) -> None:
        """A process of Airflow starts."""
        self._in_scheduler |= getattr(component, "job_type", None) == "SchedulerJob"

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:
        """A run is about to have succeeded."""
        del msg
        if self._in_scheduler:
            keep_state(dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        """A run is about to have failed."""
        del msg
        if self._in_scheduler:
            keep_state(dag_run)
