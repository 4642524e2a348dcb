"""The :class:`~blueprint_pipeline.simulation.protocol.Simulator` that acts with Isaac Sim's PhysX and draws with its RTX renderer.

Control is that of the embedded backend: within a frame the drives' targets go linearly from the last setpoint to the new one, one physics
step at a time. PhysX gives no bit-identical replay and no way to save all that the next step depends on (contact caches), and the
capabilities say so: episodes are judged by the k-of-n rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.errors import NotLoaded, NotVaried, SimulationDiverged, UnknownName
from blueprint_pipeline.simulation.isaac_sim.calls import IsaacApi, Placement, Readout, Shot
from blueprint_pipeline.simulation.isaac_sim.mapping import (
    RobotMap,
    check_setpoints,
    horizontal_aperture_mm,
    map_robot,
    poses_from_transforms,
    ramp,
    reduce_contacts,
    transforms_from_poses,
)
from blueprint_pipeline.simulation.protocol import BodyContact, Capabilities, LoadedScene, SimulationState, SimulatorInfo, Track
from blueprint_pipeline.task.variation import PLAIN, Variation
from blueprint_pipeline.twin.errors import RateNotWhole, WrongShape

_WHOLE = 1e-6


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """What is loaded."""

    robot: RobotMap
    fps: int
    substeps: int
    timestep_s: float
    object_ids: tuple[str, ...]
    start_poses: FloatArray
    """(M, 7): where the stage has the objects."""
    cameras: dict[str, str]
    vertical_apertures_mm: dict[str, float]
    world_paths: frozenset[str]
    folder: TemporaryDirectory[str]
    """Holds the stage that is open."""


class IsaacSimSimulator:
    """Isaac Sim, one scene at a time, kept for many.

    Args:
        api: Isaac Sim itself (``api.start_isaac_sim()``), or a recorded session of it.
    """

    name = "isaac_sim"

    def __init__(self, api: IsaacApi) -> None:
        self._api = api
        self._scene: _Scene | None = None
        self._ctrl: FloatArray = np.zeros(0)
        self._steps = 0

    @property
    def version(self) -> str:
        return self._api.version

    def capabilities(self) -> Capabilities:
        return Capabilities(deterministic=False, restores_state=False, renders=True, contacts=True, varies=False)

    def load(self, scene: Path, robot: RobotPlacement, fps: int) -> LoadedScene:
        """Open ``usd/scene.usda`` of the scene's folder with the robot in it.

        Raises:
            StageMissing: The scene has no stage.
            StageNotUsable: PhysX would not simulate it as the twin does.
            RateNotWhole: A frame is not a whole number of physics steps.
            RobotNotMapped: Isaac Sim found other joints than the robot's.
        """
        from blueprint_pipeline.simulation.isaac_sim.robot_stage import tools_in_hands  # noqa: PLC0415 -- Kit brings pxr when it runs
        from blueprint_pipeline.simulation.isaac_sim.stage import TIMESTEP_S, author_stage  # noqa: PLC0415 -- imports pxr, too

        self.close()
        steps = 1.0 / (fps * TIMESTEP_S)
        if abs(steps - round(steps)) > _WHOLE * steps:
            raise RateNotWhole(str(scene), fps, TIMESTEP_S)
        embodiment = load_embodiment(robot.embodiment)
        folder = TemporaryDirectory(prefix="blueprint-pipeline-isaac-")
        stage = author_stage(scene, robot, embodiment, Path(folder.name))
        joints = self._api.open_stage(stage.path, stage.binding)
        self._scene = _Scene(
            robot=map_robot(embodiment, joints, tools_in_hands(embodiment)),
            fps=fps,
            substeps=round(steps),
            timestep_s=TIMESTEP_S,
            object_ids=stage.object_ids,
            start_poses=np.array([(*pose.position_m, *pose.quat_wxyz) for pose in stage.object_poses]).reshape(-1, 7),
            cameras=stage.cameras,
            vertical_apertures_mm=stage.vertical_apertures_mm,
            world_paths=stage.world_paths,
            folder=folder,
        )
        self.reset({}, home_qpos(embodiment))
        return LoadedScene(
            info=self.info(),
            model_sha256=stage.sha256,
            fps=fps,
            object_ids=stage.object_ids,
            cameras=tuple(stage.cameras),
            actuators=self._scene.robot.actuators,
        )

    def info(self) -> SimulatorInfo:
        """What acts, for the episode's record."""
        scene = self._loaded("info")
        return SimulatorInfo(name=self.name, version=self.version, timestep_s=scene.timestep_s, substeps=scene.substeps)

    def vary(self, variation: Variation) -> None:
        if variation != PLAIN:
            raise NotVaried(self.name, sorted(variation.model_dump(exclude_defaults=True)))

    def reset(self, object_poses: Mapping[str, Pose], robot_qpos: tuple[float, ...]) -> SimulationState:
        scene = self._loaded("reset")
        joints = np.array(robot_qpos, dtype=np.float64)
        if joints.shape != scene.robot.order.shape:
            raise WrongShape("robot_qpos", joints.shape, f"({len(scene.robot.order)},): each arm's joints, then its fingers'")
        poses = scene.start_poses.copy()
        for object_id, pose in object_poses.items():
            if object_id not in scene.object_ids:
                raise UnknownName("movable object", object_id, list(scene.object_ids))
            poses[scene.object_ids.index(object_id)] = (*pose.position_m, *pose.quat_wxyz)
        self._ctrl = scene.robot.ctrl_holding(joints)
        self._steps = 0
        self._place(scene, joints, np.zeros_like(joints), poses, np.zeros((len(poses), 6)))
        return self.observe()

    def track(self, setpoints: FloatArray) -> Track:
        scene = self._loaded("track")
        check_setpoints(setpoints, len(scene.robot.actuators))
        states: list[SimulationState] = []
        contacts: list[tuple[BodyContact, ...]] = []
        for setpoint in setpoints:
            controls = ramp(self._ctrl, setpoint, scene.substeps)
            steps = self._api.advance(scene.robot.to_isaac(scene.robot.targets(controls)))
            self._ctrl = controls[-1]
            self._steps += scene.substeps
            contacts.append(reduce_contacts(steps, scene.world_paths, scene.timestep_s))
            states.append(self._check_finite(self.observe()))
        return Track(states=tuple(states), contacts=tuple(contacts))

    def observe(self) -> SimulationState:
        scene = self._loaded("observe")
        return scene.robot.state(self._api.read(), self._ctrl, self._steps * scene.timestep_s)

    def save_state(self) -> FloatArray:
        """Time, controls, joints and objects: what can be read of PhysX, which is not all that the next step depends on."""
        scene = self._loaded("save_state")
        readout: Readout = self._api.read()
        robot = scene.robot
        parts = [
            np.array([float(self._steps)]),
            self._ctrl,
            robot.from_isaac(readout.dof_positions),
            robot.from_isaac(readout.dof_velocities),
            np.asarray(readout.object_transforms, dtype=np.float64).ravel(),
            np.asarray(readout.object_velocities, dtype=np.float64).ravel(),
        ]
        return np.concatenate(parts)

    def restore_state(self, state: FloatArray) -> SimulationState:
        scene = self._loaded("restore_state")
        joints, controls, objects = len(scene.robot.order), len(scene.robot.actuators), len(scene.object_ids)
        sizes = (1, controls, joints, joints, objects * 7, objects * 6)
        if state.shape != (sum(sizes),):
            raise WrongShape("state", state.shape, f"({sum(sizes)},)")
        steps, ctrl, positions, velocities, transforms, speeds = np.split(state, np.cumsum(sizes)[:-1])
        self._steps, self._ctrl = round(float(steps[0])), ctrl
        poses = poses_from_transforms(transforms)
        self._place(scene, positions, velocities, poses, speeds.reshape(-1, 6))
        return self.observe()

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        scene = self._loaded("render")
        found = next((name for name in (camera, f"robot/{camera}") if name in scene.cameras), None)
        if found is None:
            raise UnknownName("camera", camera, list(scene.cameras))
        aperture = horizontal_aperture_mm(scene.vertical_apertures_mm[found], width, height)
        return self._api.draw(Shot(camera=scene.cameras[found], width=width, height=height, horizontal_aperture_mm=aperture))

    def close(self) -> None:
        if self._scene is not None:
            self._api.close_stage()
            self._scene.folder.cleanup()
        self._scene = None

    def _place(self, scene: _Scene, positions: FloatArray, velocities: FloatArray, poses: FloatArray, speeds: FloatArray) -> None:
        robot = scene.robot
        self._api.place(
            Placement(
                dof_positions=robot.to_isaac(positions),
                dof_velocities=robot.to_isaac(velocities),
                dof_targets=robot.to_isaac(robot.targets(self._ctrl)),
                object_transforms=transforms_from_poses(poses),
                object_velocities=speeds.astype(np.float32),
            )
        )

    @staticmethod
    def _check_finite(state: SimulationState) -> SimulationState:
        for worst, values in (("qpos", state.qpos), ("qvel", state.qvel)):
            if not np.isfinite(values).all():
                raise SimulationDiverged(state.time_s, worst)
        return state

    def _loaded(self, call: str) -> _Scene:
        if self._scene is None:
            raise NotLoaded(call)
        return self._scene
