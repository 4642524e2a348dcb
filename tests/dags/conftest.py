"""Before Airflow; and all DAGs of the repository, read once."""

import pytest

from tests import airflow_home


@pytest.fixture(scope="session")
def bag():
    from airflow.dag_processing.dagbag import DagBag

    airflow_home.prepare_database()
    return DagBag(airflow_home.ROOT / "dags")
