"""### The night in one message, every morning.

One line a scene: kept of attempted, cost, delivery, or the code of what failed; what still runs, what waits for a person, and what could
not be told. Sent over the team's channel, also where nothing ran: silence would say the same of a broken night.

This file is read by Airflow's DAG processor; the task is in `operators/morning.py`.
"""

from airflow.sdk import DAG, timezone

from operators.morning import MorningSummaryOperator
from operators.scene_flow import deadline_alert
from plugins.providers.messages.failure import TaskFailureNotifier

with DAG(
    dag_id="morning_summary",
    description="Tell the team what the night came to.",
    doc_md=__doc__,
    schedule="0 7 * * *",
    start_date=timezone.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags={"blueprint_pipeline", "operations"},
    default_args={"owner": "data-platform", "on_failure_callback": [TaskFailureNotifier()]},
    deadline=deadline_alert(1.0),
) as dag:
    MorningSummaryOperator(task_id="summarise_night", hours=24.0)
