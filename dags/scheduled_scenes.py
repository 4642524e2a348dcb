"""Airflow DAGs of single scenes: one for each row of `include/config/scenes.yaml` that has a `dag`.

Each has a schedule, an owner and tags of its own, and one task: it runs `scene_to_dataset` with the row's parameters and waits for the end.
The row's deadline is that run's. Clear the task, or tasks of that run, to go on after a failure: finished work is kept.

A task of such a DAG reads its own row alone; the DAG processor reads all of them.
"""

from airflow.sdk import get_parsing_context

from operators.scene_flow import build_row_dag
from operators.scene_rows import own_dag_rows

wanted = get_parsing_context().dag_id
for row in own_dag_rows():
    dag_id = f"scene_{row.scene_id}"
    if row.dag is not None and wanted in {None, dag_id}:
        doc_md = f"Scene **{row.scene_id}** for lab **{row.lab}**, from a row of `include/config/scenes.yaml`. {__doc__}"
        globals()[dag_id] = build_row_dag(row, row.dag, doc_md)
