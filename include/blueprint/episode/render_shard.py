"""Draws the kept episodes of a shard: each is executed again, and only what replays bit by bit has pictures.

An episode's folder is published whole, ``certificate.json`` last. ``shard.json`` says what the shard drew and refused,
also where that is nothing.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from blueprint.episode.record import EpisodeRecord, ReplayCertificate, recording_path, render_path
from blueprint.episode.render import LABELS_NAME, RenderOptions, render_episode
from blueprint.quality.report import load_rendered_selection
from blueprint.simulation.errors import WorkerDied
from blueprint.simulation.mujoco.backend import MujocoSimulator
from blueprint.simulation.mujoco.context import RenderBackend, choose_backend
from blueprint.simulation.mujoco.model import SceneModel, build_scene_model
from blueprint.simulation.pool import Died, WorkerPool
from blueprint.simulation.shard import EPISODE_NAME, STATES_NAME, load_plan, shard_episodes
from blueprint.stage import StageContext
from blueprint.task.spec import JobPlan, RobotPlacement
from blueprint.workspace.checksums import digest_file
from blueprint.workspace.storage import SceneFolder

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
    backend: RenderBackend


def render_shard(shard_index: int, context: StageContext, *, depth: bool, segmentation: bool) -> list[RenderSummary]:
    """Draw every selected episode of a shard that is not published yet.

    Raises:
        RendererMissing: Nothing on this machine can draw.
        WorkerDied: A process died; all other episodes are finished and published. Run again to redo those.
        PreemptedError: SIGTERM came; what was published stays.
    """
    plan = load_plan(context.scene)
    known = {spec.episode_id for spec in shard_episodes(plan, shard_index)}
    selected = [name for index, name in load_rendered_selection(context.scene) if index == shard_index and name in known]
    options = RenderOptions(cameras=plan.cameras, width=plan.width, height=plan.height, depth=depth, segmentation=segmentation)
    summaries = {name: _published(context.scene, shard_index, name) for name in selected}
    todo = [name for name in selected if summaries[name] is None]
    context.progress(len(selected) - len(todo), len(selected))
    died: list[Died[str]] = []
    if todo:
        pool: WorkerPool[str, RenderSummary] = WorkerPool(
            context.settings.compute.workers,
            prepare_worker,
            (_work(plan, shard_index, context, options),),
            render_unit,
            context.stop_if_asked,
        )
        for ended in pool.run(todo):
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


def _work(plan: JobPlan, shard_index: int, context: StageContext, options: RenderOptions) -> RenderWork:
    return RenderWork(
        mjcf_path=context.input("mjcf") / "scene.xml",
        robot=plan.robot,
        fps=plan.fps,
        recordings=context.input(recording_path(shard_index)),
        output=context.output(render_path(shard_index, "x")).parent,
        options=options,
        backend=choose_backend(context.settings.render.backend),
    )


def _published(scene: SceneFolder, shard_index: int, episode_id: str) -> RenderSummary | None:
    """What an earlier run of the same work certified, if its certificate is there and every file is as certified."""
    folder = render_path(shard_index, episode_id)
    if not scene.exists(f"{folder}/{CERTIFICATE_NAME}"):
        return None
    try:
        certificate = ReplayCertificate.model_validate_json(scene.read_bytes(f"{folder}/{CERTIFICATE_NAME}"))
    except ValidationError:
        return None
    files = {f"{camera}.mp4": video.digest for camera, video in certificate.videos.items()}
    files |= {f"{camera}.depth.mkv": digest for camera, digest in certificate.depth.items()}
    files |= {f"{camera}.segmentation.mkv": digest for camera, digest in certificate.segmentation.items()}
    whole = all(scene.exists(f"{folder}/{name}") and digest_file(scene.root / folder / name) == digest for name, digest in files.items())
    labelled = not certificate.segmentation or scene.exists(f"{folder}/{LABELS_NAME}")
    return _summarise(certificate) if whole and labelled else None


def _summarise(certificate: ReplayCertificate) -> RenderSummary:
    return RenderSummary(
        episode_id=certificate.episode_id, replayed=certificate.replayed, refused=certificate.refused, frames=certificate.frames
    )


@dataclass(frozen=True, kw_only=True)
class _Worker:
    work: RenderWork
    twin: SceneModel
    simulator: MujocoSimulator


_worker: list[_Worker] = []
"""The one worker of a worker process; empty in every other process."""


def prepare_worker(work: RenderWork) -> None:
    """Compile the model, once in each process."""
    twin = build_scene_model(work.mjcf_path, work.robot, work.fps)
    simulator = MujocoSimulator(probed=work.backend)
    simulator.use(twin)
    _worker[:] = [_Worker(work=work, twin=twin, simulator=simulator)]


def render_unit(episode_id: str) -> RenderSummary:
    """Replay, draw and certify one episode in a worker process."""
    worker = _worker[0]
    source = worker.work.recordings / episode_id
    record = EpisodeRecord.model_validate_json((source / EPISODE_NAME).read_bytes())
    folder = worker.work.output / episode_id
    certificate = render_episode(
        worker.simulator, worker.twin.sha256, record, source / STATES_NAME, folder=folder, options=worker.work.options
    )
    (folder / CERTIFICATE_NAME).write_text(certificate.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return _summarise(certificate)
