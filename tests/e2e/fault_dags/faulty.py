"""One pod with two shards, for the table of faults; two hundred pods, for the figures of a full queue; and somebody else's DAG."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from operators.retries import build_retries
from operators.stage_operator import operator_of, stage_task
from tests.stage.toy_rows import add_toys

add_toys()
START = datetime(2026, 1, 1, tzinfo=UTC)
SCENE = {"scene_id": "tabletop"}
QUICK = build_retries(delay=timedelta(seconds=2))

with DAG("faulty", schedule=None, start_date=START, catchup=False):
    stage_task("simulate_shard", SCENE, shards=[0, 1], **QUICK)

with DAG("queued", schedule=None, start_date=START, catchup=False):

    @task
    def list_batches():
        """A shard a job."""
        return [[index] for index in range(200)]

    shards = operator_of("toy_shard").partial(task_id="toy_shard", stage="toy_shard", request=SCENE, pool="simulation", **QUICK)
    shards.expand(shards=list_batches())

with DAG("probe", schedule=None, start_date=START, catchup=False):

    @task
    def answer():
        """What somebody else wants meanwhile."""

    answer()
