"""The environment of an embedded Airflow: absolute, complete, and small."""

from pathlib import Path

from blueprint_pipeline.settings import RegistrySettings, Settings, WorkspaceSettings
from operators.embedded.airflow_home import ROOT, airflow_environment, process_environment


def test_relative_settings_become_absolute(monkeypatch, tmp_path):
    """Tasks run in other folders than the one that a person started in."""
    monkeypatch.chdir(tmp_path)
    found = process_environment(Settings(workspace=WorkspaceSettings(url="ws"), registry=RegistrySettings(url="sqlite:///r.db")))
    assert found["BPP__WORKSPACE__URL"] == str(tmp_path / "ws")
    assert found["BPP__REGISTRY__URL"] == f"sqlite:///{tmp_path / 'r.db'}"


def test_urls_stay_as_they_are():
    """Buckets and servers have no folder."""
    settings = Settings(workspace=WorkspaceSettings(url="gs://b/p"), registry=RegistrySettings(url="postgresql+psycopg2://u:p@h/d"))
    found = process_environment(settings)
    assert found["BPP__WORKSPACE__URL"] == "gs://b/p"
    assert found["BPP__REGISTRY__URL"] == "postgresql+psycopg2://u:p@h/d"


def test_airflow_sees_the_repository(tmp_path):
    """DAGs, plugins and the program itself are found, and nothing is written outside of the home."""
    found = airflow_environment(tmp_path)
    assert found["AIRFLOW__CORE__DAGS_FOLDER"] == str(ROOT / "dags")
    assert Path(found["PATH"].split(":")[0], "python").exists()
    assert str(tmp_path) in found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
