"""Draws the kept episodes of a shard: each is executed again by the simulator that made it, and only what replays has pictures.

MuJoCo replays bit by bit, on all cores. Any other simulator works off the episodes one after the other, in this process, by the rule
that its capabilities allow (:mod:`blueprint_pipeline.render.playback`).

An episode's folder is published whole, ``certificate.json`` last. ``shard.json`` says what the shard drew and refused,
also where that is nothing.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from blueprint_pipeline.episode.record import EPISODE_NAME, STATES_NAME, EpisodeRecord, KOfN, ReplayCertificate, recording_path, render_path
from blueprint_pipeline.quality.report import load_rendered_selection
from blueprint_pipeline.render.errors import NoDepthOrLabels, ProfileNotDrawn
from blueprint_pipeline.render.render import LABELS_NAME, RenderOptions, render_episode
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.rollout.shard import load_plan, shard_episodes
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.drawing import RenderBackend
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend
from blueprint_pipeline.simulation.open_simulator import is_embedded, load_beside_twin, open_simulator, scene_inputs
from blueprint_pipeline.simulation.protocol import LoadedScene
from blueprint_pipeline.simulation.render_profiles import FAST, RenderProfile
from blueprint_pipeline.simulators import SimulatorName
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.stage.pool import Died, Finished, WorkerDied, WorkerPool
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.twin.model import build_scene_model
from blueprint_pipeline.workspace.storage import SceneFolder

CERTIFICATE_NAME = "certificate.json"
SHARD_NAME = "shard.json"


class RenderSummary(BaseModel):
    """What became of one episode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    episode_id: str
    replayed: bool
    refused: str | None
    frames: int


@dataclass(frozen=True, kw_only=True)
class RenderWork:
    """What a worker process needs to draw episodes of one shard."""

    mjcf_path: Path
    robot: RobotPlacement
    fps: int
    recordings: Path
    """The shard's recordings, one folder an episode."""
    output: Path
    """Where the shard's renders are written, one folder an episode."""
    options: RenderOptions


@dataclass(frozen=True, kw_only=True)
class RenderChoice:
    """What draws a shard, and what."""

    simulator: SimulatorName
    replay_rule: KOfN
    """For a simulator that promises no bit-identical replay."""
    backend: RenderBackend | None = None
    """What draws where MuJoCo does; ``None``: what the settings say."""
    depth: bool = False
    segmentation: bool = False
    profile: RenderProfile = FAST
    """How good the pictures are, where MuJoCo draws."""


def render_shard(shard_index: int, context: StageContext, choice: RenderChoice) -> list[RenderSummary]:
    """Draw every selected episode of a shard that is not published yet.

    Raises:
        NoDepthOrLabels: They are asked of a simulator that draws colour alone.
        ProfileNotDrawn: The simulator draws in one way, its own.
        TwinDiffers: The simulator addresses the scene otherwise than the twin.
        RendererMissing: Nothing on this machine can draw.
        WorkerDied: A process died; all other episodes are finished and published. Run again to redo those.
        PreemptedError: SIGTERM came; what was published stays.
    """
    plan = load_plan(context.scene)
    known = {spec.episode_id for spec in shard_episodes(plan, shard_index)}
    selected = [name for index, name in load_rendered_selection(context.scene) if index == shard_index and name in known]
    _validate(choice, context)
    options = RenderOptions(
        cameras=plan.cameras,
        width=plan.width,
        height=plan.height,
        depth=choice.depth,
        segmentation=choice.segmentation,
        profile=choice.profile,
    )
    profile = choice.profile if is_embedded(choice.simulator, context.settings) else None
    summaries = {name: _published(context.scene, shard_index, name, profile) for name in selected}
    todo = [name for name in selected if summaries[name] is None]
    context.progress(len(selected) - len(todo), len(selected))
    died: list[Died[str]] = []
    if todo:
        for ended in _draw(_work(plan, shard_index, context, options), context, choice, todo):
            if isinstance(ended, Died):
                died.append(ended)
                continue
            context.publish(render_path(shard_index, ended.unit))
            summaries[ended.unit] = ended.answer
            context.progress(sum(summary is not None for summary in summaries.values()), len(selected))
    if died:
        raise WorkerDied([item.unit for item in died], [item.reason for item in died], len(selected) - len(died))
    finished = [summary for summary in summaries.values() if summary is not None]
    listed = [summary.model_dump() for summary in finished]
    text = json.dumps({"schema_version": "1.0", "shard_index": shard_index, "episodes": listed}, indent=1)
    context.output(f"{render_path(shard_index)}/{SHARD_NAME}").write_text(text + "\n", encoding="utf-8")
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
) -> Iterator[Finished[str, RenderSummary] | Died[str]]:
    if is_embedded(choice.simulator, context.settings):
        backend = choice.backend or choose_backend(context.settings.render.backend)
        pool: WorkerPool[str, RenderSummary] = WorkerPool(
            context.settings.compute.workers, prepare_worker, (work, backend), render_unit, context.stop_if_asked
        )
        yield from pool.run(todo)
        return
    for name in scene_inputs(choice.simulator):
        context.input(name)
    simulator = open_simulator(choice.simulator, context.settings)  # before others are imported, which Isaac Sim brings itself
    from blueprint_pipeline.render.playback import PlaybackScene, play_episode  # noqa: PLC0415 -- as above

    twin = build_scene_model(work.mjcf_path, work.robot, work.fps)
    loaded = load_beside_twin(simulator, work.mjcf_path.parent.parent, work.robot, twin)
    stage = PlaybackScene(simulator=simulator, loaded=loaded, twin=twin)
    for episode_id in todo:
        context.stop_if_asked()
        record, states = _load(work, episode_id)
        folder = work.output / episode_id
        certificate = play_episode(stage, record, states, folder=folder, options=work.options, rule=choice.replay_rule)
        yield Finished(episode_id, _write(folder, certificate))


