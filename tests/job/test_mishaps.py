"""In which episodes something goes wrong on purpose: a stated share, the same ones each time, and no task differs for it."""

import numpy as np
import pytest

from blueprint_pipeline.job.mishaps import LARGEST_TURN_RAD, draw_mishap
from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.job.stages import PLAN_TASKS, PlanTasksRequest
from blueprint_pipeline.settings import Settings, WorkspaceSettings
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.mishap import Mishap, NoMishaps
from tests.simulation.small_job import small_options, task_scene

KINDS = ("beside", "high", "loose")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_the_share_is_the_one_asked_for(share: float) -> None:
    """Of 2000 draws, within four standard deviations; each kind comes first as often as the others."""
    drawn = [draw_mishap(KINDS, share, np.random.default_rng(seed)) for seed in range(2000)]
    found = [mishap for mishap in drawn if mishap is not None]
    assert abs(len(found) - 2000 * share) <= 4 * np.sqrt(2000 * share * (1 - share))
    assert drawn == [draw_mishap(KINDS, share, np.random.default_rng(seed)) for seed in range(2000)]
    for kind in KINDS if found else ():
        first = sum(mishap.kinds[0] == kind for mishap in found)
        assert abs(first - len(found) / 3) < 5 * np.sqrt(len(found) * 2 / 9)
    assert all(abs(mishap.turn_rad) <= LARGEST_TURN_RAD and set(mishap.kinds) == set(KINDS) for mishap in found)


def test_a_skill_in_which_nothing_can_go_wrong_has_none() -> None:
    assert draw_mishap((), 1.0, np.random.default_rng(0)) is None


def test_tasks_and_starts_are_the_same_with_and_without(tmp_path) -> None:
    """Two jobs compare what recoveries are worth; held-out starts have none, and the id tells the jobs apart."""
    scene = task_scene(tmp_path)
    plain, provoked = (plan_job(scene, small_options(3, held_out=1, recoveries=share)) for share in (0.0, 1.0))
    assert plain.job_id != provoked.job_id
    assert (plain.recoveries, provoked.recoveries) == (0.0, 1.0)
    assert all(spec.mishap is not None for spec in provoked.episodes)
    assert all(spec.mishap is None for spec in (*plain.episodes, *provoked.held_out))
    assert tuple(spec.model_copy(update={"mishap": None}) for spec in provoked.episodes) == plain.episodes


def test_a_job_in_which_nothing_can_go_wrong_is_refused_at_the_door(tmp_path) -> None:
    """The message names the skills in which something can; one such skill is enough, and without recoveries nobody asks."""
    settings = Settings(workspace=WorkspaceSettings(url=str(tmp_path)))

    def complete(*skills: str, recoveries: float = 0.5) -> None:
        PLAN_TASKS.complete(PlanTasksRequest(scene_id="s", skills=skills, recoveries=recoveries), settings)

    with pytest.raises(NoMishaps, match=r"in open, close, so .* or add pick_place, place_in, stack, insert, push\."):
        complete("open", "close")
    complete("open", "push")
    complete("open", "close", recoveries=0.0)


def test_a_skill_without_mishaps_refuses_one_that_a_plan_names() -> None:
    """A plan of another version, or one that was written by hand."""
    mishap = Mishap(kinds=("high",), way_rad=0.0, turn_rad=0.0, share=0.5)
    with pytest.raises(NoMishaps, match="in press, so"):
        load_skill("press").plan_with_mishap(None, np.zeros(0), None, mishap, seed=0)
