"""Draws the kept episodes of a shard, or its honest failures: each is executed again by the simulator that made it.

Only what replays has pictures.

MuJoCo replays bit by bit, on all cores. Any other simulator works off the episodes one after the other, in this process, by the rule
that its capabilities allow (:mod:`blueprint_pipeline.render.playback`).

An episode's folder is published whole, its commit last; whatever run comes next finds it by that. ``shard.json`` says what the shard drew
and refused of the episodes that are selected now, also where that is nothing. Readers go by the selection, not by the folders.
"""

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pydantic import TypeAdapter

from blueprint_pipeline.episode.record import (
    CERTIFICATE_NAME,
    EPISODE_NAME,
    STATES_NAME,
    KOfN,
    ReplayCertificate,
    Selection,
    recording_path,
    render_path,
    render_usage_path,
)
from blueprint_pipeline.price.usage import measure_usage
from blueprint_pipeline.quality.failures import load_shard_failures
from blueprint_pipeline.quality.replay_rule import load_replay_rule
from blueprint_pipeline.quality.report import load_shard_selection
from blueprint_pipeline.render.errors import NoDepthOrLabels, ProfileNotDrawn
from blueprint_pipeline.render.render import RenderOptions
from blueprint_pipeline.render.worker import (
    RenderSummary,
    RenderWork,
    ShardRenderer,
    load_episode,
    prepare_worker,
    render_unit,
    summarise,
    write_certificate,
)
from blueprint_pipeline.simulation.mujoco.drawing import RenderBackend
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, drawing_releases
from blueprint_pipeline.simulation.open_simulator import is_embedded, load_beside_twin, open_simulator, scene_inputs, simulator_release
from blueprint_pipeline.simulation.render_profiles import FAST, RenderProfile
from blueprint_pipeline.simulators import TWIN_FOLDER, TWIN_PATH, SimulatorName
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.stage.pool import Died, Finished, WorkerDied, WorkerPool
from blueprint_pipeline.task.plan import JobPlan, load_shard_plan
from blueprint_pipeline.twin.model import SceneModel, build_scene_model
from blueprint_pipeline.workspace.canonical import key_of
from blueprint_pipeline.workspace.checksums import known_below
from blueprint_pipeline.workspace.commits import UnitUsage, package_versions
from blueprint_pipeline.workspace.folder_commits import WrittenFolder, folders_under, is_folder_done, write_folder_commit
from blueprint_pipeline.workspace.storage import SceneFolder

SHARD_NAME = "shard.json"


@dataclass(frozen=True, kw_only=True)
class RenderChoice:
    """What draws a shard, and what."""

    simulator: SimulatorName
    replay_rule: KOfN | None
    """For a simulator that promises no bit-identical replay; ``None`` for MuJoCo, whose replays are not asked about it."""
    backend: RenderBackend | None = None
    """What draws where MuJoCo does; ``None``: what the settings say."""
    depth: bool = False
    segmentation: bool = False
    profile: RenderProfile = FAST
    """How good the pictures are, where MuJoCo draws."""


RenderChoiceFields = TypeAdapter(RenderChoice)


def render_shard(shard_index: int, context: StageContext, choice: RenderChoice, selection: Selection = "kept") -> list[RenderSummary]:
    """Draw every selected episode of a shard that no earlier run drew from the same recording with the same.

    Raises:
        NoDepthOrLabels: They are asked of a simulator that draws colour alone.
        ProfileNotDrawn: The simulator draws in one way, its own.
        TwinDiffers: The simulator addresses the scene otherwise than the twin.
        RendererMissing: Nothing on this machine can draw.
        WorkerDied: A process died; all other episodes are finished and published. Run again to redo those.
        PreemptedError: SIGTERM came; what was published stays.
    """
    plan = load_shard_plan(context.scene, shard_index)
    planned = [spec.episode_id for spec in plan.episodes]
    chosen = (load_shard_selection if selection == "kept" else load_shard_failures)(context.scene, shard_index)
    selected = [name for name in planned if name in chosen]
    _validate(choice, context)
    keys = _render_keys(plan, shard_index, planned, context, choice)
    done = {name: found for name in planned if (found := _load_done(context.scene, (shard_index, name, selection), keys[name]))}
    _remove_others(context.scene, shard_index, selection, done.keys())
    for name in selected:
        if name in done:
            context.keep(render_path(shard_index, name, selection), done[name][1])
    summaries = {name: done[name][0] for name in selected if name in done}
    todo = [name for name in selected if name not in done]
    context.progress(len(selected) - len(todo), len(selected))
    died: list[Died[str]] = []
    if todo:
        for ended in _draw(_work(plan, shard_index, selection, context, choice, episodes=len(todo)), context, choice, todo):
            if isinstance(ended, Died):
                died.append(ended)
                continue
            folder = render_path(shard_index, ended.unit, selection)
            write_folder_commit(context.staging / folder, keys[ended.unit], ended.answer.files)
            context.publish(render_usage_path(shard_index, ended.unit, selection))
            context.publish(folder)
            summaries[ended.unit] = ended.answer.summary
            context.progress(len(summaries), len(selected))
    if died:
        raise WorkerDied([item.unit for item in died], [item.reason for item in died], len(selected) - len(died))
    finished = [summaries[name] for name in selected]
    listed = [summary.model_dump() for summary in finished]
    text = json.dumps({"schema_version": "1.0", "shard_index": shard_index, "episodes": listed}, indent=1)
    context.output(f"{render_path(shard_index, selection=selection)}/{SHARD_NAME}").write_text(text + "\n", encoding="utf-8")
    return finished


