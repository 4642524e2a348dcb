"""Reads a settled scene, plans a job in it, and writes ``geniesim/plan.json`` with the documents about it."""

from collections.abc import Sequence

import mujoco

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.job.exports import (
    build_asset_index,
    build_export_manifest,
    build_scene_graph,
    build_task_config,
    dump_json,
)
from blueprint_pipeline.job.past_batches import PAST, CoverageChanged, digest_past, load_past
from blueprint_pipeline.job.planning import Crew, JobOptions, plan_job
from blueprint_pipeline.job.start_states import StartStates
from blueprint_pipeline.job.task_scene import TaskScene
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.scene.joint_test import load_joint_tests
from blueprint_pipeline.scene.physics import load_physics
from blueprint_pipeline.scene.process_meshes import load_overfill
from blueprint_pipeline.scene.set_aside import load_assembled_manifest, load_set_aside
from blueprint_pipeline.scene.settle import load_settled
from blueprint_pipeline.simulators import TWIN_FOLDER, TWIN_PATH
from blueprint_pipeline.skill.affordances import load_affordances
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.coverage import BatchCoverage
from blueprint_pipeline.task.demonstration import SourceDemonstration
from blueprint_pipeline.task.plan import (
    ASSET_INDEX_PATH,
    EXPORT_MANIFEST_PATH,
    SCENE_GRAPH_PATH,
    TASK_CONFIG_PATH,
    JobPlan,
    dump_plan,
)
from blueprint_pipeline.twin.errors import ModelNotBuilt
from blueprint_pipeline.twin.footprint import movable_objects

SETTLED_PATH = "layout/settled.json"


class PoseMissing(InputError):
    """An object of the twin has no settled pose, or the other way round."""

    code = "task.pose_missing"
    template = (
        "{path} and the twin do not list the same movable objects: without a settled pose {missing}, not in the twin "
        "{unknown}. Run assemble_scene and settle_scene again."
    )

    path: str
    missing: list[str]
    unknown: list[str]


def load_task_scene(context: StageContext) -> TaskScene:
    """The scene as the planner of tasks sees it.

    Raises:
        ModelNotBuilt: The twin does not compile.
        PoseMissing: The twin and the settled poses disagree on what can move.
    """
    mjcf_path = context.input(TWIN_FOLDER).parent / TWIN_PATH
    try:
        twin = mujoco.MjModel.from_xml_path(str(mjcf_path))
    except ValueError as error:
        raise ModelNotBuilt(str(mjcf_path), str(error)) from error
    poses = load_settled(context.scene).poses
    movable = set(movable_objects(twin))
    if movable != set(poses):
        raise PoseMissing(SETTLED_PATH, sorted(movable - set(poses)), sorted(set(poses) - movable))
    return TaskScene(
        manifest=load_assembled_manifest(context.scene),
        twin=twin,
        mjcf_path=mjcf_path,
        poses=poses,
        overfill={name: load_overfill(context.scene, name) for name in poses},
        set_aside=load_set_aside(context.scene).reasons,
        stuck=load_joint_tests(context.scene).problems(),
        affordances=load_affordances(),
        cache_dir=context.cache_dir,
    )


def _load_past(options: JobOptions, context: StageContext) -> tuple[BatchCoverage, ...]:
    """What the other batches have, where the plan looks at it: what the key was made from, and nothing else.

    Raises:
        CoverageChanged: Another batch was counted since.
    """
    if options.cover != "missing":
        return ()
    past = load_past(context.scene, options, context.settings.registry)
    if digest_past(past) != context.inputs[PAST]:
        raise CoverageChanged(context.scene.scene_id)
    return past


def plan_tasks(options: JobOptions, context: StageContext, demonstrations: Sequence[SourceDemonstration] = ()) -> JobPlan:
    """Plan a job and write it; the same request on the same scene writes the same bytes."""
    scene = load_task_scene(context)
    crew = Crew(workers=context.settings.compute.workers, progress=context.progress, stop_if_asked=context.stop_if_asked)
    plan = plan_job(scene, options, crew, _load_past(options, context), demonstrations)
    supports = StartStates(scene.twin, scene.poses).supports
    embodiment = load_embodiment(plan.robot.embodiment)
    physics = {item.id: load_physics(context.scene, item.id) for item in scene.manifest.objects}
    files = {
        SCENE_GRAPH_PATH: dump_json(build_scene_graph(scene.manifest, scene.poses, supports, plan, scene.affordances)),
        ASSET_INDEX_PATH: dump_json(build_asset_index(scene.manifest, physics, scene.affordances)),
        TASK_CONFIG_PATH: dump_json(build_task_config(scene.manifest, plan, embodiment)),
        **dump_plan(plan),
    }
    listed = {name.removeprefix("geniesim/"): data for name, data in files.items()}
    files[EXPORT_MANIFEST_PATH] = dump_json(build_export_manifest(plan, listed))
    for name, data in files.items():
        context.output(name).write_bytes(data)
    return plan
