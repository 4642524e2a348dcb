"""Google Cloud: where Airflow's secrets come from."""
