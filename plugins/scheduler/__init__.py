"""What Airflow's own processes load: these modules may use Airflow's database, no task may."""
