"""A file is hashed once while nobody touches it, and again as soon as anybody did."""

import os
import resource
from hashlib import sha256

import pytest

from blueprint_pipeline.workspace import checksums
from blueprint_pipeline.workspace.checksums import (
    adopt_digests,
    copy_file,
    digest_bytes,
    digest_file,
    known_below,
    move_file,
    read_file,
    write_file,
)
from blueprint_pipeline.workspace.hashed_reading import HashedReading

OLD_S = 1_000_000_000


@pytest.fixture
def file(tmp_path):
    """A file that was last written long ago."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    os.utime(path, (OLD_S, OLD_S))
    return path


@pytest.fixture
def read(monkeypatch):
    """Paths that were really read."""
    found = []
    original = checksums._hash
    monkeypatch.setattr(checksums, "_hash", lambda path: found.append(path.name) or original(path))
    return found


def test_a_file_is_read_once(file, read):
    """Whoever asks in this process."""
    assert digest_file(file) == digest_file(file)
    assert read == ["a.bin"]


def test_other_bytes_of_the_same_size_are_seen(file, read):
    """Even where somebody sets the time of the last writing back."""
    before = digest_file(file)
    file.write_bytes(b"xyz")
    os.utime(file, (OLD_S, OLD_S))
    assert digest_file(file) != before
    assert digest_file(file).sha256 == sha256(b"xyz").hexdigest()
    assert read[:2] == ["a.bin", "a.bin"]


def test_a_renamed_file_is_known_and_one_that_took_its_place_is_not(file, read, tmp_path):
    """Publishing renames what was just hashed."""
    before = digest_file(file)
    move_file(file, tmp_path / "b.bin")
    assert digest_file(tmp_path / "b.bin") == before
    assert read == ["a.bin"]
    file.write_bytes(b"new")
    assert digest_file(file).sha256 == sha256(b"new").hexdigest()


def test_a_file_that_was_written_just_now_is_not_trusted(tmp_path, read):
    """It may be written again within the same tick of the clock, and keep its times."""
    path = tmp_path / "fresh.bin"
    path.write_bytes(b"1")
    digest_file(path)
    path.write_bytes(b"2")
    assert digest_file(path).sha256 == sha256(b"2").hexdigest()
    assert len(read) == 2


def test_what_is_written_is_not_read_to_be_hashed(tmp_path, read):
    """Written, copied and then renamed: its digest is known all the way."""
    assert write_file(tmp_path / "new/a.bin", b"abc") == digest_bytes(b"abc")
    assert copy_file(tmp_path / "new/a.bin", tmp_path / "far/b.bin") == digest_bytes(b"abc")
    move_file(tmp_path / "far/b.bin", tmp_path / "c.bin")
    assert [digest_file(tmp_path / name) for name in ("new/a.bin", "c.bin")] == [digest_bytes(b"abc")] * 2
    assert (tmp_path / "c.bin").read_bytes() == b"abc"
    assert read == []


def test_a_file_that_others_write_to_at_once_is_read(tmp_path):
    """Within one tick of the file system's clock, and of the same size."""
    for number in range(300):
        path = tmp_path / f"{number}.bin"
        write_file(path, b"old")
        path.write_bytes(b"new")
        assert digest_file(path) == digest_bytes(b"new"), number


def test_bytes_come_with_their_digest(file, read):
    """From one reading, also where the digest is known."""
    assert read_file(file) == (b"abc", digest_bytes(b"abc"))
    assert digest_file(file) == digest_bytes(b"abc")
    assert read == []
    file.write_bytes(b"xyz")
    assert read_file(file) == (b"xyz", digest_bytes(b"xyz"))


def test_another_process_learns_what_this_one_knows(file, read):
    """Of the files that it is to read; one that changed since, it reads."""
    digest_file(file)
    known = known_below(file.parent)
    assert list(known.values()) == [digest_bytes(b"abc")]
    checksums._known.clear()
    adopt_digests(known)
    assert digest_file(file) == digest_bytes(b"abc")
    assert read == ["a.bin"]
    file.write_bytes(b"xyz")
    assert digest_file(file) == digest_bytes(b"xyz")


def test_a_copy_that_is_cut_short_is_no_copy(tmp_path):
    """A write that takes a part of a block, as on a disk that gets full, is not taken for a whole one."""
    (tmp_path / "source.bin").write_bytes(b"x" * (7 << 18))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 19, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            copy_file(tmp_path / "source.bin", tmp_path / "copy.bin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("pattern", ["all", "some", "back", "ahead", "none"])
def test_a_file_is_hashed_while_another_reads_it(tmp_path, pattern):
    """In whatever order it is read, and however far."""
    data = bytes(range(256)) * 40
    (tmp_path / "a.bin").write_bytes(data)
    with HashedReading(tmp_path / "a.bin") as file:
        if pattern == "all":
            while file.read(1000):
                pass
        elif pattern == "some":
            assert file.read(3000) == data[:3000]
        elif pattern == "back":
            file.read(3000)
            file.seek(1000)
            assert file.read(4000) == data[1000:5000]
        elif pattern == "ahead":
            file.read(100)
            file.seek(-500, os.SEEK_END)
            assert file.read() == data[-500:]
            file.seek(200)
            file.read(50)
        assert file.finish() == digest_bytes(data)
