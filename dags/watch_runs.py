"""### What is looked after while runs go on, every minute.

| what | why |
|---|---|
| messages that wait | a channel that did not take one is tried again with growing pauses, for a day; then the second channel too |
| labs that were not told | a delivery stands whether its lab could be told or not; it is called for three days, then people are told |
| runs that ended without `close_run` | cancelled, marked as done, or deleted: people are told, leases and the scene are free again |
| pods of runs that are over | nobody waits for them: they are ended, and their objects deleted |
| claims of scenes | a scene whose run is over, or was never started, is due again; of a claim that lapsed people are told |
| questions to people | one whose time is over is closed, and people are told that nobody answered |

It changes nothing that runs. Pause it, and messages are sent once, with their event, and tried no more.

This file is read by Airflow's DAG processor; the task is in `operators/watch.py`.
"""

from datetime import timedelta

from airflow.sdk import DAG, timezone

from operators.scene_flow import deadline_alert
from operators.watch import WatchRunsOperator
from plugins.providers.messages.failure import TaskFailureNotifier

with DAG(
    dag_id="watch_runs",
    description="Send messages that wait, end what was cancelled, free what nobody works on.",
    doc_md=__doc__,
    schedule=timedelta(minutes=1),
    start_date=timezone.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags={"blueprint_pipeline", "operations"},
    default_args={"owner": "data-platform", "on_failure_callback": [TaskFailureNotifier()]},
    deadline=deadline_alert(1.0),
) as dag:
    WatchRunsOperator(task_id="watch_runs", execution_timeout=timedelta(minutes=15))
