"""Draws an episode through the ``Simulator`` protocol: whatever acts, draws; colour alone.

A simulator that replays bit by bit is drawn while it is executed. Another one never stands in the recorded states again, so it is put
into each of them, and drawn there: frame t shows state row t, and that it does is read back and compared. Of one that gives no pictures
the twin is put there instead, and the certificate says what drew.
"""

from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from blueprint_pipeline.episode.record import EpisodeRecord, KOfN, ReplayCertificate, VideoRecord
from blueprint_pipeline.episode.states import RecordedPoses, load_poses
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.geometry.rotations import quat_angles
from blueprint_pipeline.kit.variation import VariedLooks
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.render.errors import NotReplayed
from blueprint_pipeline.render.k_of_n_replay import execute_episode
from blueprint_pipeline.render.render import MOVING_RAD_S, RenderOptions, certify
from blueprint_pipeline.render.replay import ReplayVerdict, replay_episode
from blueprint_pipeline.render.sight_tally import SightTally, is_sampled
from blueprint_pipeline.render.video import VideoWriter
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import start_qpos
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.simulation.protocol import LoadedScene, Simulator
from blueprint_pipeline.twin.model import SceneModel
from blueprint_pipeline.twin.sight import Sight

_PLACED_M = 0.001
_PLACED_RAD = 0.001


@dataclass(frozen=True, kw_only=True)
class PlaybackScene:
    """What acts, and the twin beside it."""

    simulator: Simulator
    loaded: LoadedScene
    twin: SceneModel


def play_episode(
    stage: PlaybackScene, record: EpisodeRecord, states: Path, *, folder: Path, options: RenderOptions, rule: KOfN
) -> ReplayCertificate:
    """Execute an episode again, draw it if it replays by the rule that its simulator allows, and certify both.

    Args:
        stage: With the scene of the episode loaded.
        record: The episode.
        states: Its ``states.parquet``.
        folder: Where videos go; made if need be. After a refusal there are none.
        options: What is drawn; colour alone.
        rule: For a simulator that is not deterministic.
    """
    folder.mkdir(parents=True, exist_ok=True)
    videos: dict[str, VideoRecord] = {}
    drawing = stage if stage.simulator.capabilities().renders else _twin_of(stage)
    if stage.simulator.capabilities().deterministic:
        verdict, videos = _draw_while_replaying(stage, record, states, folder, options)
    else:
        verdict = execute_episode(stage.simulator, stage.loaded, record, states, rule)
        if verdict.replayed:
            try:
                videos = _draw_states(drawing, record, states, folder, options)
            except NotReplayed as error:
                verdict = replace(verdict, replayed=False, refusal=error)
    return certify(
        record, stage.loaded, verdict, renderer=f"{drawing.simulator.name} {drawing.simulator.version}", profile=None, videos=videos
    )


def _twin_of(stage: PlaybackScene) -> PlaybackScene:
    """The twin, to be drawn in the states of a simulator that gives no pictures."""
    embedded = MujocoSimulator()
    return PlaybackScene(simulator=embedded, loaded=embedded.use(stage.twin), twin=stage.twin)


def _draw_while_replaying(
    stage: PlaybackScene, record: EpisodeRecord, states: Path, folder: Path, options: RenderOptions
) -> tuple[ReplayVerdict, dict[str, VideoRecord]]:
    painter: list[_Painter] = []

    def paint(frame: int) -> None:
        if not painter:  # the states are known to be the recorded ones now
            painter.append(_Painter(stage, record, load_poses(states), folder, options))
        painter[0].paint(frame)

    verdict: ReplayVerdict | None = None
    try:
        verdict = replay_episode(stage.simulator, stage.loaded, record, states, watch=paint)
    finally:
        if painter and (verdict is None or not verdict.replayed):
            painter[0].abandon()
    return verdict, painter[0].finish() if verdict.replayed else {}


