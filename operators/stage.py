"""The operator that runs one stage of Blueprint on a compute and speaks Airflow on its behalf."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.definitions.param import ParamsDict

from blueprint.compute.job import Compute, StageJob
from blueprint.compute.local import LocalCompute
from blueprint.errors import BlueprintError
from operators.retries import STAGE_RETRIES, raise_for_airflow

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "critical": logging.CRITICAL}
_IDS = {"event", "level", "timestamp", "run_id", "scene_id", "stage", "attempt", "correlation_id", "unit"}
SUMMARY_KEY = "summary"
"""XCom key of the one line for people."""
RESULT_KEY = "result"
"""XCom key of the whole result where ``returns`` picks one field of it."""

Watcher = Callable[[str, dict[str, Any]], None]
"""Called with ``"event"`` and a log event of the stage, or ``"result"`` and its result."""


class StageOperator(BaseOperator):
    """Run one stage and return its result.

    Args:
        stage: Name of the stage; also the task id unless one is given.
        request: Fields of the stage's request, templated. The stage validates and converts them; a field that is ``None`` (the result of a
            skipped task) is left out.
        shard_index: Adds this field to the request: what a mapped task is expanded over.
        returns: Return this field of the result alone, so that tasks can be mapped over it; the whole result is XCom ``result``.
        secrets: Variables for the stage's process, each from ``connection_id.field`` (``host``, ``password`` or a key of
            ``extra``), templated. A connection that does not exist gives nothing: the stage knows what it cannot do without.
        connected: Fields of the request that come from a connection, in the same way.
        partition_key: Marks the events of the task's outlets with this key, templated.
        compute: Where to run; a process of this machine if not given.

    Raises:
        AirflowFailException: The stage failed, and would fail again.
        TransientError: The stage failed, and a retry can help.
    """

    watchers: ClassVar[list[Watcher]] = []
    """Told of each event and result in this process; the demo's view adds itself here."""
    template_fields: Sequence[str] = ("request", "secrets", "connected", "partition_key")
    template_fields_renderers = {"request": "json"}  # noqa: RUF012 -- Airflow reads it from the class
    ui_color = "#e8f1f2"

    def __init__(
        self,
        *,
        stage: str,
        request: Mapping[str, object],
        shard_index: int | None = None,
        returns: str | None = None,
        secrets: Mapping[str, str] | None = None,
        connected: Mapping[str, str] | None = None,
        partition_key: str | None = None,
        compute: Compute | None = None,
        task_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(task_id=task_id or stage, **{**STAGE_RETRIES, **kwargs})
        # Airflow copies all parameters of the DAG into every task (5 kB each, serialized); those of the run reach it anyhow.
        self.params = ParamsDict()
        self.stage = stage
        self.request = request
        self.shard_index = shard_index
        self.returns = returns
        self.secrets = secrets
        self.connected = connected
        self.partition_key = partition_key
        self.compute = compute

    def execute(self, context: Context) -> Any:
        ti = context["ti"]
        shard = {} if self.shard_index is None else {"shard_index": self.shard_index}
        job = StageJob(
            stage=self.stage,
            request={
                name: value for name, value in {**self.request, **read_connections(self.connected), **shard}.items() if value is not None
            },
            run_id=str(context["run_id"]),
            attempt=ti.try_number,
            correlation_id=f"{ti.dag_id}/{context['run_id']}",
            environment=read_connections(self.secrets),
        )
        self.compute = self.compute or LocalCompute()
        try:
            result = self.compute.run(job, self._show_event)
        except BlueprintError as error:
            raise_for_airflow(error)
        summary = summarize(self.stage, result)
        self.log.info("%s", summary)
        self._tell_watchers("result", result)
        ti.xcom_push(key=SUMMARY_KEY, value=summary)
        self._mark_partition(context)
        if self.returns is None:
            return result
        ti.xcom_push(key=RESULT_KEY, value=result)
        return result[self.returns]

    def on_kill(self) -> None:
        """Pass the wish to end on to the stage; it stops between two units and what is whole stays."""
        if self.compute is not None:
            self.log.warning("asking stage %s to end", self.stage)
            self.compute.stop()

    def _show_event(self, event: dict[str, Any]) -> None:
        """Write one log event of the stage as a readable line of the task's log."""
        level = _LEVELS.get(str(event.get("level")), logging.INFO)
        self.log.log(level, "%s", readable(event))
        self._tell_watchers("event", event)

    def _tell_watchers(self, kind: str, data: dict[str, Any]) -> None:
        for watcher in StageOperator.watchers:
            watcher(kind, data)

    def _mark_partition(self, context: Context) -> None:
        if self.partition_key:
            for outlet in self.outlets:
                if isinstance(outlet, Asset):
                    context["outlet_events"][outlet].add_partitions(self.partition_key)


def readable(event: Mapping[str, Any]) -> str:
    """A structured event as a line for people: what happened, then the facts that are not ids."""
    if event.get("event") == "progress":
        return f"{event.get('done')} of {event.get('total')} done"
    facts = " ".join(f"{name}={value}" for name, value in event.items() if name not in _IDS)
    return f"{event.get('event', '')} {facts}".rstrip()


def summarize(stage: str, result: Mapping[str, Any]) -> str:
    """One line for people: the stage and the fields of its result, lists as counts where they are long."""
    parts = [f"{name}={_short(value)}" for name, value in result.items()]
    return f"{stage}: {', '.join(parts) or 'done'}"


def _short(value: object) -> str:
    if isinstance(value, list | tuple | dict) and len(value) > 4:  # noqa: PLR2004 -- what still fits a line
        return f"{len(value)} items"
    return str(value)


def read_connections(references: Mapping[str, str] | None) -> dict[str, str]:
    """The values of ``connection_id.field`` by name; what is not there is left out."""
    found = {name: _connection_field(reference) for name, reference in (references or {}).items()}
    return {name: value for name, value in found.items() if value}


def _connection_field(reference: str) -> str | None:
    """The value of ``connection_id.field``; ``None`` where the connection or the field is not there."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    connection_id, _, name = reference.rpartition(".")
    try:
        connection = BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return None
    value = getattr(connection, name) if name in {"host", "login", "password", "schema"} else connection.extra_dejson.get(name)
    return None if value is None else str(value)
