"""The benchmarks start and end well at their smallest size; the kill drill takes minutes at any size and is left to ``make bench``."""

import re
from pathlib import Path

import pytest

from benchmarks import kept_rate, run_all

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
    assert "38 kinds of fault; 0 of them passed" in told


@pytest.mark.slow
def test_rates_count_what_was_attempted_and_name_what_was_not(capfd):
    scenes = Path(__file__).parents[1] / "resources/scenes"
    folders = [scenes / "minimal_ok", scenes / "broken/missing_mesh"]
    assert kept_rate.main([*map(str, folders), "--skills", "pick_place", "open", "--attempts", "2"]) == 0
    told = capfd.readouterr().out
    assert "missing_mesh: not imported" in told
    assert "minimal_ok franka_panda open: not attempted" in told
    assert re.search(r"minimal_ok franka_panda pick_place +\d of +2 kept .*; (\d) of \1 replay", told)


def test_a_kept_episode_that_does_not_replay_fails_the_benchmark(monkeypatch):
    cell = kept_rate.Cell(scene="s", robot="r", skill="push", attempts=4, kept=3, replayed=2, reasons=())
    monkeypatch.setattr(kept_rate, "attempt_all", lambda *_: [cell])
    assert kept_rate.main([]) == 1
    monkeypatch.setattr(kept_rate, "attempt_all", lambda *_: [])
    assert kept_rate.main([]) == 1
