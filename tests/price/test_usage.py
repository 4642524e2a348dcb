"""Usage is measured on the process and its children, and a thing that is not measured is not made up."""

import subprocess
import sys

import psutil
import pytest

from blueprint_pipeline.price.usage import NotMeasured, add_usages, measure_usage, usage_of_unit
from blueprint_pipeline.workspace.commits import Usage

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


def test_bytes_are_none_where_counting_stopped_meanwhile(monkeypatch):
    """Counters that could be read at the start and not at the end give no figure, and the block's work is not lost."""
    counters = iter([psutil.Process().io_counters()])

    def once(_self):
        try:
            return next(counters)
        except StopIteration:
            raise PermissionError from None

    monkeypatch.setattr(psutil.Process, "io_counters", once)
    with measure_usage() as measured:
        pass
    assert (measured.usage.bytes_read, measured.usage.bytes_written) == (None, None)


USAGE = Usage(wall_s=8.0, cpu_s=6.0, peak_memory_bytes=100, bytes_read=10, bytes_written=20)


def test_who_shares_a_machine_held_its_part_of_the_time():
    """Of four side by side each is billed a quarter of the wall time, and all of its own CPU time, memory and bytes."""
    unit = usage_of_unit(USAGE, machine="local_laptop", side_by_side=4)
    assert unit.usage == USAGE.model_copy(update={"wall_s": 2.0})
    assert unit.machine == "local_laptop"


def test_usages_add_up_and_peaks_do_not():
    """What ran one after another never held the sum of its peaks; bytes that one did not count are not known of all."""
    other = Usage(wall_s=1.0, cpu_s=2.0, peak_memory_bytes=70, bytes_read=None, bytes_written=5)
    both = Usage(wall_s=9.0, cpu_s=8.0, peak_memory_bytes=100, bytes_read=None, bytes_written=25)
    assert add_usages([USAGE, other]) == add_usages([other, USAGE]) == both
    assert add_usages([]) == Usage(wall_s=0.0, cpu_s=0.0, peak_memory_bytes=0, bytes_read=0, bytes_written=0)


def test_a_block_that_fails_is_measured_too():
    """The cost of a failure can be told."""
    with pytest.raises(KeyError), measure_usage() as measured:
        raise KeyError
    assert measured.usage.wall_s >= 0


def test_usage_within_the_block_is_an_error():
    """Half a measurement is none."""
    with measure_usage() as measured, pytest.raises(NotMeasured):
        _ = measured.usage
