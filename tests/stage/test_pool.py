"""Tests of the worker pool: a worker that dies takes no other unit with it."""

import os
import signal
from pathlib import Path

import pytest

from blueprint_pipeline.errors import Interrupted, PreemptedError
from blueprint_pipeline.robot.embodiment import UnknownRobot
from blueprint_pipeline.stage.pool import Died, Finished, WorkerDied, WorkerPool


def prepare(_folder: Path) -> None:
    """Nothing to prepare."""


def prepare_in_vain(folder: Path) -> None:
    """Fails, and counts how often it was asked."""
    (folder / str(os.getpid())).touch()
    raise UnknownRobot("r2d2", ["franka_panda"])


def prepare_once(folder: Path) -> None:
    """The first process dies while it is prepared."""
    try:
        (folder / "first").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def double_or_die(_prepared: None, unit: int) -> int:
    """Works on even numbers; an odd one kills the process, as the kernel does when memory runs out."""
    if unit % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * unit


def fail(_prepared: None, unit: int) -> int:
    raise ValueError(unit)


def keep_going() -> None:
    """Nobody asked to stop."""


def test_units_of_dead_workers_are_named_and_the_others_finish(tmp_path) -> None:
    """Two of five units kill their process; three answers come back."""
    ended = list(WorkerPool(2, prepare, (tmp_path,), double_or_die, keep_going).run([0, 1, 2, 3, 4]))
    assert {item.unit: item.answer for item in ended if isinstance(item, Finished)} == {0: 0, 2: 4, 4: 8}
    died = [item for item in ended if isinstance(item, Died)]
    assert sorted(item.unit for item in died) == [1, 3]
    assert all(item.reason for item in died)


def test_error_for_dead_workers_can_be_retried_and_names_the_units() -> None:
    """What the shard raises from it."""
    error = WorkerDied(["ep_1", "ep_2"], ["killed", "killed"], finished=4)
    assert error.retryable
    assert "on ep_1, ep_2 (killed)." in str(error), "a reason that units share is told once"


def test_errors_of_the_work_itself_come_through(tmp_path) -> None:
    """An exception is not a dead worker."""
    with pytest.raises(ValueError, match="7"):
        list(WorkerPool(1, prepare, (tmp_path,), fail, keep_going).run([7]))


def test_errors_of_preparing_a_process_come_through(tmp_path) -> None:
    """As themselves, with their facts, and no process is started for the units that are left."""
    with pytest.raises(UnknownRobot) as caught:
        list(WorkerPool(2, prepare_in_vain, (tmp_path,), double_or_die, keep_going).run([0, 2, 4, 6]))
    assert (caught.value.name, caught.value.retryable) == ("r2d2", False)
    assert 1 <= len(list(tmp_path.iterdir())) <= 2


def test_a_process_that_dies_while_it_is_prepared_takes_one_unit(tmp_path) -> None:
    """The next process is prepared, and works on what is left."""
    ended = list(WorkerPool(1, prepare_once, (tmp_path,), double_or_die, keep_going).run([0, 2, 4]))
    assert [type(item) for item in ended] == [Died, Finished, Finished]
    assert [item.unit for item in ended] == [0, 2, 4]


def test_wish_to_stop_is_heard_between_units(tmp_path) -> None:
    """Units in flight end and are given back, then the wish is raised."""
    calls: list[int] = []

    def stop_at_third() -> None:
        calls.append(1)
        if len(calls) > 2:
            raise Interrupted("stop")

    ended = []
    with pytest.raises(PreemptedError):
        ended.extend(WorkerPool(1, prepare, (tmp_path,), double_or_die, stop_at_third).run([0, 2, 4, 6]))
    run = WorkerPool(1, prepare, (tmp_path,), double_or_die, keep_going).run([])
    assert list(run) == []
