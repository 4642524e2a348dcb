"""One batch of eight shards in one pod. `python -m operators.drill` takes the pod's region away in the middle of it."""

from datetime import datetime

from airflow.sdk import DAG

from operators.drill import SHARDS
from operators.stage_operator import stage_task

with DAG(
    "region_loss",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 -- Airflow reads it in its own time zone
    catchup=False,
    params={"scene_id": "drill"},
    tags={"blueprint_pipeline", "drill"},
):
    stage_task("simulate_shard", {"scene_id": "{{ params.scene_id }}"}, shards=list(range(SHARDS)))
