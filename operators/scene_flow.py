"""The builder of the scene flow: every DAG that takes a scene to a dataset is made here, from the rows of the stages."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, PartitionedAtRuntime, TaskGroup, chain, timezone
from airflow.sdk.configuration import conf
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.stage.flow import GROUPS, STAGES, StageRow, stages_of
from operators.announce import AnnounceDeliveryOperator
from operators.approval import ApproveEpisodesOperator
from operators.open_close_run import CloseRunOperator, OpenRunOperator
from operators.retries import STAGE_RETRIES
from operators.scene_params import DEADLINE_H, build_params
from operators.scene_requests import (
    as_template,
    build_request,
    connected_fields,
    secret_variables,
)
from operators.scene_rows import OwnDag, SceneRow
from operators.stage_operator import operator_of, stage_task
from operators.stage_task import StageTask
from operators.task_order import ANNOUNCED_AFTER, ASKED_BEFORE
from plugins.providers.messages.failure import TaskFailureNotifier
from plugins.providers.messages.late_run import tell_late_run
from plugins.scheduler.deadline_reference import RunQueuedDeadline

# Of a scheme that begins with x-, Airflow asks no provider: it would import the hooks of them all at every start of a task.
DATASET = Asset(name="dataset", uri="x-blueprint-pipeline://dataset", group="blueprint_pipeline")
"""A scene's certified dataset; the partition key is the scene."""
BUNDLE = Asset(name="bundle", uri="x-blueprint-pipeline://bundle", group="blueprint_pipeline")
"""A delivered bundle; the partition key is the scene."""

OUTLETS = {"dataset": DATASET, "bundle": BUNDLE}

LOCAL_RUNS, POD_RUNS = 4, 16
SCENE_ID, LAB = as_template("scene_id"), as_template("lab")
MAY_SKIP = frozenset({*ASKED_BEFORE.values(), *ANNOUNCED_AFTER.values(), *(row.name for row in STAGES.values() if row.tells)})
"""Tasks that a run may leave out and be done: nobody had to be asked, or was told before, or could not be told yet."""


@dataclass(frozen=True, kw_only=True)
class SceneFlow:
    """What differs between the DAGs that the builder makes."""

    dag_id: str
    doc_md: str
    owner: str = "data-platform"
    tags: tuple[str, ...] = ()
    max_active_runs: int | None = None
    """``None``: as many as the place of work bears, 16 where stages are pods and 4 where they are processes of a worker."""


def build_scene_dag(flow: SceneFlow) -> DAG:
    """Make the DAG: open >> scene >> simulation >> episode >> dataset >> delivery >> close; the stages in each as their rows stand."""
    with DAG(
        dag_id=flow.dag_id,
        description="One scene, all the way from its meshes to a delivered, verified, signed dataset.",
        doc_md=flow.doc_md,
        schedule=PartitionedAtRuntime(),
        start_date=timezone.datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=flow.max_active_runs or (POD_RUNS if load_settings().compute.kind == "kubernetes" else LOCAL_RUNS),
        params=build_params(),
        tags={"blueprint_pipeline", "scene", *flow.tags},
        default_args={"owner": flow.owner, "on_failure_callback": [TaskFailureNotifier()]},
        deadline=deadline_alert(DEADLINE_H),
    ) as dag:
        opened = OpenRunOperator(task_id="open_run", scene_id=SCENE_ID, lab=LAB)
        closed = CloseRunOperator(task_id="close_run", scene_id=SCENE_ID, may_skip=MAY_SKIP)
        chain(opened, *_groups(), closed)
    return dag


def build_row_dag(row: SceneRow, own: OwnDag, doc_md: str) -> DAG:
    """A DAG for one scene alone, with a schedule and an owner of its own: its one task runs ``scene_to_dataset`` and waits for the end."""
    from operators.run_scene import RunSceneOperator  # Airflow's operator imports half of its scheduler

    with DAG(
        dag_id=f"scene_{row.scene_id}",
        description=f"Scene {row.scene_id} for lab {row.lab}.",
        doc_md=doc_md,
        schedule=own.schedule,
        start_date=timezone.datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=1,
        tags={"blueprint_pipeline", "scene", *own.tags},
        default_args={"owner": own.owner, "on_failure_callback": [TaskFailureNotifier()]},
        is_paused_upon_creation=own.paused,
    ) as dag:
        RunSceneOperator(conf=row.conf)
    return dag


def _groups() -> list[TaskGroup]:
    """A task group for each noun of the flow, its stages one after the other."""
    groups, plan = [], None
    for name, tooltip in GROUPS.items():
        with TaskGroup(name, prefix_group_id=False, tooltip=tooltip) as group:
            tasks: list[Any] = []
            for row in stages_of(name):
                made = _tasks(row, plan)
                plan = made[-1] if row.gives else plan
                tasks += made
            chain(*tasks)
        groups.append(group)
    return groups


def _tasks(row: StageRow, plan: Any) -> list[Any]:
    """The task of a stage, and those of people that belong to it; ``plan`` is the task that gives the shards."""
    if row.sharded:
        return [_shards(row, plan)]
    if row.name in ASKED_BEFORE:
        approved = ApproveEpisodesOperator(task_id=ASKED_BEFORE[row.name], scene_id=SCENE_ID, window_s=as_template("approval_window_s"))
        return [approved, _stage(row, decisions=approved.output, trigger_rule="none_failed")]
    if row.name in ANNOUNCED_AFTER:
        announced = AnnounceDeliveryOperator(task_id=ANNOUNCED_AFTER[row.name], scene_id=SCENE_ID, lab=LAB, trigger_rule="none_failed")
        return [_stage(row), announced]
    return [_stage(row)]


def _stage(row: StageRow, *, decisions: Any = None, **kwargs: Any) -> StageTask:
    """The task of a stage; its request takes the run's parameters."""
    request = build_request(row.name, as_template)
    request = request if decisions is None else {**request, "decisions": decisions}
    if row.selects:
        kwargs |= {"failures": as_template("failures")}
    if row.gives:
        kwargs |= {"returns": row.gives, "in_batches": True}
    if row.tells:
        kwargs |= {"never_fails": True}
    if row.outlet:
        kwargs |= {"outlets": [OUTLETS[row.outlet]], "partition_key": SCENE_ID}
    connected, secrets = connected_fields(row.name, LAB), secret_variables(row.name, LAB)
    return stage_task(row.name, request, connected=connected, secret_variables=secrets, **kwargs)


def _shards(row: StageRow, plan: StageTask) -> Any:
    """The mapped task of a stage: one instance a batch of the plan's shards."""
    request = build_request(row.name, as_template)
    label = "shard {{ task.shards | join(', ') }}"
    selects = {"failures": as_template("failures")} if row.selects else {}
    partial = operator_of(row.name).partial(
        task_id=row.name, stage=row.name, request=request, map_index_template=label, pool=row.pool, **selects, **STAGE_RETRIES
    )
    return partial.expand(shards=plan.output)


def deadline_alert(hours: float) -> DeadlineAlert:
    """On-call is told of a run that is not done this long after it was queued, or as long as the run itself says (``deadline_h``)."""
    callback = AsyncCallback(tell_late_run, kwargs={"base_url": conf.get("api", "base_url", fallback="")})
    return DeadlineAlert(reference=RunQueuedDeadline(default_h=hours), interval=timedelta(0), callback=callback)