def _draw_states(stage: PlaybackScene, record: EpisodeRecord, states: Path, folder: Path, options: RenderOptions) -> dict[str, VideoRecord]:
    painter = _Painter(stage, record, load_poses(states), folder, options)
    whole = False
    try:
        for frame in range(record.frames):
            painter.place(frame)
            painter.paint(frame)
        whole = True
    finally:
        if not whole:
            painter.abandon()
    return painter.finish()


@dataclass
class _Painter:
    """Draws the frames of one episode into ``folder``."""

    stage: PlaybackScene
    record: EpisodeRecord
    poses: RecordedPoses
    folder: Path
    options: RenderOptions
    _tallies: dict[str, SightTally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = self.options
        self._embodiment = load_embodiment(self.record.robot.embodiment)
        seen = copy(self.stage.twin.model)
        VariedLooks(seen).apply(self.record.spec.variation.model_dump(mode="json"))
        self._sight = Sight(seen)
        self._target = self._sight.geoms_of([self.record.spec.task.target_object])
        self._tallies = {name: SightTally() for name in options.cameras}
        self._writers = {
            name: VideoWriter(self.folder / f"{name}.mp4", options.width, options.height, self.record.fps) for name in options.cameras
        }

    def place(self, frame: int) -> None:
        """Put the simulator into a recorded state.

        Raises:
            NotReplayed: It does not stand where it was put, and would be drawn elsewhere.
        """
        objects, joints, widths_m = self.poses.object_poses[frame], self.poses.robot_qpos[frame], self.poses.gripper_width_m[frame]
        found = self.stage.simulator.reset(
            {name: Pose.of(row.tolist()) for name, row in zip(self.record.object_ids, objects, strict=True)},
            start_qpos(self._embodiment, joints, widths_m),
        )
        lengths_m = [np.linalg.norm(found.object_poses[:, :3] - objects[:, :3], axis=1), np.abs(found.gripper_width_m - widths_m)]
        angles_rad = [quat_angles(found.object_poses[:, 3:], objects[:, 3:]), np.abs(found.robot_qpos - joints)]
        off_m, off_rad = float(np.concatenate(lengths_m).max()), float(np.concatenate(angles_rad).max())
        if off_m > _PLACED_M or off_rad > _PLACED_RAD:
            raise NotReplayed(
                self.record.episode_id, f"put into row {frame} to be drawn, it stands {off_m:.3g} m and {off_rad:.3g} rad from it"
            )

    def paint(self, frame: int) -> None:
        """Draw the present state, which is that of a row, with every camera."""
        sample = is_sampled(frame, self.record.frames)
        if sample:
            poses = self.poses
            self._sight.stand(self.stage.twin.qpos_of(poses.robot_qpos[frame], poses.gripper_width_m[frame], poses.object_poses[frame]))
        for name, writer in self._writers.items():
            image = self.stage.simulator.render(name, self.options.width, self.options.height)
            writer.write(image, moving=self._speed_behind_rad_s(name, frame) > MOVING_RAD_S)
            if sample:
                self._count(name)

    def _speed_behind_rad_s(self, name: str, frame: int) -> float:
        """Largest recorded speed of any joint of the arms whose motion a camera shows."""
        twin, speeds = self.stage.twin, np.abs(self.poses.robot_qvel[frame])
        arms = twin.robot.arms_behind(twin.model, camera_id(twin.model, name))
        return max(float(speeds[arm.layout.joints].max()) for arm in arms)

    def _count(self, name: str) -> None:
        lens, width, height = self._sight.lens(camera_id(self.stage.twin.model, name)), self.options.width, self.options.height
        pixels = self._sight.count_pixels(lens, self._target, width, height)
        self._tallies[name].add(pixels, self._sight.share_empty(lens, width / height))

    def finish(self) -> dict[str, VideoRecord]:
        """Finish all files; their records by camera."""
        for writer in self._writers.values():
            writer.close()
        return {name: writer.record(self._tallies[name].result(Origin.ESTIMATED)) for name, writer in self._writers.items()}

    def abandon(self) -> None:
        """Remove what was drawn."""
        for writer in self._writers.values():
            writer.abandon()
