"""The :class:`~blueprint_pipeline.simulation.protocol.Simulator` that acts through Genie Sim's own server, unmodified.

The server's simulation runs by itself, and takes one command a physics step. A frame of so many steps is filled with as many calls: drives'
targets on the way from the last setpoint to the new one, and at its end joints, clock and objects, one call each. How many steps went by,
the clock of the stage says. While a gripper moves the server takes no other command: nothing can be read then, and frames in which the arm
stands repeat the last reading; the recording of the server fills them.

PhysX gives no bit-identical replay, nothing restores all that the next step depends on, and no contact is told: episodes are judged by the
k-of-n rule, and what touches what is found in the twin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.settings import GenieSimSettings
from blueprint_pipeline.simulation.errors import NotLoaded, NotVaried, UnknownName
from blueprint_pipeline.simulation.genie_sim.client import GenieSimClient
from blueprint_pipeline.simulation.genie_sim.errors import AnswerUnusable, FrameTooShort, NoPictures
from blueprint_pipeline.simulation.genie_sim.frames import CALLS_BESIDE_OBJECTS, FrameRun, SeenFrame
from blueprint_pipeline.simulation.genie_sim.hands import Hands
from blueprint_pipeline.simulation.genie_sim.placing import place
from blueprint_pipeline.simulation.genie_sim.reading import Reading, TwinView, motion_between, object_velocities, unmeasured
from blueprint_pipeline.simulation.genie_sim.recorder import AttemptRecorder
from blueprint_pipeline.simulation.genie_sim.robots import genie_robot, stance_of
from blueprint_pipeline.simulation.genie_sim.session import Session, check_tools, open_session
from blueprint_pipeline.simulation.genie_sim.stage import write_stage
from blueprint_pipeline.simulation.isaac_sim.mapping import check_setpoints, horizontal_aperture_mm
from blueprint_pipeline.simulation.open_simulator import TwinDiffers
from blueprint_pipeline.simulation.protocol import Capabilities, LoadedScene, SimulationState, SimulatorInfo, Track
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.task.variation import PLAIN, Variation
from blueprint_pipeline.twin.errors import RateNotWhole, WrongShape
from blueprint_pipeline.twin.model import build_scene_model

_READY_S = 60.0
_SAME_FOCUS = 0.01
"""Share by which a camera's focal length, in pixels, may be another than was asked for."""


@dataclass
class _Scene:
    """What is loaded."""

    session: Session
    hands: Hands
    recorder: AttemptRecorder | None
    fps: int
    substeps: int
    actuators: tuple[str, ...]
    sizes: dict[str, tuple[int, int]]
    """Of the pictures that each camera was last set to."""


