"""### Scenes that are due, every night.

| task | what it does |
|---|---|
| check_rows | fails, and tells, where a row of `include/config/scenes.yaml` cannot run; it stops no other row |
| plan_night | takes over `include/config/scenes.yaml`; claims due scenes by priority, fairly between labs, as far as pools have room |
| start_scene | small night, or stages as pods: one run of `scene_to_dataset` a scene (mapped); the same night never starts a scene twice |
| run_batch | big night (from 100 scenes on): batches of about fifty scenes (mapped); each scene has its run and its alert in the registry |

**Run ids** are the night's run id, the scene and the lab: clearing a task starts nothing twice.
**Back-pressure**: scenes of former nights that still run count against the limit; the rest stays due.

This file is read by Airflow's DAG processor; the tasks are in `operators/nightly.py` and `operators/scene_batch.py`.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, timezone

from operators.nightly import CheckRowsOperator, PlanNightOperator, list_batches, list_runs
from operators.retries import STAGE_RETRIES
from operators.scene_batch import SceneBatchOperator
from operators.scene_flow import deadline_alert
from plugins.providers.messages.failure import TaskFailureNotifier

with DAG(
    dag_id="nightly_scenes",
    description="Start the scenes that are due, by priority, and no more than may run.",
    doc_md=__doc__,
    schedule="0 1 * * *",
    start_date=timezone.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags={"blueprint_pipeline", "nightly"},
    default_args={"owner": "data-platform", "on_failure_callback": [TaskFailureNotifier()]},
    deadline=deadline_alert(8.0),
) as dag:
    CheckRowsOperator(task_id="check_rows")
    night: Any = PlanNightOperator(task_id="plan_night", running_limit=200)
    TriggerDagRunOperator.partial(
        task_id="start_scene",
        trigger_dag_id="scene_to_dataset",
        skip_when_already_exists=True,
        max_active_tis_per_dag=1,  # one after the other, so that they start in the order of the plan
        map_index_template="{{ task.conf.scene_id }}",
        **STAGE_RETRIES,
    ).expand_kwargs(list_runs(night.output))
    SceneBatchOperator.partial(task_id="run_batch", pool="simulation", execution_timeout=timedelta(hours=12), **STAGE_RETRIES).expand(
        scenes=list_batches(night.output)
    )
