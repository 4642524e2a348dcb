"""Draws an episode while the embedded MuJoCo executes it again: replay, drawing and encoding in one pass.

What is drawn goes into files beside the final ones; an episode that then does not replay leaves none of them. Frame t
shows state row t. Colour is H.264 (see :mod:`blueprint_pipeline.render.video`). Depth is ``{camera}.depth.mkv``: FFV1, gray16,
millimetres along the viewing axis, 0 where there is nothing within 65.535 m. Segmentation is
``{camera}.segmentation.mkv``: FFV1, gray8, one value a scene object as listed in ``labels.json``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blueprint_pipeline.episode.record import LABELS_NAME, EpisodeRecord, ReplayCertificate, VideoRecord, preview_name
from blueprint_pipeline.episode.states import load_motion
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.render.bounded_replay import replay_anywhere
from blueprint_pipeline.render.preview import read_stills
from blueprint_pipeline.render.replay import ReplayVerdict
from blueprint_pipeline.render.sight_tally import SightTally, is_sampled
from blueprint_pipeline.render.video import LosslessWriter, VideoWriter
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator, show
from blueprint_pipeline.simulation.mujoco.drawing import FrameRenderer
from blueprint_pipeline.simulation.mujoco.fixed_view import FixedView
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.simulation.platform_class import describe_platform
from blueprint_pipeline.simulation.protocol import LoadedScene
from blueprint_pipeline.simulation.render_profiles import FAST, RenderProfile
from blueprint_pipeline.twin.footprint import bodies_of
from blueprint_pipeline.workspace.checksums import FileDigest

MOVING_RAD_S = 0.01
_MM_PER_M = 1000.0
_FARTHEST_MM = 65535.0


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """What is drawn."""

    cameras: tuple[str, ...]
    width: int
    height: int
    depth: bool = False
    segmentation: bool = False
    profile: RenderProfile = FAST
    """How good the pictures are."""


@dataclass
class _View:
    """One camera of one episode: its writers and what was counted."""

    name: str
    camera: int
    color: VideoWriter
    depth: LosslessWriter | None
    segmentation: LosslessWriter | None
    fixed: FixedView | None
    tally: SightTally = field(default_factory=SightTally)

    def writers(self) -> list[VideoWriter | LosslessWriter]:
        return [writer for writer in (self.color, self.depth, self.segmentation) if writer is not None]


@dataclass
class EpisodePainter:
    """Draws the frames of one episode into ``folder``.

    Args:
        simulator: Stands at the state to draw whenever :meth:`paint` is called.
        record: The episode.
        folder: Where the files go; it exists.
        options: What is drawn.
    """

    simulator: MujocoSimulator
    record: EpisodeRecord
    folder: Path
    options: RenderOptions
    _views: list[_View] = field(default_factory=list)

    def __post_init__(self) -> None:
        model = self.simulator.model
        self.simulator.vary(self.record.spec.variation)
        self._renderer: FrameRenderer = self.simulator.renderer(self.options.width, self.options.height)
        self._data = mujoco.MjData(model)
        self._target = bodies_of(model, self.record.spec.task.target_object)
        self._labels, self._label_of_body = label_bodies(model)
        self._views = [self._open(name) for name in self.options.cameras]

    def paint(self, frame: int) -> None:
        """Draw the present state with every camera."""
        show(self.simulator.model, self.simulator.data, self._data)
        for view in self._views:
            view.color.write(self._draw(view), moving=self.simulator.speed_behind_rad_s(view.camera) > MOVING_RAD_S)
            sample = is_sampled(frame, self.record.frames)
            if sample or view.segmentation is not None or view.depth is not None:
                self._renderer.look(self._data, view.camera)
            if sample or view.segmentation is not None:
                self._see_bodies(view, sample=sample)
            if view.depth is not None:
                view.depth.write(depth_mm(self._renderer.draw_depth()))

    def _draw(self, view: _View) -> NDArray[np.uint8]:
        if view.fixed is not None:
            return view.fixed.draw(self._data)
        self._renderer.look(self._data, view.camera)
        return self._renderer.draw()

    def _see_bodies(self, view: _View, *, sample: bool) -> None:
        bodies = self._renderer.draw_bodies()
        if sample:
            view.tally.add(int(np.isin(bodies, self._target).sum()), float((bodies < 0).mean()))
        if view.segmentation is not None:
            view.segmentation.write(self._label_of_body[bodies])

    def finish(self) -> tuple[dict[str, VideoRecord], dict[str, FileDigest], dict[str, FileDigest]]:
        """Finish all files; returns records of colour, depth and segmentation by camera."""
        for view in self._views:
            for writer in view.writers():
                writer.close()
        if self.options.segmentation:
            (self.folder / LABELS_NAME).write_text(json.dumps(dict(enumerate(self._labels)), indent=1) + "\n")
        videos = {view.name: view.color.record(view.tally.result(Origin.MEASURED)) for view in self._views}
        depth = {view.name: view.depth.digest() for view in self._views if view.depth is not None}
        segmentation = {view.name: view.segmentation.digest() for view in self._views if view.segmentation is not None}
        return videos, depth, segmentation

    def abandon(self) -> None:
        """Remove what was drawn."""
        for view in self._views:
            for writer in view.writers():
                writer.abandon()

    def _open(self, name: str) -> _View:
        options, fps = self.options, self.record.fps
        size = (options.width, options.height)
        camera = camera_id(self.simulator.model, name)
        return _View(
            name=name,
            camera=camera,
            fixed=self._renderer.fixed_view(camera),
            color=VideoWriter(self.folder / f"{name}.mp4", *size, fps),
            depth=LosslessWriter(self.folder / f"{name}.depth.mkv", *size, fps, "gray16le") if options.depth else None,
            segmentation=LosslessWriter(self.folder / f"{name}.segmentation.mkv", *size, fps, "gray") if options.segmentation else None,
        )


def render_episode(
    simulator: MujocoSimulator, loaded: LoadedScene, record: EpisodeRecord, states: Path, *, folder: Path, options: RenderOptions
) -> ReplayCertificate:
    """Replay an episode in the embedded MuJoCo, draw it if it replays, and certify both.

    Args:
        simulator: With the scene of the episode loaded.
        loaded: What it loaded.
        record: The episode.
        states: Its ``states.parquet``.
        folder: Where videos go; made if need be. After a refusal there are none.
        options: What is drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    painter = EpisodePainter(simulator, record, folder, options)
    verdict: ReplayVerdict | None = None
    try:
        verdict = replay_anywhere(simulator, loaded, record, states, watch=painter.paint)
    finally:
        if verdict is None or not verdict.replayed or verdict.rule == "bounded":
            painter.abandon()
    if verdict.replayed and verdict.rule == "bounded":
        painter = _paint_recorded(simulator, record, states, folder, options)
    videos, depth, segmentation = painter.finish() if verdict.replayed else ({}, {}, {})
    renderer = f"mujoco-{simulator.render_backend()}"
    certificate = certify(
        record, loaded, verdict, renderer=renderer, profile=options.profile, videos=videos, depth=depth, segmentation=segmentation
    )
    return certificate.model_copy(update={"platform": describe_platform()})


