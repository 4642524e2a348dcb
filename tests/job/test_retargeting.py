"""The same task and scene on another robot is one parameter of a request."""

from dataclasses import replace
from pathlib import Path

import pytest

from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.robot.embodiment import list_embodiments, load_embodiment
from blueprint_pipeline.task.plan import JobPlan
from tests.simulation.small_job import small_options, task_scene

EPISODES = 2
THE_ROBOTS_OWN = {"job_id", "robot", "start_area", "left_out", "coverage", "episodes"}
"""Of a plan: the job's name is the hash of its request, and where things start and can be brought depends on what the arm reaches."""
ITS_START = {"arm", "object_poses", "robot_qpos", "task"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> TaskScene:
    folder: Path = tmp_path_factory.mktemp("scene")
    return task_scene(folder)


@pytest.fixture(scope="module")
def by_default(scene: TaskScene) -> JobPlan:
    return plan_job(scene, small_options(EPISODES))


@pytest.mark.parametrize("robot", [embodiment.name for embodiment in list_embodiments()])
def test_a_plan_for_another_robot_differs_in_what_the_robot_decides(scene: TaskScene, by_default: JobPlan, robot: str) -> None:
    """Scene, seed, cameras, shards and kinds of task are the same; every file says which robot it is for."""
    plan = plan_job(scene, replace(small_options(EPISODES), robot=robot))
    assert plan.robot.embodiment == robot
    assert plan.model_dump(exclude=THE_ROBOTS_OWN) == by_default.model_dump(exclude=THE_ROBOTS_OWN)
    for episode, usual in zip(plan.episodes, by_default.episodes, strict=True):
        assert episode.model_dump(exclude=ITS_START) == usual.model_dump(exclude=ITS_START)
        assert type(episode.task) is type(usual.task)
        assert episode.arm == load_embodiment(robot).arms[0].name
        assert set(episode.object_poses) == set(usual.object_poses)
