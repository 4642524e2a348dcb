"""A flow of toy stages, run as real ones are."""

import pytest

from blueprint_pipeline.stage.flow import STAGES
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.workspace.storage import Workspace
from tests.stage.toy_rows import TOY_ROWS


@pytest.fixture
def toy(settings, tmp_path, monkeypatch):
    for name, row in TOY_ROWS.items():
        monkeypatch.setitem(STAGES, name, row)
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("a")

    def run(name, *, progress=lambda _done, _total: None, **fields):
        request = {"scene_id": "s1", "source": str(source), "log": str(tmp_path / "log"), **fields}
        return run_stage(name, request, settings, progress=progress)

    run.scene = Workspace(settings.workspace).scene("s1")
    run.source = source
    run.log = lambda: (tmp_path / "log").read_text().split("\n")[:-1]
    return run
