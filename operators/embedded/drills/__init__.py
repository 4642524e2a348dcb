"""DAGs of drills: no folder that Airflow reads by itself."""
