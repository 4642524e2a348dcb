"""Finished work is found by its key, across scenes and runs."""

from datetime import UTC, datetime, timedelta

import pytest

from blueprint_pipeline.workspace.checksums import FileDigest
from blueprint_pipeline.workspace.commits import Commit, Usage

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def commit():
    return Commit(
        key="a" * 64,
        stage="simulate_shard",
        unit="0003",
        scene_id="kitchen",
        request={"shard_index": 3},
        result={"episodes": 12},
        inputs={"mjcf/scene.xml": FileDigest(sha256="b" * 64, size_bytes=5)},
        outputs={"x/y.json": FileDigest(sha256="c" * 64, size_bytes=7)},
        code_version="0.1.0+abc",
        packages={"mujoco": "4.0.0"},
        image_digest=None,
        machine="local_laptop",
        started_at=NOON - timedelta(minutes=2),
        finished_at=NOON,
        usage=Usage(wall_s=120.0, cpu_s=100.5, peak_memory_bytes=1, bytes_read=None, bytes_written=2),
    )


def test_a_commit_comes_back_as_it_was(registry, commit):
    """Nothing of the record is lost; what was never finished is not found."""
    assert registry.commits.record(commit) is True
    assert registry.commits.find(commit.key) == commit
    assert registry.commits.find("d" * 64) is None


def test_recording_twice_changes_nothing(registry, commit):
    """The same key is one row; work done again later replaces what it says, an older record does not."""
    registry.commits.record(commit)
    assert registry.commits.record(commit) is False
    later = commit.model_copy(update={"finished_at": NOON + timedelta(hours=1)})
    assert registry.commits.record(later) is False
    registry.commits.record(commit)
    assert registry.commits.of_scene("kitchen") == [later]


def test_commits_of_a_scene_come_oldest_first(registry, commit):
    """Other scenes are not mixed in."""
    second = commit.model_copy(update={"key": "e" * 64, "finished_at": NOON + timedelta(hours=1)})
    for item in (second, commit, commit.model_copy(update={"key": "f" * 64, "scene_id": "office"})):
        registry.commits.record(item)
    assert registry.commits.of_scene("kitchen") == [commit, second]