def _work(plan: JobPlan, shard_index: int, context: StageContext, options: RenderOptions) -> RenderWork:
    return RenderWork(
        mjcf_path=context.input("mjcf") / "scene.xml",
        robot=plan.robot,
        fps=plan.fps,
        recordings=context.input(recording_path(shard_index)),
        output=context.output(render_path(shard_index, "x")).parent,
        options=options,
    )


def _published(scene: SceneFolder, shard_index: int, episode_id: str, profile: RenderProfile | None) -> RenderSummary | None:
    """What an earlier run certified, if it drew with the same profile, its certificate is there and every file is as certified."""
    folder = render_path(shard_index, episode_id)
    if not scene.exists(f"{folder}/{CERTIFICATE_NAME}"):
        return None
    try:
        certificate = ReplayCertificate.model_validate_json(scene.read_bytes(f"{folder}/{CERTIFICATE_NAME}"))
    except ValidationError:
        return None
    if certificate.render_profile != profile:
        return None
    files = {f"{camera}.mp4": video.digest for camera, video in certificate.videos.items()}
    files |= {f"{camera}.depth.mkv": digest for camera, digest in certificate.depth.items()}
    files |= {f"{camera}.segmentation.mkv": digest for camera, digest in certificate.segmentation.items()}
    whole = all(scene.exists(f"{folder}/{name}") and scene.digest(f"{folder}/{name}") == digest for name, digest in files.items())
    labelled = not certificate.segmentation or scene.exists(f"{folder}/{LABELS_NAME}")
    return _summarise(certificate) if whole and labelled else None


def _summarise(certificate: ReplayCertificate) -> RenderSummary:
    return RenderSummary(
        episode_id=certificate.episode_id, replayed=certificate.replayed, refused=certificate.refused, frames=certificate.frames
    )


@dataclass(frozen=True, kw_only=True)
class _Worker:
    work: RenderWork
    simulator: MujocoSimulator
    loaded: LoadedScene


_worker: list[_Worker] = []
"""The one worker of a worker process; empty in every other process."""


def prepare_worker(work: RenderWork, backend: RenderBackend) -> None:
    """Compile the model, once in each process."""
    simulator = MujocoSimulator(probed=backend, profile=work.options.profile)
    loaded = simulator.use(build_scene_model(work.mjcf_path, work.robot, work.fps))
    _worker[:] = [_Worker(work=work, simulator=simulator, loaded=loaded)]


def render_unit(episode_id: str) -> RenderSummary:
    """Replay, draw and certify one episode in a worker process."""
    worker = _worker[0]
    record, states = _load(worker.work, episode_id)
    folder = worker.work.output / episode_id
    return _write(folder, render_episode(worker.simulator, worker.loaded, record, states, folder=folder, options=worker.work.options))


def _load(work: RenderWork, episode_id: str) -> tuple[EpisodeRecord, Path]:
    source = work.recordings / episode_id
    return EpisodeRecord.model_validate_json((source / EPISODE_NAME).read_bytes()), source / STATES_NAME


def _write(folder: Path, certificate: ReplayCertificate) -> RenderSummary:
    (folder / CERTIFICATE_NAME).write_text(certificate.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return _summarise(certificate)
