"""Airflow DAGs of single scenes: one for each row of `include/config/scenes.yaml` that has a `dag`.

They are the same flow as `scene_to_dataset`, from the same builder, with a schedule, an owner and a deadline of their own.
"""

from operators.scene_flow import SceneFlow, build_scene_dag
from operators.scene_rows import load_scene_rows

for row in load_scene_rows():
    if row.dag is not None:
        chosen = {"scene_id": row.scene_id, "lab": row.lab, **({"source": row.source} if row.source else {}), **row.params}
        dag_id = f"scene_{row.scene_id}"
        globals()[dag_id] = build_scene_dag(
            SceneFlow(
                dag_id=dag_id,
                doc_md=f"Scene **{row.scene_id}** for lab **{row.lab}**, from a row of `include/config/scenes.yaml`. {__doc__}",
                owner=row.dag.owner,
                schedule=row.dag.schedule,
                deadline=row.dag.deadline,
                tags=row.dag.tags,
                max_active_runs=1,
                params=chosen,
                paused=row.dag.paused,
            )
        )
