"""A file is hashed once while nobody touches it, and again as soon as anybody did."""

import os
from hashlib import sha256

import pytest

from blueprint_pipeline.workspace import checksums
from blueprint_pipeline.workspace.checksums import digest_file, move_file

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
