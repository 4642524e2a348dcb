"""What every operator of a stage shares, whatever computes it: the job, what people read of it, the result."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.definitions.param import ParamsDict
from pydantic import SecretStr

from blueprint_pipeline.compute.events import level_of, readable
from blueprint_pipeline.compute.job import JobSpec, UnitDone
from blueprint_pipeline.compute.profiles import Profile, load_compute
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.flow import STAGES
from operators.links import BundleLink, ReportLink, RunbookLink
from operators.retries import STAGE_RETRIES
from operators.scene_requests import add_selections
from operators.stage_metrics import count_stage
from plugins.providers.metrics import count_event

SUMMARY_KEY = "summary"
"""XCom key of the one line for people."""
FOUND_KEY = "found_done"
"""XCom key of whether the work had been done before, a request each."""
RESULT_KEY = "result"
"""XCom key of the whole result where ``returns`` picks one field of it."""

Watcher = Callable[[str, dict[str, Any]], None]
"""Called with ``"event"`` and a log event of the stage, or ``"result"`` and its result."""


class StageTask(BaseOperator):
    """Run one stage and return its result; a subclass says where.

    Args:
        stage: Name of the stage; also the task id unless one is given.
        request: Fields of the stage's request, templated. The stage validates and converts them; a field that is ``None`` (the result of a
            skipped task) is left out.
        shards: Makes one request a shard, each with its ``shard_index``: a batch, which a mapped task is expanded over. The result is then
            a list.
        failures: The lab buys failed episodes, templated: a stage that works on a selection is then asked for these, too.
        returns: Return this field of the result alone; the whole result is XCom ``result``.
        in_batches: Cut the list that ``returns`` names into batches of as many as one job takes, so that tasks can be mapped over them.
        secret_variables: Variables for the stage's process, each from ``connection_id.field`` (``host``, ``password`` or a key of
            ``extra``), templated. A connection that does not exist gives nothing: the stage knows what it cannot do without.
        connected: Fields of the request that come from a connection, in the same way.
        partition_key: Marks the events of the task's outlets with this key, templated.
        never_fails: The stage tells somebody what happened: where it fails for good, our own people are told and the task is skipped.

    Raises:
        AirflowFailException: The stage failed, and would fail again.
        TransientError: The stage failed, and a retry can help.
    """

    watchers: ClassVar[list[Watcher]] = []
    """Told of each event and result in this process; the demo's view adds itself here."""
    template_fields: Sequence[str] = ("request", "failures", "secret_variables", "connected", "partition_key")
    template_fields_renderers = {"request": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (RunbookLink(),)
    ui_color = "#e8f1f2"

    def __init__(
        self,
        *,
        stage: str,
        request: Mapping[str, object],
        shards: Sequence[int] | None = None,
        failures: str | bool = False,
        returns: str | None = None,
        in_batches: bool = False,
        secret_variables: Mapping[str, str] | None = None,
        connected: Mapping[str, str] | None = None,
        partition_key: str | None = None,
        never_fails: bool = False,
        task_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(task_id=task_id or stage, **{**STAGE_RETRIES, **kwargs})
        # Airflow copies all parameters of the DAG into every task (5 kB each, serialized); those of the run reach it anyhow.
        self.params = ParamsDict()
        self.stage = stage
        self.request = request
        self.shards = shards
        self.failures = failures
        self.returns = returns
        self.in_batches = in_batches
        self.secret_variables = secret_variables
        self.connected = connected
        self.partition_key = partition_key
        self.never_fails = never_fails
        self.result: dict[str, Any] | None = None
        """Of the stage, once it has come to an end in this process."""
        if "bundle" in STAGES[stage].outlet:
            self.operator_extra_links = (ReportLink(), BundleLink(), RunbookLink())

    def build_spec(self, context: Context, profile: Profile) -> JobSpec:
        """The job of this task instance."""
        ti, run_id = context["ti"], str(context["run_id"])
        fields: dict[str, Any] = {
            name: value for name, value in {**self.request, **read_connections(self.connected)}.items() if value is not None
        }
        requests = [fields] if self.shards is None else [{**fields, "shard_index": index} for index in self.shards]
        return JobSpec(
            stage=self.stage,
            requests=tuple(add_selections(self.stage, requests, failures=str(self.failures) == str(True))),
            dag_id=ti.dag_id,
            run_id=run_id,
            attempt=ti.try_number,
            profile=profile,
            secrets={name: SecretStr(value) for name, value in read_connections(self.secret_variables).items()},
        )

    def finish(self, context: Context, done: Sequence[UnitDone]) -> Any:
        """Tell people and the next tasks what came out, and whether it was worked on or found; returns the task's XCom."""
        ti, results = context["ti"], [unit.result for unit in done]
        self.result = results[0]
        found = describe_found(done)
        summary = f"{self.stage}: {'; '.join(STAGES[self.stage].describe(result) for result in results)}{f' ({found})' if found else ''}"
        self.log.info("%s", summary)
        for result in results:
            self._notify_watchers("result", result)
        ti.xcom_push(key=SUMMARY_KEY, value=summary)
        ti.xcom_push(key=FOUND_KEY, value=[unit.found_done for unit in done])
        count_stage(self.stage, done)
        self._describe_outlets(context, done[0])
        if self.shards is not None:
            return list(results)
        if self.returns is None:
            return results[0]
        ti.xcom_push(key=RESULT_KEY, value=results[0])
        value = results[0][self.returns]
        return split_evenly(value, shards_per_job()) if self.in_batches else value

    def show_event(self, event: dict[str, Any]) -> None:
        """Write one log event of the stage as a readable line of the task's log, and count what is counted."""
        count_event(event)
        self.log.log(level_of(event), "%s", readable(event))
        self._notify_watchers("event", event)

    def _notify_watchers(self, kind: str, data: dict[str, Any]) -> None:
        for watcher in StageTask.watchers:
            watcher(kind, data)

    def _describe_outlets(self, context: Context, done: UnitDone) -> None:
        """Events of the task's assets carry its scene as partition key, what came out, in plain values, and whether that is new."""
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                event = context["outlet_events"][outlet]
                event.extra = {name: value for name, value in done.result.items() if isinstance(value, str | int | float | bool)}
                event.extra["found_done"] = done.found_done
                if self.partition_key:
                    event.add_partitions(self.partition_key)


def describe_found(done: Sequence[UnitDone]) -> str:
    """How much was found done; empty where all of it was worked on."""
    found = sum(unit.found_done for unit in done)
    if not found:
        return ""
    return "found done, not repeated" if found == len(done) else f"{found} of {len(done)} found done, not repeated"


def split_evenly(found: Sequence[Any], size: int) -> list[list[Any]]:
    """Consecutive batches of at most ``size``."""
    return [list(found[start : start + size]) for start in range(0, len(found), size)]


def shards_per_job() -> int:
    """How many shards one job takes: a process of the worker takes one, a pod as many as the configuration says."""
    compute = load_settings().compute
    return 1 if compute.kind == "local" else load_compute(compute.config).shards_per_job


def read_connections(references: Mapping[str, str] | None) -> dict[str, str]:
    """The values of ``connection_id.field`` by name; what is missing is left out.

    Raises:
        SecretRefused, SecretUnreadable, SecretsUnavailable: Whether it is there is not known; see ``plugins.providers.google``.
    """
    found = {name: _connection_field(reference) for name, reference in (references or {}).items()}
    return {name: value for name, value in found.items() if value}


def _connection_field(reference: str) -> str | None:
    """The value of ``connection_id.field``; ``None`` where the connection or the field is missing."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    connection_id, _, name = reference.rpartition(".")
    try:
        connection = BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return None
    value = getattr(connection, name) if name in {"host", "login", "password", "schema"} else connection.extra_dejson.get(name)
    return None if value is None else str(value)
