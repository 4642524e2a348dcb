"""Pages of our own in Airflow's UI."""
