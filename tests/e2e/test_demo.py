"""The demo's way through a failure: clear words, Slack told, nothing left behind, and a status that is not 0."""

import pytest

from blueprint_pipeline.settings import load_settings
from operators import demo
from tests.airflow_home import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The demo works in the test's folder."""
    monkeypatch.setenv("BPP__WORKSPACE__URL", str(tmp_path / "workspace"))
    monkeypatch.setenv("BPP__WORKSPACE__CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("BPP__REGISTRY__URL", f"sqlite:///{tmp_path / 'registry.db'}")
    monkeypatch.setenv("BPP__DELIVERY__SIGNING_KEY", str(tmp_path / "keys" / "signing.pem"))
    load_settings.cache_clear()
    yield tmp_path
    load_settings.cache_clear()


def test_broken_scene_ends_the_demo_with_its_own_error(home, capfd):
    """The stage's code and message are shown whole, Slack got them, later stages did not start, the workspace is clean."""
    source = ROOT / "tests" / "resources" / "scenes" / "broken" / "missing_mesh"
    status = demo.main(["--scene-id", "broken", "--source", str(source), "--airflow-home", str(home / "airflow"), "--episodes", "2"])
    shown = capfd.readouterr().out
    assert status == 1
    assert "Failed      ingest_scene: [scene.mesh_missing]" in shown
    assert "Slack: ingest_scene failed on broken: scene.mesh_missing" in shown
    assert str(home / "airflow" / "demo.log") in shown
    assert not (home / "workspace" / "scenes" / "broken" / "commits").exists()


def test_misspelt_setting_stops_the_demo_at_once(home, monkeypatch, capfd):
    """Before Airflow starts, with the variable's name."""
    monkeypatch.setenv("BPP__WORKSPASE__URL", "x")
    load_settings.cache_clear()
    assert demo.main(["--airflow-home", str(home / "airflow")]) == 78
    assert "BPP__WORKSPASE__URL" in capfd.readouterr().out
