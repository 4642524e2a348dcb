"""The builder of the scene flow: every DAG that takes a scene to a dataset is made here, from one table of contents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier
from airflow.sdk import DAG, Asset, PartitionedAtRuntime, TaskGroup
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from blueprint_pipeline.settings import load_settings
from operators.announce import AnnounceDeliveryOperator
from operators.approval import ApproveEpisodesOperator
from operators.retries import STAGE_RETRIES
from operators.run_bounds import CloseRunOperator, OpenRunOperator
from operators.scene_params import build_params
from operators.scene_requests import as_template, build_request, connected_fields, secret_variables
from operators.stage_operator import operator_of, stage_task
from operators.stage_task import StageTask
from plugins.providers.slack.failure import CONNECTION_ID, TaskFailureNotifier

DATASET = Asset(name="dataset", uri="blueprint-pipeline://dataset", group="blueprint_pipeline")
"""A scene's certified dataset; the partition key is the scene."""
BUNDLE = Asset(name="bundle", uri="blueprint-pipeline://bundle", group="blueprint_pipeline")
"""A delivered bundle; the partition key is the scene."""

LOCAL_RUNS, POD_RUNS = 4, 16
SIMULATION_POOL, RENDER_POOL = "simulation", "render"
SCENE_ID, LAB = as_template("scene_id"), as_template("lab")


@dataclass(frozen=True, kw_only=True)
class SceneFlow:
    """What differs between the DAGs that the builder makes."""

    dag_id: str
    doc_md: str
    owner: str = "data-platform"
    schedule: str | None = None
    """Cron expression; ``None``: started by hand, by ``nightly_scenes`` or through the API."""
    tags: tuple[str, ...] = ()
    deadline: timedelta = timedelta(hours=4)
    """From queued to done; later, Slack is told."""
    max_active_runs: int | None = None
    """``None``: as many as the place of work bears, 16 where stages are pods and 4 where they are processes of a worker."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Other defaults of the parameters."""
    paused: bool | None = None
    """State at first sight; ``None``: as Airflow is configured."""


def build_scene_dag(flow: SceneFlow) -> DAG:
    """Make the DAG: open >> scene >> simulation >> episode >> dataset >> delivery >> close."""
    with DAG(
        dag_id=flow.dag_id,
        description="One scene, all the way from its meshes to a delivered, verified, signed dataset.",
        doc_md=flow.doc_md,
        schedule=flow.schedule or PartitionedAtRuntime(),
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001 -- Airflow reads it in its own time zone
        catchup=False,
        max_active_runs=flow.max_active_runs or (POD_RUNS if load_settings().compute.kind == "kubernetes" else LOCAL_RUNS),
        params=build_params(dict(flow.params)),
        tags={"blueprint_pipeline", "scene", *flow.tags},
        default_args={"owner": flow.owner, "on_failure_callback": [TaskFailureNotifier()]},
        deadline=deadline_alert(flow.deadline),
        is_paused_upon_creation=flow.paused,
    ) as dag:
        opened = OpenRunOperator(task_id="open_run", scene_id=SCENE_ID).as_setup()  # type: ignore[no-untyped-call]  # Airflow does not type it
        closed = CloseRunOperator(task_id="close_run", scene_id=SCENE_ID).as_teardown(setups=opened)
        scene = _scene_group()
        simulation, shards = _simulation_group()
        episode = _episode_group(shards)
        dataset = _dataset_group()
        delivery = _delivery_group()
        opened >> scene >> simulation >> episode >> dataset >> delivery >> closed
    return dag


def _scene_group() -> TaskGroup:
    with TaskGroup("scene", prefix_group_id=False, tooltip="From meshes with poses to a physically true scene at rest") as group:
        ingest, physics, meshes = _stage("ingest_scene"), _stage("estimate_physics"), _stage("process_meshes")
        ingest >> physics >> meshes >> _stage("assemble_scene") >> _stage("settle_scene")
    return group


def _simulation_group() -> tuple[TaskGroup, StageTask]:
    with TaskGroup(
        "simulation", prefix_group_id=False, tooltip="Plan every episode, then simulate them in shards: states only, no pixels"
    ) as group:
        plan = _stage("plan_tasks", returns="shards", in_batches=True)
        _shards("simulate_shard", plan, pool=SIMULATION_POOL)
    return group, plan


def _episode_group(plan: StageTask) -> TaskGroup:
    with TaskGroup("episode", prefix_group_id=False, tooltip="Judge, ask where in doubt, draw what is kept, and prove by replay") as group:
        imported, gated = _stage("import_episodes"), _stage("gate_episodes")
        approved = ApproveEpisodesOperator(task_id="approve_episodes", scene_id=SCENE_ID, window_s=as_template("approval_window_s"))
        recorded = _stage("record_approval", decisions=approved.output, trigger_rule="none_failed")
        rendered = _shards("render_shard", plan, pool=RENDER_POOL)
        imported >> gated >> approved >> recorded >> rendered >> _stage("gate_renders")
    return group


def _dataset_group() -> TaskGroup:
    with TaskGroup(
        "dataset", prefix_group_id=False, tooltip="Write LeRobot v3.0 and v2.1 from one encode, and let the real readers judge"
    ) as group:
        _stage("write_dataset") >> _stage("certify_dataset", outlets=[DATASET], partition_key=SCENE_ID)
    return group


def _delivery_group() -> TaskGroup:
    with TaskGroup("delivery", prefix_group_id=False, tooltip="Price, package, sign, upload, verify, and tell the lab") as group:
        deliver = _stage("deliver_bundle", outlets=[BUNDLE], partition_key=SCENE_ID)
        announce = AnnounceDeliveryOperator(task_id="announce_delivery", scene_id=SCENE_ID, lab=LAB)
        _stage("price_run") >> _stage("package_bundle") >> deliver >> _stage("notify_lab") >> announce
    return group


def _stage(stage: str, *, decisions: Any = None, **kwargs: Any) -> StageTask:
    """The task of a stage; its request takes the run's parameters."""
    request = build_request(stage, as_template)
    request = request if decisions is None else {**request, "decisions": decisions}
    return stage_task(stage, request, connected=connected_fields(stage, LAB), secret_variables=secret_variables(stage, LAB), **kwargs)


def _shards(stage: str, plan: StageTask, **kwargs: Any) -> Any:
    """The mapped task of a stage: one instance a batch of the plan's shards."""
    request = build_request(stage, as_template)
    label = "shard {{ task.shards | join(', ') }}"
    partial = operator_of(stage).partial(task_id=stage, stage=stage, request=request, map_index_template=label, **STAGE_RETRIES, **kwargs)
    return partial.expand(shards=plan.output)


def deadline_alert(interval: timedelta) -> DeadlineAlert:
    """Slack is told when a run is not done this long after it was queued."""
    text = ":hourglass: {{ dag_run.dag_id }} run {{ dag_run.dag_run_id }} is not done: its deadline was {{ deadline.deadline_time }}."
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=interval,
        callback=AsyncCallback(SlackWebhookNotifier, kwargs={"slack_webhook_conn_id": CONNECTION_ID, "text": text}),
    )
