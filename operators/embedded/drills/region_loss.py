"""One batch of eight shards in one pod. `python -m operators.drill` takes the pod's region away in the middle of it."""

from airflow.sdk import DAG, timezone

from operators.drill import SHARDS
from operators.stage_operator import stage_task

with DAG(
    "region_loss",
    doc_md=__doc__,
    schedule=None,
    start_date=timezone.datetime(2026, 1, 1),
    catchup=False,
    params={"scene_id": "drill"},
    tags={"blueprint_pipeline", "drill"},
):
    stage_task("simulate_shard", {"scene_id": "{{ params.scene_id }}"}, shards=list(range(SHARDS)))
