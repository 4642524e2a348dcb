"""A bucket that fails now and then is outlived; one that says no is named; no fault looks like an absent file."""

import pytest
import stamina

from blueprint_pipeline.settings import WorkspaceSettings
from blueprint_pipeline.workspace.checksums import digest_file
from blueprint_pipeline.workspace.errors import FileMissing
from blueprint_pipeline.workspace.storage import StorageRefused, StorageUnreachable, Workspace
from tests.gcs import google_storage


@pytest.fixture(autouse=True)
def no_waiting():
    """Retries without their pauses."""
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def workspace(google_server, monkeypatch, tmp_path):
    """A workspace in a fresh bucket."""
    with google_storage(google_server, monkeypatch) as (_, name):
        yield Workspace(WorkspaceSettings(url=f"gs://{name}/work", cache_dir=tmp_path / "cache"))


@pytest.fixture
def scene(workspace):
    return workspace.scene("kitchen")


FAULTS = ["503", "drop"]


def calls(scene, staged):
    """Every call that stages make, with what it gives."""
    scene.write_bytes("commits/a.json", b"{}")
    scene.publish_file(staged, "out/deep/f.txt")
    scene.write_bytes("old/x", b"1")
    scene.remove("old")
    return [
        scene.read_bytes("commits/a.json"),
        scene.files_under("out"),
        scene.files_under("*/deep/f.txt"),
        scene.files_under("commits/a.json"),
        scene.exists("out/deep/f.txt"),
        scene.exists("old"),
        scene.digests(["out/deep/f.txt"])["out/deep/f.txt"],
        (scene.local("out") / "deep/f.txt").read_bytes(),
    ]


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_now_and_then_are_outlived(workspace, scene, google_server, tmp_path, *, kind):
    """Every seventh call fails: each call gives what it gives without faults."""
    staged = tmp_path / "f.txt"
    staged.write_bytes(b"whole")
    counted = iter(range(100_000))
    google_server.reset(lambda _method, _path, _nth: kind if next(counted) % 7 == 3 else None)
    found = calls(scene, staged)
    assert google_server.faults[kind] > 0
    assert found == [b"{}", ["out/deep/f.txt"], ["out/deep/f.txt"], ["commits/a.json"], True, False, digest_file(staged), b"whole"]
    assert workspace.scene_ids() == ["kitchen"]


@pytest.mark.parametrize(
    "call",
    [
        lambda scene: scene.read_bytes("a"),
        lambda scene: scene.exists("a"),
        lambda scene: scene.files_under("a"),
        lambda scene: scene.digest("a"),
        lambda scene: scene.write_bytes("a", b"2"),
        lambda scene: scene.remove("a"),
    ],
    ids=["read", "exists", "list", "digest", "write", "remove"],
)
def test_a_dead_store_is_a_fault_that_a_retry_may_cure(scene, google_server, call):
    """Never "nothing there", and never the store's own error; the place is named. What says no is not asked again."""
    scene.write_bytes("a", b"1")
    google_server.reset(lambda _method, _path, _nth: "503")
    with pytest.raises(StorageUnreachable, match="kitchen/a") as caught:
        call(scene)
    assert caught.value.retryable
    google_server.reset(lambda _method, _path, _nth: "403")
    with pytest.raises(StorageRefused, match=r"kitchen/a cannot be used: access is denied") as refused:
        call(scene)
    assert not refused.value.retryable


def test_an_object_that_is_not_there_is_a_missing_file(scene):
    """The store answers, and lets us in."""
    with pytest.raises(FileMissing, match="kitchen/none"):
        scene.read_bytes("none")


ABSENT = {
    "read": lambda workspace: workspace.scene("kitchen").read_bytes("a"),
    "find": lambda workspace: workspace.scene("kitchen").find_bytes("a"),
    "digest": lambda workspace: workspace.scene("kitchen").digest("a"),
    "exists": lambda workspace: workspace.scene("kitchen").exists("a"),
    "list": lambda workspace: workspace.scene("kitchen").files_under("a"),
    "copy": lambda workspace: workspace.scene("kitchen").local("a"),
    "write": lambda workspace: workspace.scene("kitchen").write_bytes("a", b"1"),
    "remove": lambda workspace: workspace.scene("kitchen").remove("a"),
    "scenes": lambda workspace: workspace.scene_ids(),
}
"""Every way into a workspace."""


@pytest.mark.parametrize("call", ABSENT.values(), ids=ABSENT)
def test_absent_bucket_is_named(google_server, monkeypatch, tmp_path, call):
    """A misspelt bucket is a matter of the settings, and no missing scene."""
    with google_storage(google_server, monkeypatch):
        workspace = Workspace(WorkspaceSettings(url="gs://no-such-bucket/work", cache_dir=tmp_path / "cache"))
        with pytest.raises(StorageRefused, match=r"gs://no-such-bucket/work.*there is no such bucket or object.*WORKSPACE__URL"):
            call(workspace)