def _paint_recorded(
    simulator: MujocoSimulator, record: EpisodeRecord, states: Path, folder: Path, options: RenderOptions
) -> EpisodePainter:
    """Draw the recorded states, where an execution on this machine gives others."""
    motion, painter = load_motion(states), EpisodePainter(simulator, record, folder, options)
    whole = False
    try:
        for frame in range(record.frames):
            simulator.stand_at(motion.qpos[frame], motion.qvel[frame])
            painter.paint(frame)
        whole = True
    finally:
        if not whole:
            painter.abandon()
    return painter


def certify(
    record: EpisodeRecord,
    loaded: LoadedScene,
    verdict: ReplayVerdict,
    *,
    renderer: str,
    profile: RenderProfile | None,
    videos: dict[str, VideoRecord],
    depth: dict[str, FileDigest] | None = None,
    segmentation: dict[str, FileDigest] | None = None,
) -> ReplayCertificate:
    """The certificate of an episode that was executed again; ``profile`` is ``None`` where the simulator has one way to draw."""
    return ReplayCertificate(
        episode_id=record.episode_id,
        states_sha256=record.states.sha256 if record.states else "",
        model_sha256=loaded.model_sha256,
        frames=record.frames,
        rule=verdict.rule,
        k_of_n=verdict.k_of_n,
        refused=None if verdict.refusal is None else str(verdict.refusal),
        replayed=verdict.replayed,
        first_difference_frame=verdict.first_difference_frame,
        max_abs_qpos_difference=verdict.max_abs_qpos_difference,
        simulator=loaded.info,
        renderer=renderer,
        render_profile=profile,
        videos=videos,
        depth=depth or {},
        segmentation=segmentation or {},
    )


def depth_mm(distance_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Metres to whole millimetres; 0 where there is nothing, or nothing near enough."""
    millimetres = np.round(distance_m.astype(np.float64) * _MM_PER_M)
    return np.where(np.isfinite(millimetres) & (millimetres <= _FARTHEST_MM), millimetres, 0.0).astype(np.uint16)


def label_bodies(model: mujoco.MjModel) -> tuple[Sequence[str], NDArray[np.uint8]]:
    """Names of what a segmentation tells apart, and the label of each body id; label 0 (also of body -1) is nothing.

    All bodies of the robot are ``robot``, all parts of an object are that object, the world's own geometry is ``world``.
    """
    roots = [model.body(int(root)).name for root in model.body_rootid]
    names = ["robot" if name.startswith("robot/") else name for name in roots]
    labels = ["nothing", *sorted(set(names))]
    label_of_body = np.array([*(labels.index(name) for name in names), 0], dtype=np.uint8)
    return labels, label_of_body


def write_contact_sheet(folder: Path, certificate: ReplayCertificate, *, pictures: int = 12) -> Path | None:
    """Write ``contact_sheet.png`` beside the videos: a row a camera, pictures evenly spread over the episode.

    Returns:
        Where it is; ``None`` where nothing was drawn.
    """
    if not certificate.videos:
        return None
    rows = [np.concatenate(read_stills(folder / preview_name(camera), pictures), axis=1) for camera in certificate.videos]
    path = folder / "contact_sheet.png"
    Image.fromarray(np.concatenate(rows)).save(path)
    return path
