"""Small Airflow DAGs for the test with a real scheduler: a question, a failure, a missed deadline, what a night starts."""

import time
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import DAG, task

from blueprint_pipeline.workspace.full_disk import name_full_disk
from operators.approval import ApproveEpisodesOperator
from operators.open_close_run import CloseRunOperator, OpenRunOperator
from operators.scene_flow import deadline_alert
from operators.scene_params import build_params
from operators.stage import StageOperator
from plugins.providers.messages.failure import TaskFailureNotifier

START = datetime(2026, 1, 1, tzinfo=UTC)

with DAG("ask", schedule=None, start_date=START, catchup=False, params={"scene_id": "s1"}):
    ApproveEpisodesOperator(task_id="approve_episodes", scene_id="{{ params.scene_id }}", window_s=600)

with DAG("fail", schedule=None, start_date=START, catchup=False, params={"scene_id": "kitchen"}, deadline=deadline_alert(4.0)):
    StageOperator(
        stage="estimate_physics", request={"scene_id": "{{ params.scene_id }}"}, on_failure_callback=[TaskFailureNotifier()], retries=3
    )

with DAG("late", schedule=None, start_date=START, catchup=False, deadline=deadline_alert(2 / 3600)):

    @task
    def take_long():
        """Longer than the deadline allows."""
        time.sleep(15)

    take_long()

TOLD = {"on_failure_callback": [TaskFailureNotifier()]}
with DAG(
    "scene_to_dataset",
    schedule=None,
    start_date=START,
    catchup=False,
    params=build_params(),
    tags={"blueprint_pipeline"},
    deadline=deadline_alert(4.0),
    default_args=TOLD,
):

    @task(pool="render")
    def draw(scene_id):
        """As long as the scene's name says: long enough to be cancelled, or too long for a disk."""
        if "cancelled" in scene_id:
            time.sleep(600)
        if "full" in scene_id:
            with name_full_disk(), Path("/dev/full").open("wb", buffering=0) as disk:  # Linux: a disk without room
                disk.write(b"x")

    opened = OpenRunOperator(task_id="open_run", scene_id="{{ params.scene_id }}", lab="{{ params.lab }}")
    opened >> draw("{{ params.scene_id }}") >> CloseRunOperator(task_id="close_run", scene_id="{{ params.scene_id }}")
