"""From a settled scene to a job: what the robot should do in every episode.

The same request on the same scene gives the same plan, to the byte. Every episode draws from its own generator, seeded by
the job's seed and the episode's index, so it is the same however many episodes the job has: a longer job begins with the
episodes of a shorter one, and both have the same id.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from blueprint_pipeline.job.site import LeftOut, NothingToDo, Site, choose_site
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.robot.layout import home_joints, open_widths, start_qpos
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState
from blueprint_pipeline.skill.registry import load_skill
from blueprint_pipeline.task.plan import JobPlan, ShardRef
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.task.task import Task
from blueprint_pipeline.workspace.canonical import key_of

ARM_JITTER_RAD = 0.03


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a run chooses."""

    robot: str
    skills: tuple[str, ...]
    episodes: int
    seed: int
    shard_size: int
    fps: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """A job, and what was left out of it."""

    plan: JobPlan
    left_out: LeftOut


def plan_job(scene: TaskScene, options: JobOptions) -> PlannedJob:
    """Plan every episode of a job.

    Raises:
        NothingToDo: A skill finds no object that it can take.
        NoRoomForRobot: The robot finds no place.
        UnknownRobot: There is no such robot.
        UnknownSkill: There is no such skill.
    """
    site = choose_site(scene, options.robot, options.skills, fps=options.fps, seed=options.seed)
    episodes = tuple(_plan_episode(scene, site, options, index) for index in range(options.episodes))
    indices = range(options.episodes)
    shards = tuple(
        ShardRef(shard_index=number, episode_indices=tuple(indices[start : start + options.shard_size]))
        for number, start in enumerate(range(0, options.episodes, options.shard_size))
    )
    plan = JobPlan(
        job_id=_job_id(scene, site, options),
        scene_id=scene.manifest.scene_id,
        seed=options.seed,
        fps=options.fps,
        robot=site.placement,
        cameras=_cameras(site),
        width=options.width,
        height=options.height,
        shards=shards,
        episodes=episodes,
    )
    return PlannedJob(plan=plan, left_out=site.left_out)


def _job_id(scene: TaskScene, site: Site, options: JobOptions) -> str:
    """From all that the episodes depend on, but not from how many there are, nor from how they are put into shards."""
    key = key_of(
        {
            "scene_id": scene.manifest.scene_id,
            "model_sha256": site.compiled.sha256,
            "poses": {name: pose.model_dump(mode="json") for name, pose in scene.poses.items()},
            "robot": site.placement.model_dump(mode="json"),
            "skills": [load_skill(name).version for name in options.skills],
            "targets": {skill: list(names) for skill, names in site.targets.items()},
            "seed": options.seed,
            "fps": options.fps,
            "cameras": list(_cameras(site)),
            "width": options.width,
            "height": options.height,
        }
    )
    return f"job-{key[:12]}"


def _cameras(site: Site) -> tuple[str, ...]:
    return ("scene", *(camera.name for camera in site.place.embodiment.wrist_cameras))


def _plan_episode(scene: TaskScene, site: Site, options: JobOptions, index: int) -> EpisodeSpec:
    """One episode: a start state, and a task in it. Skills take turns, and so do the objects that each takes."""
    rng = np.random.default_rng(np.random.SeedSequence([options.seed, index]))
    poses = site.starts.sample(rng)
    turn, choice = divmod(index, len(options.skills))
    skill = load_skill(options.skills[choice])
    task = _propose(scene, site, skill, site.start_state(scene.twin, poses), turn=turn, rng=rng)
    embodiment = site.place.embodiment
    home = home_joints(embodiment)
    joints = home + rng.uniform(-ARM_JITTER_RAD, ARM_JITTER_RAD, len(home))
    return EpisodeSpec(
        episode_index=index,
        episode_id=f"{skill.name}_ep{index:06d}",
        seed=int(np.random.SeedSequence([options.seed, index]).generate_state(1)[0]),
        arm=site.place.planner.arm.name,
        task=task,
        object_poses=poses,
        robot_qpos=start_qpos(embodiment, joints, open_widths(embodiment)),
    )


def _propose(scene: TaskScene, site: Site, skill: Skill[Any], start: StartState, *, turn: int, rng: np.random.Generator) -> Task:
    """A task for the object whose turn it is, or else for the next that has one in this start state."""
    targets = site.targets[skill.name]
    refused: dict[str, str] = {}
    for step in range(len(targets)):
        target = targets[(turn + step) % len(targets)]
        try:
            task: Task = skill.propose(site.place, start, target, rng)
        except NotOffered as refusal:
            refused[target] = refusal.reason
        else:
            return task
    raise NothingToDo(scene.manifest.scene_id, skill.name, refused)
