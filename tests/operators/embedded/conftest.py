"""Before Airflow."""

from tests import airflow_home  # noqa: F401
