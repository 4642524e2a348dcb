"""Two shards of one scene that are done anew at the same moment, as after a deploy, which changes every key."""

import threading
import uuid

import pytest

from blueprint_pipeline.settings import WorkspaceSettings
from blueprint_pipeline.stage import runner
from blueprint_pipeline.stage.flow import STAGES
from blueprint_pipeline.stage.runner import run_stage
from blueprint_pipeline.workspace.commits import commit_key, load_commits
from blueprint_pipeline.workspace.storage import Workspace
from tests.stage.toy_rows import TOY_ROWS

ROUNDS, SHARDS = 8, (0, 1, 2)


@pytest.mark.parametrize("place", ["local", "memory"])
def test_shards_that_run_again_at_once_do_not_meet(settings, monkeypatch, place):
    """Each clears its own record and results, while the others list, read and write theirs; local, and in an object store."""
    if place == "memory":
        workspace = WorkspaceSettings(url=f"memory://{uuid.uuid4()}", cache_dir=settings.workspace.cache_dir)
        settings = settings.model_copy(update={"workspace": workspace})
    for name in ("toy_plan", "toy_shard"):
        monkeypatch.setitem(STAGES, name, TOY_ROWS[name])
    version = [0]
    monkeypatch.setattr(runner, "commit_key", lambda *given: commit_key(*given[:4], f"{given[4]}+{version[0]}"))
    scene = Workspace(settings.workspace).scene("s1")
    scene.write_bytes("plan.json", b"{}")
    meet, failed = threading.Barrier(len(SHARDS)), []

    def work(shard):
        meet.wait(30)
        try:
            run_stage("toy_shard", {"scene_id": "s1", "shard_index": shard}, settings)
            load_commits(scene)
        except Exception as error:  # noqa: BLE001 -- whatever a thread raises is the finding
            failed.append(error)

    for version[0] in range(ROUNDS):
        threads = [threading.Thread(target=work, args=(shard,)) for shard in SHARDS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failed == []
    assert {commit.unit for commit in load_commits(scene)} == {f"shard_{shard:04d}" for shard in SHARDS}
