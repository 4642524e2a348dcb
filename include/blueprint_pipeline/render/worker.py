"""Executes episodes of a shard again, draws them, and writes each whole: in a worker process, or one after the other in the shard's own."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.episode.record import CERTIFICATE_NAME, EPISODE_NAME, STATES_NAME, EpisodeRecord, ReplayCertificate
from blueprint_pipeline.price.usage import measure_usage, usage_of_unit
from blueprint_pipeline.render.render import RenderOptions, render_episode
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.drawing import RenderBackend
from blueprint_pipeline.simulation.protocol import LoadedScene
from blueprint_pipeline.twin.model import SceneModel
from blueprint_pipeline.workspace.checksums import KnownDigests, adopt_digests
from blueprint_pipeline.workspace.commits import Usage
from blueprint_pipeline.workspace.folder_commits import WrittenFolder, digest_folder


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

    scene: Path
    """Local folder of the scene."""
    robot: RobotPlacement
    fps: int
    recordings: Path
    """The shard's recordings, one folder an episode."""
    output: Path
    """Where the shard's renders are written, one folder an episode."""
    options: RenderOptions
    usage: Path
    """Where is written what each episode's pictures took, one file each."""
    machine: str
    """Machine profile of the price table."""
    side_by_side: int
    """How many processes draw at a time."""
    known: KnownDigests = field(default_factory=dict)
    """Of the recordings."""


def summarise(certificate: ReplayCertificate) -> RenderSummary:
    """One episode in brief."""
    return RenderSummary(
        episode_id=certificate.episode_id, replayed=certificate.replayed, refused=certificate.refused, frames=certificate.frames
    )


@dataclass(frozen=True, kw_only=True)
class ShardRenderer:
    """Everything that draws episodes of one shard."""

    work: RenderWork
    simulator: MujocoSimulator
    loaded: LoadedScene


def prepare_worker(work: RenderWork, twin: SceneModel, backend: RenderBackend) -> ShardRenderer:
    """Make a simulator ready in a worker process, on the scene with its robot, compiled."""
    adopt_digests(work.known)
    simulator = MujocoSimulator(probed=backend, profile=work.options.profile)
    return ShardRenderer(work=work, simulator=simulator, loaded=simulator.use(twin))


def render_unit(renderer: ShardRenderer, episode_id: str) -> WrittenFolder[RenderSummary]:
    """Replay, draw and certify one episode."""
    record, states = load_episode(renderer.work, episode_id)
    folder = renderer.work.output / episode_id
    with measure_usage() as measured:
        certificate = render_episode(renderer.simulator, renderer.loaded, record, states, folder=folder, options=renderer.work.options)
    return write_certificate(renderer.work, certificate, measured.usage)


def load_episode(work: RenderWork, episode_id: str) -> tuple[EpisodeRecord, Path]:
    """The record of an episode, and where its states are."""
    source = work.recordings / episode_id
    return EpisodeRecord.model_validate_json((source / EPISODE_NAME).read_bytes()), source / STATES_NAME


def write_certificate(work: RenderWork, certificate: ReplayCertificate, measured: Usage) -> WrittenFolder[RenderSummary]:
    """Write what is said of an episode that was executed again, and what it took; its folder is whole then."""
    name = certificate.episode_id
    made = usage_of_unit(measured, machine=work.machine, side_by_side=work.side_by_side)
    (work.usage / f"{name}.json").write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (work.output / name / CERTIFICATE_NAME).write_text(certificate.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return WrittenFolder(summary=summarise(certificate), files=digest_folder(work.output / name))
