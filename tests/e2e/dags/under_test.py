"""Small Airflow DAGs for the test with a real scheduler: a question, a failure, a missed deadline, what a night starts."""

import time
from datetime import UTC, datetime

from airflow.sdk import DAG, task

from operators.approval import ApproveEpisodesOperator
from operators.open_close_run import CloseRunOperator, OpenRunOperator
from operators.scene_flow import deadline_alert
from operators.scene_params import build_params
from operators.stage import StageOperator
from plugins.providers.messages.failure import TaskFailureNotifier

START = datetime(2026, 1, 1, tzinfo=UTC)

with DAG("ask", schedule=None, start_date=START, catchup=False, params={"scene_id": "s1"}):
    ApproveEpisodesOperator(task_id="approve_episodes", scene_id="{{ params.scene_id }}", window_s=600)

with DAG("fail", schedule=None, start_date=START, catchup=False, params={"scene_id": "kitchen"}):
    StageOperator(
        stage="estimate_physics", request={"scene_id": "{{ params.scene_id }}"}, on_failure_callback=[TaskFailureNotifier()], retries=3
    )

with DAG("late", schedule=None, start_date=START, catchup=False, deadline=deadline_alert(2 / 3600)):

    @task
    def take_long():
        """Longer than the deadline allows."""
        time.sleep(15)

    take_long()

with DAG("scene_to_dataset", schedule=None, start_date=START, catchup=False, params=build_params()):
    opened = OpenRunOperator(task_id="open_run", scene_id="{{ params.scene_id }}", lab="{{ params.lab }}")
    opened >> CloseRunOperator(task_id="close_run", scene_id="{{ params.scene_id }}")
