"""The shelves of what Airflow loads; `blueprint_pipeline_plugin.py` is the only file that it executes itself."""
