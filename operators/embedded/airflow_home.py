"""The environment of an Airflow that lives in the repository: SQLite, local files, few processes."""

import os
import sys
from pathlib import Path

from sqlalchemy.engine import make_url

from blueprint_pipeline.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""
AIRFLOW_HOME = ROOT / ".airflow"


LOCK_WAIT_S = 60
"""How long a statement waits for another writer; SQLite's own 5 s end as errors 500 of the API while a run starts."""


def airflow_environment(home: Path = AIRFLOW_HOME, dags: Path = ROOT / "dags") -> dict[str, str]:
    """Variables that make any ``airflow`` command work on this repository.

    ``airflow standalone`` starts its parts as ``airflow``: the environment's programs are first on the path.

    Source: measured on Airflow 3.3: the default parallelism of 32 forks 32 idle workers; on a busy machine the API answers
    later than the default of 5 s, and tasks fail without a word of their own.
    """
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60.0",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout={LOCK_WAIT_S}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    }


def process_environment(settings: Settings) -> dict[str, str]:
    """The settings of this process for others that run in other folders: relative paths made absolute."""
    workspace = settings.workspace.url if "://" in settings.workspace.url else str(Path(settings.workspace.url).absolute())
    registry = make_url(settings.registry.url)
    if registry.get_backend_name() == "sqlite" and registry.database:
        registry = registry.set(database=str(Path(registry.database).absolute()))
    return {
        "BPP__WORKSPACE__URL": workspace,
        "BPP__WORKSPACE__CACHE_DIR": str(settings.workspace.cache_dir.absolute()),
        "BPP__REGISTRY__URL": registry.render_as_string(hide_password=False),
        "BPP__DELIVERY__SIGNING_KEY": str(settings.delivery.signing_key.absolute()),
        "BPP__DATASET__CERTIFY_PYTHON": str(settings.dataset.certify_python.absolute()),
    }
