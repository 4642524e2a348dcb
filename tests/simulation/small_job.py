"""A workspace with the small scene and a planned job in it, and stage contexts to run shards with."""

from collections.abc import Callable, Mapping
from pathlib import Path

import mujoco

from blueprint_pipeline.job.planning import JobOptions, plan_job
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.settings import ComputeSettings, Settings, WorkspaceSettings
from blueprint_pipeline.skill.affordances import load_affordances
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import JobPlan, dump_plan
from blueprint_pipeline.workspace.storage import SceneFolder, Workspace
from tests.simulation.small_manifest import DESCRIPTIONS, settled_poses, small_manifest
from tests.simulation.small_scene import SCENE_XML, write_scene

SCENE_ID = "small"


def small_settings(folder: Path, workers: int = 1) -> Settings:
    """Settings whose workspace lies below ``folder``."""
    return Settings(
        workspace=WorkspaceSettings(url=str(folder / "workspace"), cache_dir=folder / "cache"), compute=ComputeSettings(workers=workers)
    )


def small_folder(folder: Path) -> SceneFolder:
    return Workspace(small_settings(folder).workspace).scene(SCENE_ID)


def task_scene(folder: Path, xml: str = SCENE_XML, descriptions: Mapping[str, str] = DESCRIPTIONS) -> TaskScene:
    """The small scene, or another one, as the planner of tasks sees it; its twin is written below ``folder``."""
    mjcf_path = write_scene(folder / "workspace" / "scenes" / SCENE_ID, xml) / "mjcf" / "scene.xml"
    poses = settled_poses(xml)
    return TaskScene(
        manifest=small_manifest(descriptions),
        twin=mujoco.MjModel.from_xml_path(str(mjcf_path)),
        mjcf_path=mjcf_path,
        poses=poses,
        overfill=dict.fromkeys(poses, 0.0),
        set_aside={},
        stuck={},
        affordances=load_affordances(),
        cache_dir=folder / "cache",
    )


def small_options(
    episodes: int = 4,
    seed: int = 0,
    skills: tuple[str, ...] = ("pick_place",),
    *,
    held_out: int = 0,
    variation: str = "none",
    recoveries: float = 0.0,
) -> JobOptions:
    made = {"episodes": episodes, "shard_size": episodes, "held_out": held_out, "variation": variation, "recoveries": recoveries}
    width, height = (320, 240) if {"press", "turn", "insert"} & set(skills) else (160, 120)  # buttons and pegs are small in the picture
    return JobOptions(robot="franka_panda", skills=skills, seed=seed, fps=30, width=width, height=height, **made)


def write_job(
    folder: Path,
    episodes: int = 4,
    skills: tuple[str, ...] = ("pick_place",),
    seed: int = 0,
    scene: TaskScene | None = None,
    *,
    held_out: int = 0,
    variation: str = "none",
    recoveries: float = 0.0,
) -> JobPlan:
    """Plan a job of one shard in the small scene, or another one, and write its plan."""
    plan = plan_job(
        scene or task_scene(folder), small_options(episodes, seed, skills, held_out=held_out, variation=variation, recoveries=recoveries)
    )
    for name, data in dump_plan(plan).items():
        small_folder(folder).write_bytes(name, data)
    return plan


def small_context(folder: Path, *, workers: int = 1, is_stopping: Callable[[], bool] = lambda: False) -> StageContext:
    """What the runner would give to a stage."""
    settings = small_settings(folder, workers)
    scene = small_folder(folder)
    return StageContext(
        scene,
        staging=scene.staging("test"),
        cache_dir=folder / "cache",
        settings=settings,
        progress=lambda _done, _total: None,
        is_stopping=is_stopping,
    )
