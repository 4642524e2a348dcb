"""An Airflow of the test process's own: import this module before Airflow. Importing it twice changes nothing."""

import os
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = Path(tempfile.mkdtemp(prefix="blueprint-pipeline-airflow-"))
(HOME / "dags").mkdir()

os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(HOME / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(HOME / "logs"),
)


@cache
def prepare_database():
    """Make the database, once a process."""
    from airflow.utils.db import initdb

    initdb()


def run_dag(dag, conf=None):
    """Run a DAG that no file holds to its end, in this process; the run, with its task instances by (task id, map index)."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    prepare_database()
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag("/dev/null")
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    run = dag.test(run_conf=conf, logical_date=datetime.now(UTC))
    return run, {(ti.task_id, ti.map_index): ti for ti in run.get_task_instances()}


def xcom_of(run, task_id, key="return_value"):
    """What a task pushed."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(run_id=run.run_id, dag_ids=run.dag_id, task_ids=task_id, key=key)
        rows = [XComModel.deserialize_value(row) for row in session.scalars(query).all()]
    return rows[0] if len(rows) == 1 else rows
