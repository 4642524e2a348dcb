"""A folder is found again by what it was made from, and only while it is whole."""

import pytest

from blueprint_pipeline.settings import WorkspaceSettings
from blueprint_pipeline.workspace.folder_commits import COMMIT_NAME, digest_folder, folders_under, is_folder_done, write_folder_commit
from blueprint_pipeline.workspace.storage import Workspace

FOLDER = "recordings/shard_0000/ep_0"


@pytest.fixture
def scene(tmp_path):
    return Workspace(WorkspaceSettings(url=str(tmp_path / "workspace"), cache_dir=tmp_path / "cache")).scene("kitchen")


@pytest.fixture
def folder(scene):
    """A finished folder of two files, made from ``key``."""
    scene.write_bytes(f"{FOLDER}/states.parquet", b"states")
    scene.write_bytes(f"{FOLDER}/video/front.mp4", b"frames")
    write_folder_commit(scene.local(FOLDER), "key", digest_folder(scene.local(FOLDER)))
    return scene.local(FOLDER)


def test_a_whole_folder_is_done_for_its_key_alone(scene, folder):
    assert is_folder_done(scene, FOLDER, "key")
    assert not is_folder_done(scene, FOLDER, "another")
    assert not is_folder_done(scene, "recordings/shard_0000/ep_1", "key")


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "states.parquet").write_bytes(b"stateX"),
        lambda folder: (folder / "states.parquet").write_bytes(b"longer than it was"),
        lambda folder: (folder / "video/front.mp4").unlink(),
        lambda folder: (folder / "video/wrist.mp4").write_bytes(b"more"),
        lambda folder: (folder / COMMIT_NAME).unlink(),
        lambda folder: (folder / COMMIT_NAME).write_bytes((folder / COMMIT_NAME).read_bytes()[:40]),
        lambda folder: (folder / COMMIT_NAME).write_bytes(b"\xff"),
    ],
    ids=["byte", "size", "missing", "added", "uncommitted", "torn", "no text"],
)
def test_a_folder_that_is_not_whole_is_not_done(scene, folder, harm):
    """A byte of equal size included: digests are compared, not sizes."""
    harm(folder)
    assert not is_folder_done(scene, FOLDER, "key")


def test_writing_the_commit_again_changes_nothing(scene, folder):
    """The commit does not list itself."""
    before = (folder / COMMIT_NAME).read_bytes()
    write_folder_commit(folder, "key", digest_folder(folder))
    assert (folder / COMMIT_NAME).read_bytes() == before
    assert is_folder_done(scene, FOLDER, "key")


def test_folders_are_those_directly_below(scene, folder):
    """Deeper folders count as the one that they are in, and a file beside the folders is none."""
    scene.write_bytes("recordings/shard_0000/shard.json", b"{}")
    scene.write_bytes("recordings/shard_0001/ep_9/states.parquet", b"states")
    assert folders_under(scene, "recordings/shard_0000") == {FOLDER}
    assert folders_under(scene, "recordings") == {"recordings/shard_0000", "recordings/shard_0001"}
    assert folders_under(scene, "renders") == set()
