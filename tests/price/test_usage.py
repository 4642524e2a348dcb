"""Usage is measured on the process and its children, and a thing that is not measured is not made up."""

import subprocess
import sys

import psutil
import pytest

from blueprint_pipeline.price.usage import NotMeasured, measure_usage

BURN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


def test_cpu_of_the_process_is_counted():
    """CPU time grows with work, not with waiting."""
    with measure_usage() as measured:
        exec(BURN.format(0.2))
    assert 0.2 <= measured.usage.cpu_s < 0.6
    assert measured.usage.wall_s >= 0.2
    with measure_usage() as idle:
        pass
    assert idle.usage.cpu_s < 0.1


def test_cpu_of_children_is_counted():
    """A child that was waited for counts, with its CPU time and its memory."""
    with measure_usage() as measured:
        subprocess.run([sys.executable, "-c", "block = b'x' * 300_000_000\n" + BURN.format(0.3)], check=True)
    assert measured.usage.cpu_s >= 0.3
    assert measured.usage.peak_memory_bytes >= 300_000_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts bytes of a process")
def test_bytes_are_counted(tmp_path):
    """Bytes that were written and read are in the counts."""
    with measure_usage() as measured:
        (tmp_path / "x").write_bytes(b"x" * 1_000_000)
        (tmp_path / "x").read_bytes()
    assert measured.usage.bytes_written >= 1_000_000
    assert measured.usage.bytes_read >= 1_000_000


@pytest.mark.parametrize("refusal", [psutil.AccessDenied(), RuntimeError("/proc/1/io file was empty"), PermissionError()])
def test_bytes_are_none_where_nobody_counts_them(refusal, monkeypatch):
    """Without counters the usage says None, never zero."""

    def hidden(_self):
        raise refusal

    monkeypatch.setattr(psutil.Process, "io_counters", hidden)
    with measure_usage() as measured:
        pass
    assert (measured.usage.bytes_read, measured.usage.bytes_written) == (None, None)


def test_a_block_that_fails_is_measured_too():
    """The cost of a failure can be told."""
    with pytest.raises(KeyError), measure_usage() as measured:
        raise KeyError
    assert measured.usage.wall_s >= 0


def test_usage_within_the_block_is_an_error():
    """Half a measurement is none."""
    with measure_usage() as measured, pytest.raises(NotMeasured):
        _ = measured.usage
