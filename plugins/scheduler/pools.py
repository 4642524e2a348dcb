"""The pools that tasks name exist before a run starts.

A task whose pool does not exist is never scheduled, and Airflow says so in the scheduler's log alone. So the scheduler makes what is
missing when it starts and with every run that it starts, in whatever deployment it runs; it changes no pool that is there.
"""

import logging
from typing import Any

from airflow.listeners import hookimpl

from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.flow import STAGES

SLOTS = {"local": 1, "kubernetes": 16}
"""Of a pool that is made, by where stages run: a process uses all cores of its worker, a pod has its own. Change the pool, not this."""

log = logging.getLogger(__name__)


def pool_names() -> list[str]:
    """The pools that stages name."""
    return sorted({row.pool for row in STAGES.values() if row.pool})


def make_missing_pools(session: Any) -> list[str]:
    """Add the pools that are missing to a session of Airflow's database; their names."""
    from airflow.models.pool import Pool
    from sqlalchemy import select

    there = set(session.scalars(select(Pool.pool).where(Pool.pool.in_(pool_names()))))
    missing = [name for name in pool_names() if name not in there]
    slots = SLOTS[load_settings().compute.kind]
    for name in missing:
        log.warning("pool '%s' did not exist: made with %d slots", name, slots)
        session.add(Pool(pool=name, slots=slots, description=f"Tasks of stages ({name}) that run at once.", include_deferred=True))
    return missing


class PoolListener:
    """Makes missing pools; its errors are logged by Airflow and stop nothing."""

    @hookimpl
    def on_starting(self, component: object) -> None:
        """A process of Airflow starts; the scheduler is one that has the database."""
        if getattr(component, "job_type", None) == "SchedulerJob":
            from airflow.utils.session import create_session

            with create_session() as session:
                make_missing_pools(session)

    @hookimpl
    def on_dag_run_running(self, dag_run: Any, msg: str) -> None:
        """A run starts; what is made becomes part of the scheduler's own transaction."""
        del msg
        from sqlalchemy.orm import object_session

        session = object_session(dag_run)
        if session is not None and "blueprint_pipeline" in _tags(dag_run):
            make_missing_pools(session)


def _tags(dag_run: Any) -> set[str]:
    return set(getattr(getattr(dag_run, "dag", None), "tags", None) or ())