def _validate(choice: RenderChoice, context: StageContext) -> None:
    if is_embedded(choice.simulator, context.settings):
        return
    if choice.depth or choice.segmentation:
        raise NoDepthOrLabels(choice.simulator)
    if choice.profile != FAST:
        raise ProfileNotDrawn(choice.simulator, choice.profile.name)


def _draw(
    work: RenderWork, context: StageContext, choice: RenderChoice, todo: Sequence[str]
) -> Iterator[Finished[str, WrittenFolder[RenderSummary]] | Died[str]]:
    if is_embedded(choice.simulator, context.settings):
        backend = choice.backend or choose_backend(context.settings.render.backend)
        pool: WorkerPool[ShardRenderer, str, WrittenFolder[RenderSummary]] = WorkerPool(
            context.settings.compute.workers, prepare_worker, (work, _compile_twin(work), backend), render_unit, context.stop_if_asked
        )
        yield from pool.run(todo)
        return
    for name in scene_inputs(choice.simulator):
        context.input(name)
    simulator = open_simulator(choice.simulator, context.settings)  # before others are imported, which Isaac Sim brings itself
    from blueprint_pipeline.render.playback import PlaybackScene, play_episode  # noqa: PLC0415 -- imports mujoco: only when Isaac Sim is up

    twin = _compile_twin(work)
    loaded = load_beside_twin(simulator, work.scene, work.robot, twin)
    stage = PlaybackScene(simulator=simulator, loaded=loaded, twin=twin)
    for episode_id in todo:
        context.stop_if_asked()
        record, states = load_episode(work, episode_id)
        with measure_usage() as measured:
            certificate = play_episode(
                stage,
                record,
                states,
                folder=work.output / episode_id,
                options=work.options,
                rule=choice.replay_rule or load_replay_rule(),
            )
        yield Finished(episode_id, write_certificate(work, certificate, measured.usage))


def _compile_twin(work: RenderWork) -> SceneModel:
    """The scene with its robot, compiled once for all worker processes."""
    return build_scene_model(work.scene / TWIN_PATH, work.robot, work.fps)


def _work(
    plan: JobPlan, shard_index: int, selection: Selection, context: StageContext, choice: RenderChoice, *, episodes: int
) -> RenderWork:
    options = RenderOptions(
        cameras=plan.cameras,
        width=plan.width,
        height=plan.height,
        depth=choice.depth,
        segmentation=choice.segmentation,
        profile=choice.profile,
    )
    recordings = context.input(recording_path(shard_index))
    return RenderWork(
        scene=context.input(TWIN_FOLDER).parent,
        robot=plan.robot,
        fps=plan.fps,
        recordings=recordings,
        output=context.output(render_path(shard_index, "x", selection)).parent,
        options=options,
        usage=context.output(render_usage_path(shard_index, "x", selection)).parent,
        machine=context.settings.compute.machine,
        side_by_side=min(context.settings.compute.workers, episodes) if is_embedded(choice.simulator, context.settings) else 1,
        known=known_below(recordings),
    )


def _render_keys(
    plan: JobPlan, shard_index: int, episode_ids: Sequence[str], context: StageContext, choice: RenderChoice
) -> dict[str, str]:
    """Key of each episode's pictures: over its recording and all that it is drawn with. Gates and approvals select, and are no part."""
    drawn_with = key_of(
        {
            "cameras": list(plan.cameras),
            "size": [plan.width, plan.height],
            "fps": plan.fps,
            "robot": plan.robot.model_dump(mode="json"),
            "choice": RenderChoiceFields.dump_python(choice, mode="json"),
            "releases": {**drawing_releases(choice.backend), **simulator_release(choice.simulator, context.settings)},
            "scene": {name: digest.sha256 for name, digest in context.digests_under(*scene_inputs(choice.simulator)).items()},
            "code_version": context.code_version,
            "packages": package_versions(),
        }
    )
    keys = {}
    for name in episode_ids:
        recording = context.digests_under(*(f"{recording_path(shard_index, name)}/{file}" for file in (EPISODE_NAME, STATES_NAME)))
        keys[name] = key_of({"drawn_with": drawn_with, "recording": {file: digest.sha256 for file, digest in recording.items()}})
    return keys


def _load_done(scene: SceneFolder, place: tuple[int, str, Selection], key: str) -> tuple[RenderSummary, UnitUsage] | None:
    """What an earlier run certified of the same recording, drawn with the same; ``None`` if there is nothing, or it is not whole."""
    folder = render_path(*place)
    usage = scene.find_document(render_usage_path(*place), UnitUsage)
    if usage is None or not is_folder_done(scene, folder, key):
        return None
    certificate = ReplayCertificate.model_validate_json(scene.read_bytes(f"{folder}/{CERTIFICATE_NAME}"))
    return summarise(certificate), usage


def _remove_others(scene: SceneFolder, shard_index: int, selection: Selection, kept: AbstractSet[str]) -> None:
    """Remove pictures that would be drawn otherwise today. What is merely not selected stays: another tier may select it."""
    for folder in folders_under(scene, render_path(shard_index, selection=selection)) - {
        render_path(shard_index, name, selection) for name in kept
    }:
        scene.remove(folder)
    usages = {render_usage_path(shard_index, name, selection) for name in kept}
    for name in set(scene.files_under(render_usage_path(shard_index, selection=selection))) - usages:
        scene.remove(name)
