"""A disk without room is an error with a code, whoever met it."""

import errno
from pathlib import Path

import pytest

from blueprint_pipeline.workspace.full_disk import DiskFull, name_full_disk


def test_a_real_device_without_room():
    """Linux keeps one for such tests."""
    with (
        pytest.raises(DiskFull, match="No space left on device") as found,
        name_full_disk(),
        Path("/dev/full").open("wb", buffering=0) as disk,
    ):
        disk.write(b"x")
    assert found.value.retryable


def test_the_file_is_named_and_a_quota_counts_too():
    with pytest.raises(DiskFull, match="no room to write /w/x"), name_full_disk():
        raise OSError(errno.EDQUOT, "Disk quota exceeded", "/w/x")


def test_other_errors_pass():
    with pytest.raises(PermissionError), name_full_disk():
        raise PermissionError(errno.EACCES, "no", "/w/x")
