"""A job of a skill that moves parts, as planned, in the simulator: what press and turn must both do."""

from collections.abc import Callable

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.job.planning import plan_job
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.motion.scene import build_motion_scene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.rollout.controller import SkillController
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.twin.model import build_scene_model, planning_copy
from tests.simulation.small_job import small_options

STILL_M = 0.001


def assert_job_is_done(
    scene: TaskScene, skill: str, parts: set[str], check: Callable[[Task, FloatArray], None] = lambda _task, _poses: None
) -> None:
    """Six episodes: every part is moved, phase by phase, nothing else moves, and the first comes out the same again, bit by bit.

    ``check`` looks at the task and the target's poses, (T + 1, 7), of each.
    """
    plan = plan_job(scene, small_options(6, skills=(skill,)))
    twin = build_scene_model(scene.mjcf_path, plan.robot, plan.fps)
    embodiment = load_embodiment(plan.robot.embodiment)
    planner = build_motion_scene(planning_copy(twin.model), embodiment, embodiment.arms[0].name, fps=plan.fps, cache_dir=scene.cache_dir)
    simulator = MujocoSimulator()
    simulator.use(twin)
    controller = SkillController(simulator=simulator, twin=twin, planner=planner)
    done = set()
    for spec in plan.episodes:
        attempt, outcome = controller.attempt(spec)
        assert outcome.success, outcome
        done.add(spec.task.target_object)
        poses = np.stack([row.state.object_poses for row in attempt.all_rows()])
        target = twin.object_ids.index(spec.task.target_object)
        assert np.delete(np.abs(poses - poses[0]).max(axis=(0, 2)), target).max() < STILL_M
        assert [phase.name for phase in attempt.phases] == list(load_skill(skill).phases)
        check(spec.task, poses[:, target])
    assert done == parts
    again, first = (controller.attempt(plan.episodes[0])[0] for _ in range(2))
    assert all((a.state.qpos == b.state.qpos).all() for a, b in zip(again.all_rows(), first.all_rows(), strict=True))
