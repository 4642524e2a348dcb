"""The builder of the scene flow: every DAG that takes a scene to a dataset is made here, from one table of contents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier
from airflow.sdk import DAG, Asset, AsyncCallback, DeadlineAlert, DeadlineReference, PartitionedAtRuntime, TaskGroup

from operators.announce import AnnounceDeliveryOperator
from operators.approval import ApproveEpisodesOperator
from operators.run_bounds import CloseRunOperator, OpenRunOperator
from operators.scene_params import build_params
from operators.stage import StageOperator
from plugins.providers.slack.failure import CONNECTION_ID, TaskFailureNotifier

DATASET = Asset(name="dataset", uri="blueprint://dataset", group="blueprint")
"""A scene's certified dataset; the partition key is the scene."""
BUNDLE = Asset(name="bundle", uri="blueprint://bundle", group="blueprint")
"""A delivered bundle; the partition key is the scene."""

SIMULATION_POOL, RENDER_POOL = "simulation", "render"
_SCENE = {"scene_id": "{{ params.scene_id }}"}
_GOES_ON_AFTER_SKIP = "none_failed"


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
    max_active_runs: int = 4
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
        max_active_runs=flow.max_active_runs,
        params=build_params(dict(flow.params)),
        tags={"blueprint", "scene", *flow.tags},
        default_args={"owner": flow.owner, "on_failure_callback": [TaskFailureNotifier()]},
        deadline=_deadline_alert(flow.deadline),
        is_paused_upon_creation=flow.paused,
    ) as dag:
        opened = OpenRunOperator(task_id="open_run", scene_id="{{ params.scene_id }}").as_setup()
        closed = CloseRunOperator(task_id="close_run", scene_id="{{ params.scene_id }}").as_teardown(setups=opened)
        scene = _scene_group()
        simulation, shards = _simulation_group()
        episode = _episode_group(shards)
        dataset = _dataset_group()
        delivery = _delivery_group()
        opened >> scene >> simulation >> episode >> dataset >> delivery >> closed
    return dag


def _scene_group() -> TaskGroup:
    with TaskGroup("scene", prefix_group_id=False, tooltip="From meshes with poses to a physically true scene at rest") as group:
        ingest = StageOperator(stage="ingest_scene", request={**_SCENE, "source": "{{ params.source }}"})
        physics = StageOperator(stage="estimate_physics", request=_SCENE)
        meshes = StageOperator(stage="process_meshes", request=_SCENE)
        assemble = StageOperator(stage="assemble_scene", request=_SCENE)
        settle = StageOperator(stage="settle_scene", request={**_SCENE, "duration_s": "{{ params.settle_s }}"})
        ingest >> physics >> meshes >> assemble >> settle
    return group


def _simulation_group() -> tuple[TaskGroup, StageOperator]:
    with TaskGroup("simulation", prefix_group_id=False, tooltip="Plan every episode, then simulate them in shards: states only, no pixels") as group:
        names = ("robot", "episodes", "seed", "shard_size", "fps", "width", "height")
        chosen = {name: f"{{{{ params.{name} }}}}" for name in names}
        plan = StageOperator(stage="plan_tasks", request={**_SCENE, **chosen}, returns="shards")
        StageOperator.partial(
            task_id="simulate_shard",
            stage="simulate_shard",
            request=_SCENE,
            pool=SIMULATION_POOL,
            map_index_template="shard {{ task.shard_index }}",
        ).expand(shard_index=plan.output)
    return group, plan


def _episode_group(plan: StageOperator) -> TaskGroup:
    with TaskGroup("episode", prefix_group_id=False, tooltip="Judge, ask where in doubt, draw what is kept, and prove by replay") as group:
        imported = StageOperator(stage="import_episodes", request=_SCENE)
        gated = StageOperator(stage="gate_episodes", request={**_SCENE, "tier": "{{ params.tier }}"})
        approved = ApproveEpisodesOperator(task_id="approve_episodes", scene_id="{{ params.scene_id }}", window_s="{{ params.approval_window_s }}")
        recorded = StageOperator(stage="record_approval", request={**_SCENE, "decisions": approved.output}, trigger_rule=_GOES_ON_AFTER_SKIP)
        rendered = StageOperator.partial(
            task_id="render_shard",
            stage="render_shard",
            request={**_SCENE, "depth": "{{ params.depth }}", "segmentation": "{{ params.segmentation }}"},
            pool=RENDER_POOL,
            map_index_template="shard {{ task.shard_index }}",
        ).expand(shard_index=plan.output)
        final = StageOperator(stage="gate_renders", request={**_SCENE, "tier": "{{ params.tier }}"})
        imported >> gated >> approved >> recorded >> rendered >> final
    return group


def _dataset_group() -> TaskGroup:
    with TaskGroup("dataset", prefix_group_id=False, tooltip="Write LeRobot v3.0 and v2.1 from one encode, and let the real readers judge") as group:
        write = StageOperator(stage="write_dataset", request=_SCENE)
        certify = StageOperator(stage="certify_dataset", request=_SCENE, outlets=[DATASET], partition_key="{{ params.scene_id }}")
        write >> certify
    return group


def _delivery_group() -> TaskGroup:
    with TaskGroup("delivery", prefix_group_id=False, tooltip="Price, package, sign, upload, verify, and tell the lab") as group:
        to_lab = {**_SCENE, "lab": "{{ params.lab }}"}
        price = StageOperator(stage="price_run", request=_SCENE)
        package = StageOperator(stage="package_bundle", request=to_lab)
        deliver = StageOperator(stage="deliver_bundle", request=to_lab, outlets=[BUNDLE], partition_key="{{ params.scene_id }}")
        notify = StageOperator(stage="notify_lab", request=to_lab, secrets=LAB_SECRETS)
        announce = AnnounceDeliveryOperator(task_id="announce_delivery", scene_id="{{ params.scene_id }}", lab="{{ params.lab }}")
        price >> package >> deliver >> notify >> announce
    return group


LAB_SECRETS = {
    "BLUEPRINT__DELIVERY__WEBHOOK_URL": "lab_{{ params.lab }}.host",
    "BLUEPRINT__DELIVERY__WEBHOOK_SECRET": "lab_{{ params.lab }}.password",
}
"""A lab's webhook is an Airflow connection of type http: ``lab_<name>``."""


def _deadline_alert(interval: timedelta) -> DeadlineAlert:
    text = ":hourglass: {{ dag_run.dag_id }} run {{ dag_run.run_id }} is not done: its deadline was {{ deadline.deadline_time }}."
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=interval,
        callback=AsyncCallback(SlackWebhookNotifier, kwargs={"slack_webhook_conn_id": CONNECTION_ID, "text": text}),
    )
