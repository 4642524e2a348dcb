"""Simulates the episodes of a shard: physics alone, every attempt kept.

MuJoCo acts on all cores. Any other simulator acts for one caller at a time: with it the episodes are attempted one after the other, in
this process, and each is published before the next begins.

An episode is written beside its place and published whole, its commit last. Whatever run comes next keeps the episodes that it would make
from the same, and makes the rest: after a kill, and when a plan grows. What it makes is the same to the byte. What the attempts took is
measured, and kept apart.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from blueprint_pipeline.episode.record import (
    EPISODE_NAME,
    EpisodeRecord,
    EpisodeUsage,
    recording_path,
    render_path,
    render_usage_path,
    usage_path,
)
from blueprint_pipeline.rollout.shard_work import EpisodeSummary, ShardWork, summarise
from blueprint_pipeline.simulation.open_simulator import is_embedded, open_simulator, scene_inputs, simulator_release
from blueprint_pipeline.simulators import TWIN_FOLDER, TWIN_PATH, SimulatorName
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.stage.pool import Died, Finished, WorkerDied, WorkerPool
from blueprint_pipeline.task.plan import JobPlan, load_plan, load_shard_plan, shard_name
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.workspace.canonical import key_of
from blueprint_pipeline.workspace.commits import package_versions
from blueprint_pipeline.workspace.folder_commits import WrittenFolder, folders_under, is_folder_done, write_folder_commit
from blueprint_pipeline.workspace.storage import SceneFolder

if TYPE_CHECKING:
    from blueprint_pipeline.rollout.worker import Worker
    from blueprint_pipeline.twin.model import SceneModel


def simulate_shard(shard_index: int, context: StageContext, simulator: SimulatorName | None = None) -> list[EpisodeSummary]:
    """Attempt every episode of a shard that no earlier run made from the same; what else lies there goes.

    Args:
        shard_index: Which shard of the plan.
        context: Where to read and write.
        simulator: What acts; what the settings say if not given.

    Raises:
        TwinDiffers: The simulator addresses the scene otherwise than the twin.
        WorkerDied: A process died; all other episodes are finished and published. Run again to redo those.
        PreemptedError: SIGTERM came; what was published stays.
    """
    plan = load_shard_plan(context.scene, shard_index)
    specs = plan.episodes
    chosen = simulator or context.settings.simulation.simulator
    keys = _episode_keys(plan, shard_index, specs, context, chosen)
    summaries = {spec.episode_id: _keep_done(context, shard_index, spec, keys) for spec in specs}
    _remove_others(context.scene, shard_index, {name for name, summary in summaries.items() if summary is not None})
    if shard_index == 0:
        _remove_unplanned_shards(context.scene, load_plan(context.scene))
    todo = [spec for spec in specs if summaries[spec.episode_id] is None]
    context.progress(len(specs) - len(todo), len(specs))
    died: list[Died[EpisodeSpec]] = []
    for ended in _attempt(todo, _shard_work(plan, shard_index, context, chosen, len(todo)), context, chosen):
        if isinstance(ended, Died):
            died.append(ended)
            continue
        name = ended.unit.episode_id
        write_folder_commit(context.staging / recording_path(shard_index, name), keys[name], ended.answer.files)
        context.publish(usage_path(shard_index, name))
        context.publish(recording_path(shard_index, name))
        summaries[name] = ended.answer.summary
        context.progress(sum(summary is not None for summary in summaries.values()), len(specs))
    if died:
        raise WorkerDied([item.unit.episode_id for item in died], [item.reason for item in died], len(specs) - len(died))
    return [summary for summary in summaries.values() if summary is not None]


def _attempt(
    todo: Sequence[EpisodeSpec], work: ShardWork, context: StageContext, simulator: SimulatorName
) -> Iterator[Finished[EpisodeSpec, WrittenFolder[EpisodeSummary]] | Died[EpisodeSpec]]:
    if not todo:
        return
    if is_embedded(simulator, context.settings):
        pool: WorkerPool[Worker, EpisodeSpec, WrittenFolder[EpisodeSummary]] = WorkerPool(
            context.settings.compute.workers, _prepare_worker, (work, _compile_twin(work)), _simulate, context.stop_if_asked
        )
        yield from pool.run(todo)
        return
    for name in scene_inputs(simulator):
        context.input(name)
    opened = open_simulator(simulator, context.settings)  # first of all: Isaac Sim wants to be up before others are imported
    from blueprint_pipeline.rollout import worker  # noqa: PLC0415 -- planners take seconds to import

    built = worker.build_worker(work, _compile_twin(work), opened)
    for spec in todo:
        context.stop_if_asked()
        yield Finished(spec, worker.write_attempt(built, spec))


def _episode_keys(
    plan: JobPlan, shard_index: int, specs: Sequence[EpisodeSpec], context: StageContext, simulator: SimulatorName
) -> dict[str, str]:
    """Key of each episode: over its specification and all that it is made with, not over how many others are planned."""
    made_with = key_of(
        {
            "job_id": plan.job_id,
            "shard_index": shard_index,
            "robot": plan.robot.model_dump(mode="json"),
            "fps": plan.fps,
            "simulator": simulator,
            "release": simulator_release(simulator, context.settings),
            "scene": {name: digest.sha256 for name, digest in context.digests_under(*scene_inputs(simulator)).items()},
            "code_version": context.code_version,
            "packages": package_versions(),
        }
    )
    return {spec.episode_id: key_of({"made_with": made_with, "spec": spec.model_dump(mode="json")}) for spec in specs}


def _keep_done(context: StageContext, shard_index: int, spec: EpisodeSpec, keys: Mapping[str, str]) -> EpisodeSummary | None:
    """What is known of an episode that an earlier run made from the same; ``None`` if there is none, or it is not whole."""
    scene, folder = context.scene, recording_path(shard_index, spec.episode_id)
    usage = scene.find_document(usage_path(shard_index, spec.episode_id), EpisodeUsage)
    if usage is None or not is_folder_done(scene, folder, keys[spec.episode_id]):
        return None
    context.keep(folder, usage.made)
    return summarise(EpisodeRecord.model_validate_json(scene.read_bytes(f"{folder}/{EPISODE_NAME}")))


def _remove_others(scene: SceneFolder, shard_index: int, kept: AbstractSet[str]) -> None:
    """Remove the shard's recordings that are not to be kept, and what they took."""
    for folder in folders_under(scene, recording_path(shard_index)) - {recording_path(shard_index, name) for name in kept}:
        scene.remove(folder)
    for name in set(scene.files_under(usage_path(shard_index))) - {usage_path(shard_index, name) for name in kept}:
        scene.remove(name)