class GenieSimSimulator:
    """Genie Sim's server, with the one scene that it takes.

    Args:
        client: Of the server.
        settings: How it was started, and which folders are shared with it.
    """

    name = "genie_sim"

    def __init__(self, client: GenieSimClient, settings: GenieSimSettings) -> None:
        self._client = client
        self._settings = settings
        self._scene: _Scene | None = None
        self._ctrl: FloatArray = np.zeros(0)
        self._steps = 0
        self._last: tuple[Reading, int] | None = None
        """The last reading, and its step by the clock of the episode."""
        self._renders = False

    @property
    def version(self) -> str:
        """As its maintainers say: it does not tell."""
        return self._settings.version

    def capabilities(self) -> Capabilities:
        """What this server promises; whether it gives pictures is found out when a scene is loaded."""
        measured = self._settings.recordings is not None
        return Capabilities(
            deterministic=False, restores_state=False, renders=self._renders, contacts=False, varies=False, efforts=measured
        )

    def load(self, scene: Path, robot: RobotPlacement, fps: int) -> LoadedScene:
        """Let the server load the scene's stage with its own robot in it, or find them there.

        Raises:
            RobotUnknown, RobotCannotStand, RobotDiffers: The plan's robot cannot act there.
            StageMissing, StageNotUsable: There is no stage to load.
            RateNotWhole, FrameTooShort, RateDiffers: Physics steps and frames do not fit.
            OtherScene: The server holds another scene.
            TwinDiffers: Stage and twin have other objects.
        """
        self.close()
        theirs, embodiment, hz = genie_robot(robot.embodiment), load_embodiment(robot.embodiment), self._settings.physics_hz
        if hz % fps:
            raise RateNotWhole(str(scene), fps, 1.0 / hz)
        stance, twin = stance_of(theirs, robot), build_scene_model(scene / TWIN_PATH, robot, fps)
        folder = self._settings.stages.resolve()
        stage = write_stage(scene, robot, embodiment=embodiment, robot=theirs, stance=stance, folder=folder, physics_hz=hz)
        if tuple(stage.object_paths) != twin.object_ids:
            raise TwinDiffers(list(stage.object_paths), list(twin.object_ids))
        needed, substeps = len(stage.object_paths) + CALLS_BESIDE_OBJECTS, hz // fps
        if substeps < needed:
            raise FrameTooShort(substeps, needed, len(stage.object_paths))
        self._client.wait_until_ready(_READY_S)
        session = Session(client=self._client, robot=theirs, stance=stance, stage=stage, view=TwinView(twin, theirs))
        open_session(session, embodiment, hz)
        recordings = self._settings.recordings
        self._scene = _Scene(
            session=session,
            hands=Hands(session),
            recorder=None if recordings is None else AttemptRecorder(session, recordings, fps, hz),
            fps=fps,
            substeps=substeps,
            actuators=tuple(twin.model.actuator(index).name for index in range(twin.model.nu)),
            sizes={},
        )
        check_tools(session, self.reset({}, home_qpos(embodiment)).ee_pose)
        self._renders = self._gives_pictures(session)
        return LoadedScene(
            info=self.info(),
            model_sha256=stage.sha256,
            fps=fps,
            object_ids=tuple(stage.object_paths),
            cameras=tuple(stage.cameras),
            actuators=self._scene.actuators,
        )

    def info(self) -> SimulatorInfo:
        """What acts, for the episode's record."""
        scene = self._loaded("info")
        return SimulatorInfo(name=self.name, version=self.version, timestep_s=1.0 / self._settings.physics_hz, substeps=scene.substeps)

    def vary(self, variation: Variation) -> None:
        if variation != PLAIN:
            raise NotVaried(self.name, sorted(variation.model_dump(exclude_defaults=True)))

    def reset(self, object_poses: Mapping[str, Pose], robot_qpos: tuple[float, ...]) -> SimulationState:
        scene = self._loaded("reset")
        stage, values = scene.session.stage, np.array(robot_qpos, dtype=np.float64)
        size = scene.session.view.twin.robot.arms[-1].layout.start_fingers.stop
        if values.shape != (size,):
            raise WrongShape("robot_qpos", values.shape, f"({size},): each arm's joints, then its fingers'")
        poses, ids = stage.object_poses.copy(), list(stage.object_paths)
        for object_id, pose in object_poses.items():
            if object_id not in ids:
                raise UnknownName("movable object", object_id, ids)
            poses[ids.index(object_id)] = pose.as_tuple()
        return self._place(scene, values, poses, self._ctrl_of(scene, values))

    def track(self, setpoints: FloatArray) -> Track:
        scene = self._loaded("track")
        check_setpoints(setpoints, len(scene.actuators))
        run = FrameRun(session=scene.session, hands=scene.hands, substeps=scene.substeps, ctrl=self._ctrl)
        states: list[SimulationState] = []
        readings: list[Reading] = []
        for setpoint, frame in zip(setpoints, run.execute(setpoints), strict=True):
            self._steps += scene.substeps
            states.append(self._state_of(scene, frame, setpoint))
            readings.append(self._latest()[0])
            if scene.recorder is not None and scene.recorder.task:
                scene.recorder.add(frame.step, frame.reading)
        self._ctrl = run.ctrl
        return Track(states=tuple(states), contacts=tuple(scene.session.view.touching(reading) for reading in readings))

    def observe(self) -> SimulationState:
        scene = self._loaded("observe")
        reading = scene.session.read()
        self._last = (reading, self._steps)
        return self._view(scene).state(
            reading, self._ctrl, self._steps / self._settings.physics_hz, unmeasured(reading), np.zeros((len(reading.object_poses), 6))
        )

    def save_state(self) -> FloatArray:
        """Controls, joints with fingers, and objects: what can be read, which is not all that the next step depends on."""
        scene = self._loaded("save_state")
        reading = scene.session.read()
        arms = self._view(scene).twin.robot.arms
        starts = [
            np.concatenate([reading.joints_rad[arm.layout.joints], arm.arm.gripper.joints_at(float(reading.widths_m[arm.layout.index]))])
            for arm in arms
        ]
        return np.concatenate([self._ctrl, *starts, reading.object_poses.ravel()])

    def restore_state(self, state: FloatArray) -> SimulationState:
        scene = self._loaded("restore_state")
        twin = self._view(scene).twin
        sizes = (len(scene.actuators), twin.robot.arms[-1].layout.start_fingers.stop, 7 * len(twin.object_ids))
        if state.shape != (sum(sizes),):
            raise WrongShape("state", state.shape, f"({sum(sizes)},)")
        ctrl, values, poses = np.split(state, np.cumsum(sizes)[:-1])
        return self._place(scene, values, poses.reshape(-1, 7), ctrl)

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        """What a camera sees, from a server that answers ``get_camera_data``.

        Raises:
            NoPictures: This one does not, as no release since 3.0 does.
            AnswerUnusable: The picture has another size or another focal length than was asked for.
        """
        scene = self._loaded("render")
        cameras = scene.session.stage.cameras
        found = next((name for name in (camera, f"robot/{camera}") if name in cameras), None)
        if found is None:
            raise UnknownName("camera", camera, list(cameras))
        aperture = horizontal_aperture_mm(cameras[found].vertical_aperture_mm, width, height)
        spec = replace(cameras[found], horizontal_aperture_mm=aperture)
        if scene.sizes.get(found) != (width, height):
            self._client.add_camera(spec, width, height)
            scene.sizes[found] = (width, height)
        image, lens = self._client.picture(spec.prim_path)
        wanted = height * spec.focal_length_mm / spec.vertical_aperture_mm
        if image.shape[:2] != (height, width) or abs(lens.fy - wanted) > _SAME_FOCUS * wanted:
            raise AnswerUnusable(
                self._settings.address, "get_camera_data", f"{image.shape[1]}x{image.shape[0]} of focal length {lens.fy:.1f}"
            )
        return image

    def begin_recording(self, name: str) -> None:
        """Let the server record what follows, where its recordings can be read."""
        scene = self._loaded("begin_recording")
        if scene.recorder is not None and self._last is not None:
            scene.recorder.begin(name, self._last[0])

    def end_recording(self, states: Sequence[SimulationState]) -> Track | None:
        """The same states as the server recorded them; ``None``: nothing was recorded."""
        scene = self._loaded("end_recording")
        if scene.recorder is None or not scene.recorder.task:
            return None
        if not states:
            scene.recorder.discard()
            return None
        return scene.recorder.finish(list(states))

    def close(self) -> None:
        """Forget the scene; the server keeps it, and is found with it by who loads the same."""
        if self._scene is not None and self._scene.recorder is not None and self._scene.recorder.task:
            self._scene.recorder.discard()
        self._scene = None

    def _place(self, scene: _Scene, values: FloatArray, poses: FloatArray, ctrl: FloatArray) -> SimulationState:
        reading = place(scene.session, scene.hands, values, poses, ctrl)
        self._ctrl, self._steps, self._last = ctrl.copy(), 0, (reading, 0)
        return self._view(scene).state(reading, self._ctrl, 0.0, unmeasured(reading), np.zeros((len(poses), 6)))

    def _ctrl_of(self, scene: _Scene, values: FloatArray) -> FloatArray:
        """Controls that hold a start configuration."""
        ctrl = np.zeros(len(scene.actuators))
        for arm in self._view(scene).twin.robot.arms:
            ctrl[arm.actuators] = values[arm.layout.start_joints]
            width_m = arm.arm.gripper.width_from_joints(values[arm.layout.start_fingers])
            ctrl[arm.gripper_actuator] = arm.arm.gripper.ctrl_at(width_m)
        return ctrl

    def _state_of(self, scene: _Scene, frame: SeenFrame, setpoint: FloatArray) -> SimulationState:
        """The state at the end of a frame; one that nobody saw repeats the reading before."""
        (before, at), now = self._latest(), self._steps + frame.late
        reading, elapsed_s = frame.reading or before, max(now - at, 1) / self._settings.physics_hz
        self._last = (reading, now)
        speeds = object_velocities(before.object_poses, reading.object_poses, elapsed_s)
        motion = motion_between(before, reading, elapsed_s)
        return self._view(scene).state(reading, setpoint, now / self._settings.physics_hz, motion, speeds)

    def _latest(self) -> tuple[Reading, int]:
        if self._last is None:
            raise NotLoaded("track")
        return self._last

    def _gives_pictures(self, session: Session) -> bool:
        try:
            self._client.picture(next(iter(session.stage.cameras.values())).prim_path)
        except NoPictures:
            return False
        return True

    @staticmethod
    def _view(scene: _Scene) -> TwinView:
        return scene.session.view

    def _loaded(self, call: str) -> _Scene:
        if self._scene is None:
            raise NotLoaded(call)
        return self._scene
