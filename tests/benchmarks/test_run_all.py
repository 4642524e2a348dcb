"""The benchmarks start and end well at their smallest size; the kill drill takes minutes at any size and is left to ``make bench``."""

from pathlib import Path

import pytest

from benchmarks import run_all

NEEDS_SCENE = tuple(row.name for row in run_all.ROWS if "{workspace}" in row.small)


def test_every_benchmark_has_a_row():
    files = {path.stem for path in Path(run_all.__file__).parent.glob("*.py")} - {"__init__", "run_all"}
    assert files == {row.name for row in run_all.ROWS}


def test_benchmarks_without_a_scene_run(capfd):
    assert run_all.main(["--size", "small", "package_bundle", "dataset_write"]) == 0
    assert "pack_cpu_ratio" in capfd.readouterr().out


@pytest.mark.slow
def test_benchmarks_on_a_scene_run(capfd):
    assert run_all.main(["--size", "small", *NEEDS_SCENE]) == 0
    told = capfd.readouterr().out
    assert "times what MuJoCo's steps alone take" in told
    assert "pictures per CPU s" in told
