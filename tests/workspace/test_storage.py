"""Names are safe, writes are whole, and remote workspaces behave as local ones do."""

import os
import subprocess
import sys
import threading
import time
import tracemalloc
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.settings import WorkspaceSettings
from blueprint_pipeline.workspace import checksums, storage
from blueprint_pipeline.workspace.checksums import digest_bytes, digest_file, digest_files, list_files, write_file
from blueprint_pipeline.workspace.errors import FileMissing
from blueprint_pipeline.workspace.full_disk import DiskFull
from blueprint_pipeline.workspace.storage import InvalidId, Workspace


@pytest.fixture(params=["local", "memory"])
def scene(request, tmp_path):
    """A scene folder on a disk, and one in an object store (fsspec's in-process one)."""
    url = str(tmp_path / "workspace") if request.param == "local" else f"memory://{uuid.uuid4()}"
    return Workspace(WorkspaceSettings(url=url, cache_dir=tmp_path / "cache")).scene("s1")


@pytest.mark.parametrize("bad", ["", "../x", "a/b", ".hidden", "a..b", "x" * 129, "a b", "ü"])
def test_unsafe_id_is_refused(bad, tmp_path):
    """An id cannot leave its folder."""
    with pytest.raises(InvalidId):
        Workspace(WorkspaceSettings(url=str(tmp_path))).scene(bad)


def test_files_are_listed_relative_and_sorted(scene):
    """A prefix may be a file or a folder; nothing there is an empty list."""
    for name in ("b/2.txt", "b/1.txt", "a.txt"):
        scene.write_bytes(name, name.encode())
    assert scene.files_under("b") == ["b/1.txt", "b/2.txt"]
    assert scene.files_under("a.txt") == ["a.txt"]
    assert scene.files_under("none") == []


@pytest.mark.parametrize("call", [lambda scene: scene.read_bytes("none"), lambda scene: scene.digest("none")], ids=["read", "digest"])
def test_a_file_that_is_not_there_is_named(scene, call):
    """On a disk and in an object store alike: it is no matter of the store's rights."""
    with pytest.raises(FileMissing, match=r"There is no .*scenes/s1/none"):
        call(scene)
    assert scene.find_bytes("none") is None


def test_local_gives_a_readable_path(scene):
    """A folder can be read by libraries that know only paths."""
    scene.write_bytes("d/x.bin", b"123")
    assert (scene.local("d") / "x.bin").read_bytes() == b"123"


def test_files_of_a_store_are_copied_side_by_side(tmp_path, monkeypatch):
    """A store answers late and many at a time: four files are on their way at once."""
    scene = Workspace(WorkspaceSettings(url=f"memory://{uuid.uuid4()}", cache_dir=tmp_path / "cache")).scene("s1")
    for number in range(8):
        scene.write_bytes(f"d/{number}.bin", bytes([number]))
    together, fetch = threading.Barrier(4, timeout=20), storage._fetch
    monkeypatch.setattr(storage, "_fetch", lambda *files: (together.wait(), fetch(*files))[1])
    folder = scene.local("d")
    assert [(folder / f"{number}.bin").read_bytes() for number in range(8)] == [bytes([number]) for number in range(8)]


def test_a_file_of_a_store_is_never_held_whole(tmp_path):
    """Eight videos of 200 MB on their way at once would take all of a small machine's memory."""
    scene = Workspace(WorkspaceSettings(url=f"memory://{uuid.uuid4()}", cache_dir=tmp_path / "cache")).scene("s1")
    content = os.urandom(1 << 20) * 32
    scene.write_bytes("d/video.mp4", content)
    tracemalloc.start()
    copy = scene.local("d") / "video.mp4"
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert copy.read_bytes() == content
    assert peak_bytes < len(content) / 2
    assert list_files(tmp_path / "cache/parts") == []


def test_a_cache_without_room_is_no_fault_of_the_store(tmp_path, monkeypatch):
    """It is told as what it is, and not tried again."""
    scene = Workspace(WorkspaceSettings(url=f"memory://{uuid.uuid4()}", cache_dir=tmp_path / "cache")).scene("s1")
    scene.write_bytes("d/video.mp4", bytes(1 << 20))
    fetch = storage._fetch
    monkeypatch.setattr(storage, "_fetch", lambda source, _: fetch(source, Path("/dev/full")))
    with pytest.raises(DiskFull):
        scene.local("d")


