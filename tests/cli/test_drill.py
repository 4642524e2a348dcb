"""`bpp drill`: where it cannot run it says so, and a broken promise is no success."""

import json

import pytest
from typer.testing import CliRunner

from blueprint_pipeline.cli import drill
from blueprint_pipeline.cli.app import app

runner = CliRunner()


@pytest.fixture
def kubeconfig(tmp_path):
    path = tmp_path / "a.kubeconfig"
    path.write_text("{}")
    return path


def test_without_operators_it_says_what_is_missing(kubeconfig, tmp_path, monkeypatch):
    """An image of jobs has no Airflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drill, "find_spec", lambda name: None)
    ended = runner.invoke(app, ["drill", "region-loss", "--first", str(kubeconfig), "--second", str(kubeconfig)])
    assert ended.exception.code == "drill.airflow_missing"


def test_a_kubeconfig_that_is_not_there_is_wrong_usage(kubeconfig):
    ended = runner.invoke(app, ["drill", "region-loss", "--first", "nowhere", "--second", str(kubeconfig)])
    assert ended.exit_code == 2


@pytest.mark.parametrize(("kept", "code"), [(True, None), (False, "drill.promise_broken")])
def test_it_ends_as_the_drill_ends(kept, code, kubeconfig, tmp_path, monkeypatch):
    """The drill is a program of its own; this one plays it, and ends as told."""
    (tmp_path / "operators").mkdir()
    (tmp_path / "operators" / "__init__.py").touch()
    said = json.dumps({"promises_kept": kept, "published": 16})
    program = f"""
import sys
print("words of others")
path = next(word.removeprefix("--report=") for word in sys.argv if word.startswith("--report="))
open(path, "w").write({said!r})
sys.exit({0 if kept else 1})
"""
    (tmp_path / "operators" / "drill.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = runner.invoke(app, ["drill", "region-loss", "--first", str(kubeconfig), "--second", str(kubeconfig), "--json"])
    if kept:
        assert json.loads(ended.stdout)["published"] == 16
    else:
        assert ended.exception.code == code
        assert '"published": 16' in str(ended.exception)