def _remove_unplanned_shards(scene: SceneFolder, plan: JobPlan) -> None:
    """Remove what was recorded and drawn of shards that the plan does not have any more: no reader may take it for this job's."""
    planned = {shard_name(shard.shard_index) for shard in plan.shards}
    for path in (recording_path, usage_path, render_path, render_usage_path):
        for folder in folders_under(scene, path(0).rpartition("/")[0]):
            if folder.rpartition("/")[2] not in planned:
                scene.remove(folder)


def _shard_work(plan: JobPlan, shard_index: int, context: StageContext, simulator: SimulatorName, episodes: int) -> ShardWork:
    return ShardWork(
        scene=context.input(TWIN_FOLDER).parent,
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        shard_index=shard_index,
        fps=plan.fps,
        robot=plan.robot,
        output=context.output(recording_path(shard_index, "x")).parent,
        usage=context.output(usage_path(shard_index, "x")).parent,
        cache_dir=context.cache_dir,
        machine=context.settings.compute.machine,
        demonstrations=plan.demonstrations,
        side_by_side=min(context.settings.compute.workers, episodes) if is_embedded(simulator, context.settings) else 1,
    )


def count_failures(summaries: Sequence[EpisodeSummary]) -> dict[str, int]:
    """How many attempts failed, by ``stage:code``, sorted."""
    return dict(sorted(Counter(summary.failure for summary in summaries if summary.failure is not None).items()))


def _compile_twin(work: ShardWork) -> "SceneModel":
    """The scene with its robot, compiled once for all worker processes."""
    from blueprint_pipeline.twin.model import build_scene_model  # noqa: PLC0415 -- imports mujoco: only when Isaac Sim is up

    return build_scene_model(work.scene / TWIN_PATH, work.robot, work.fps)


def _prepare_worker(work: ShardWork, twin: "SceneModel") -> "Worker":
    from blueprint_pipeline.rollout.worker import build_worker  # noqa: PLC0415 -- planners take seconds to import, and only workers plan

    return build_worker(work, twin)


def _simulate(worker: "Worker", spec: EpisodeSpec) -> WrittenFolder[EpisodeSummary]:
    from blueprint_pipeline.rollout.worker import write_attempt  # noqa: PLC0415 -- planners; loaded by _prepare_worker

    return write_attempt(worker, spec)