def test_what_was_published_is_read_back_once(tmp_path, monkeypatch):
    """To prove that it arrived; its digest is known then, until it is written over or removed."""
    scene = Workspace(WorkspaceSettings(url=f"memory://{uuid.uuid4()}", cache_dir=tmp_path / "cache")).scene("s1")
    read, original = [], checksums._hash
    monkeypatch.setattr(checksums, "_hash", lambda path: (read.append(path.name), original(path))[1])
    for name in ("a.bin", "d/b.bin", "d/c.bin"):
        write_file(tmp_path / name, name.encode())
        scene.publish_file(tmp_path / name, name)
    scene.write_bytes("other.bin", b"other")
    expected = {name: digest_bytes(name.encode()) for name in ("a.bin", "d/b.bin", "d/c.bin")}
    assert scene.published_digests([*expected, "other.bin"]) == expected | {"other.bin": digest_bytes(b"other")}
    assert read == ["a.bin", "b.bin", "c.bin", "other.bin"]
    scene.write_bytes("a.bin", b"over")
    assert scene.published_digests(["a.bin"]) == {"a.bin": digest_bytes(b"over")}
    scene.remove("d")
    with pytest.raises(FileMissing):
        scene.published_digests(["d/b.bin"])


def test_local_copy_has_no_file_that_is_gone(scene):
    """What a former run left in the cache is no part of the folder any more."""
    scene.write_bytes("d/deep/old.bin", b"1")
    scene.write_bytes("d/x.bin", b"2")
    scene.local("d")
    scene.remove("d/deep")
    assert list_files(scene.local("d")) == ["x.bin"]
    scene.remove("d")
    assert not scene.local("d").exists()


def test_parts_of_killed_processes_do_not_fill_a_shared_volume(tmp_path):
    """A day later they are gone; another process's copy that is under way stays."""
    scene = Workspace(WorkspaceSettings(url=f"memory://{uuid.uuid4()}", cache_dir=tmp_path / "cache")).scene("s1")
    scene.write_bytes("d/x.bin", b"2")
    scene.local("d")
    parts = tmp_path / "cache/remote/.parts"
    for name, age_s in (("old", 90000), ("young", 80000)):
        (parts / name).write_bytes(b"half")
        os.utime(parts / name, (time.time() - age_s,) * 2)
    scene.local("d")
    assert list_files(parts) == ["young"]


KILLED = """
import os, sys
from blueprint_pipeline.settings import WorkspaceSettings
from blueprint_pipeline.workspace.storage import Workspace
os.fsync = lambda _: os.kill(os.getpid(), 9)
Workspace(WorkspaceSettings(url=f"{sys.argv[1]}/workspace")).scene("s1").write_bytes("commits/b.json", b"{")
"""
"""A process that dies while it writes a file."""


def test_half_a_file_of_a_killed_process_is_no_file(tmp_path):
    """What lies beside a file that was being written is neither listed nor read, and goes with its folder."""
    scene = Workspace(WorkspaceSettings(url=str(tmp_path / "workspace"), cache_dir=tmp_path / "cache")).scene("s1")
    scene.write_bytes("commits/a.json", b"{}")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -9
    assert len(list_files(scene.root / "commits")) == 2
    assert scene.files_under("commits") == scene.files_under("commits/*") == ["commits/a.json"]
    scene.remove("commits")
    assert not scene.exists("commits")


def test_publish_and_remove(scene):
    """A staged file becomes visible under its name; removal of nothing is no error."""
    staged = scene.staging("k") / "f.txt"
    staged.write_bytes(b"whole")
    scene.publish_file(staged, "out/f.txt")
    assert scene.read_bytes("out/f.txt") == b"whole"
    scene.remove("out")
    scene.remove("out")
    assert not scene.exists("out/f.txt")


def test_digest_is_sha256(tmp_path):
    """The digest of a known message (FIPS 180-4 example "abc")."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert digest_file(path).sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_file(path).size_bytes == 3


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=64), max_size=5))
def test_digests_keep_order_and_names(tmp_path_factory, contents):
    """Two threads give the digests of the files asked for, in that order."""
    root = tmp_path_factory.mktemp("digests")
    for name, data in contents.items():
        (root / name).write_bytes(data)
    assert list(digest_files(root, list_files(root))) == sorted(contents)


def test_a_star_stands_for_one_name(scene):
    """Patterns list and remove the files that match, level by level, and no others."""
    for name in ("assets/can/physics.json", "assets/can/visual.glb", "assets/can/deep/physics.json", "assets/manifest.json"):
        scene.write_bytes(name, b"x")
    assert scene.files_under("assets/*/physics.json") == ["assets/can/physics.json"]
    assert scene.files_under("*/manifest.json") == ["assets/manifest.json"]
    scene.remove("assets/*/physics.json")
    assert scene.files_under("assets") == ["assets/can/deep/physics.json", "assets/can/visual.glb", "assets/manifest.json"]
    scene.remove("none/*/x")
