"""Simulates the episodes of a shard: physics alone, every attempt kept.

MuJoCo acts on all cores. Any other simulator acts for one caller at a time: with it the episodes are attempted one after the other, in
this process, and each is published before the next begins.

An episode is written beside its place and published whole, ``episode.json`` last. A killed shard, run again, keeps what
was published and makes the rest; what it makes is the same to the byte. What the attempts took is measured, and kept apart.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from blueprint_pipeline.episode.record import EPISODE_NAME, STATES_NAME, EpisodeRecord, recording_path, usage_path
from blueprint_pipeline.errors import InputError
from blueprint_pipeline.rollout.shard_work import EpisodeSummary, ShardWork, summarise
from blueprint_pipeline.simulation.open_simulator import is_embedded, open_simulator, scene_inputs
from blueprint_pipeline.simulators import SimulatorName
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.stage.pool import Died, Finished, WorkerDied, WorkerPool
from blueprint_pipeline.task.plan import PLAN_PATH, JobPlan
from blueprint_pipeline.task.spec import EpisodeSpec
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.workspace.storage import SceneFolder


class UnknownShard(InputError):
    """The plan has no such shard."""

    code = "simulation.unknown_shard"
    template = "The plan has no shard {shard_index}; it has {shards}, counted from 0. Ask for one of these, or run plan_tasks again."

    shard_index: int
    shards: int


def load_plan(scene: SceneFolder) -> JobPlan:
    """Read ``geniesim/plan.json``."""
    return JobPlan.model_validate_json(scene.read_bytes(PLAN_PATH))


def shard_episodes(plan: JobPlan, shard_index: int) -> list[EpisodeSpec]:
    """The episodes of a shard, in order.

    Raises:
        UnknownShard: The plan has no such shard.
    """
    for shard in plan.shards:
        if shard.shard_index == shard_index:
            by_index = {spec.episode_index: spec for spec in plan.episodes}
            return [by_index[index] for index in shard.episode_indices]
    raise UnknownShard(shard_index, len(plan.shards))


def simulate_shard(shard_index: int, context: StageContext, simulator: SimulatorName | None = None) -> list[EpisodeSummary]:
    """Attempt every episode of a shard that is not published yet.

    Args:
        shard_index: Which shard of the plan.
        context: Where to read and write.
        simulator: What acts; what the settings say if not given.

    Raises:
        TwinDiffers: The simulator addresses the scene otherwise than the twin.
        WorkerDied: A process died; all other episodes are finished and published. Run again to redo those.
        PreemptedError: SIGTERM came; what was published stays.
    """
    plan = load_plan(context.scene)
    specs = shard_episodes(plan, shard_index)
    crew = _open_runner(_shard_work(plan, shard_index, context), context, simulator or context.settings.simulation.simulator)
    summaries = {spec.episode_id: _published(context.scene, plan, shard_index, spec, crew.model_sha256) for spec in specs}
    todo = [spec for spec in specs if summaries[spec.episode_id] is None]
    context.progress(len(specs) - len(todo), len(specs))
    died: list[Died[EpisodeSpec]] = []
    for ended in crew.run(todo):
        if isinstance(ended, Died):
            died.append(ended)
            continue
        context.publish(usage_path(shard_index, ended.unit.episode_id))
        context.publish(recording_path(shard_index, ended.unit.episode_id))
        summaries[ended.unit.episode_id] = ended.answer
        context.progress(sum(summary is not None for summary in summaries.values()), len(specs))
    if died:
        raise WorkerDied([item.unit.episode_id for item in died], [item.reason for item in died], len(specs) - len(died))
    return [summary for summary in summaries.values() if summary is not None]


@dataclass(frozen=True, kw_only=True)
class _Crew:
    """Who attempts episodes, and on what."""

    model_sha256: str
    run: Callable[[Sequence[EpisodeSpec]], Iterator[Finished[EpisodeSpec, EpisodeSummary] | Died[EpisodeSpec]]]


def _open_runner(work: ShardWork, context: StageContext, simulator: SimulatorName) -> _Crew:
    if is_embedded(simulator, context.settings):
        model_sha256 = build_scene_model(work.mjcf_path, work.robot, work.fps).sha256
        pool: WorkerPool[EpisodeSpec, EpisodeSummary] = WorkerPool(
            context.settings.compute.workers, prepare_worker, (work,), simulate_episode, context.stop_if_asked
        )
        return _Crew(model_sha256=model_sha256, run=pool.run)
    for name in scene_inputs(simulator):
        context.input(name)
    opened = open_simulator(simulator, context.settings)  # first of all: Isaac Sim wants to be up before others are imported
    from blueprint_pipeline.rollout import worker  # noqa: PLC0415 -- planners take seconds to import

    built = worker.build_worker(work, opened)

    def run(specs: Sequence[EpisodeSpec]) -> Iterator[Finished[EpisodeSpec, EpisodeSummary]]:
        for spec in specs:
            context.stop_if_asked()
            yield Finished(spec, worker.write_attempt(built, spec))

    return _Crew(model_sha256=built.loaded.model_sha256, run=run)


def _shard_work(plan: JobPlan, shard_index: int, context: StageContext) -> ShardWork:
    return ShardWork(
        mjcf_path=context.input("mjcf") / "scene.xml",
        scene_id=plan.scene_id,
        job_id=plan.job_id,
        shard_index=shard_index,
        fps=plan.fps,
        robot=plan.robot,
        output=context.output(recording_path(shard_index, "x")).parent,
        usage=context.output(usage_path(shard_index, "x")).parent,
        cache_dir=context.cache_dir,
    )


def _published(scene: SceneFolder, plan: JobPlan, shard_index: int, spec: EpisodeSpec, model_sha256: str) -> EpisodeSummary | None:
    """What is known of an episode that an earlier run finished; ``None`` if it is not whole, or of another plan or model."""
    folder = recording_path(shard_index, spec.episode_id)
    if not scene.exists(f"{folder}/{EPISODE_NAME}"):
        return None
    try:
        record = EpisodeRecord.model_validate_json(scene.read_bytes(f"{folder}/{EPISODE_NAME}"))
    except ValidationError:
        return None
    if (record.job_id, record.spec, record.model_sha256) != (plan.job_id, spec, model_sha256):
        return None
    states = f"{folder}/{STATES_NAME}"
    if record.states is not None and (not scene.exists(states) or scene.digest(states) != record.states):
        return None
    return summarise(record)


def count_failures(summaries: Sequence[EpisodeSummary]) -> dict[str, int]:
    """How many attempts failed, by ``stage:code``, sorted."""
    return dict(sorted(Counter(summary.failure for summary in summaries if summary.failure is not None).items()))


def prepare_worker(work: ShardWork) -> None:
    """Compile the model and prepare the planner, once in each worker process."""
    from blueprint_pipeline.rollout import worker  # noqa: PLC0415 -- planners take seconds to import, and only workers plan

    worker.prepare(work)


def simulate_episode(spec: EpisodeSpec) -> EpisodeSummary:
    """Attempt one episode in a worker process, and write it."""
    from blueprint_pipeline.rollout import worker  # noqa: PLC0415 -- as above

    return worker.simulate(spec)
