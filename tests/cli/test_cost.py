"""``bpp cost``: of a scene that is not there, that is said."""

import pytest
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.settings import load_settings
from blueprint_pipeline.workspace.errors import FileMissing


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("BPP__WORKSPACE__URL", str(tmp_path))
    load_settings.cache_clear()
    yield tmp_path
    load_settings.cache_clear()


def test_a_scene_that_is_not_there_is_told_as_such(workspace):
    """No task made anything, and nobody marked one: the name is wrong."""
    failed = CliRunner().invoke(app, ["cost", "nosuch"]).exception
    assert isinstance(failed, FileMissing)
    assert "this workspace has no scene 'nosuch'" in str(failed)
