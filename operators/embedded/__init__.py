"""Airflow on one machine: its home, the demo's run and what it shows, and the UI of ``make up``."""
