"""The embedded backend of the :class:`~blueprint_pipeline.simulation.protocol.Simulator` protocol.

Control: within a frame the applied control goes linearly from the last setpoint to the new one, one physics step at a
time; the last step applies the setpoint itself. Since the last applied control is part of MuJoCo's integration state,
that state and the setpoints alone replay a motion, bit by bit.
"""

from collections.abc import Mapping
from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.kit.contacts import ContactSampler
from blueprint_pipeline.kit.divergence import find_divergence
from blueprint_pipeline.kit.pictures import VariedPictures
from blueprint_pipeline.kit.variation import VariedLooks, VariedPhysics
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.errors import NotLoaded, SimulationDiverged, UnknownName
from blueprint_pipeline.simulation.mujoco.drawing import FrameRenderer, RenderBackend, apply_lights, check_pictures
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, make_renderer
from blueprint_pipeline.simulation.protocol import BodyContact, Capabilities, LoadedScene, SimulationState, SimulatorInfo, Track
from blueprint_pipeline.simulation.render_profiles import FAST, RenderProfile
from blueprint_pipeline.simulators import TWIN_PATH
from blueprint_pipeline.task.variation import PLAIN, Variation
from blueprint_pipeline.twin.errors import WrongShape
from blueprint_pipeline.twin.model import SceneModel, build_scene_model

_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION.value


class MujocoSimulator:
    """MuJoCo on one core.

    Args:
        render_backend: What draws; ``auto`` takes the first that works, when a frame is first asked for.
        probed: A backend that is known to work here, so that it need not be tried again.
        profile: How good pictures are.
    """

    name = "mujoco"
    version = mujoco.__version__

    def __init__(self, render_backend: str = "auto", *, probed: RenderBackend | None = None, profile: RenderProfile = FAST) -> None:
        self._wanted_backend = render_backend
        self._profile = profile
        self._probed = probed
        self._scene: SceneModel | None = None
        self._data: mujoco.MjData | None = None
        self._view: mujoco.MjData | None = None
        self._contacts: ContactSampler | None = None
        self._renderer: tuple[tuple[int, int], FrameRenderer] | None = None
        self._varied: tuple[VariedPhysics, VariedLooks]
        self._variation = PLAIN
        self._pictures: tuple[VariedPictures, Variation]
        """And the variation that they show: they are painted when they are drawn."""

    def capabilities(self) -> Capabilities:
        return Capabilities(deterministic=True, restores_state=True, renders=True, contacts=True, varies=True)

    def load(self, scene: Path, robot: RobotPlacement, fps: int) -> LoadedScene:
        """Compile ``mjcf/scene.xml`` of the scene's folder with the robot mounted.

        Raises:
            ModelNotBuilt: The twin and the robot do not compile.
            RateNotWhole: A frame is not a whole number of physics steps.
        """
        return self.use(build_scene_model(scene / TWIN_PATH, robot, fps))

    def use(self, model: SceneModel) -> LoadedScene:
        """Act on a model that is compiled already."""
        self.close()
        apply_lights(model.model, self._profile)
        self._scene = model
        self._data = mujoco.MjData(model.model)
        self._contacts = ContactSampler(model.model)
        self._varied, self._variation = (VariedPhysics(model.model), VariedLooks(model.model)), PLAIN
        self._pictures = VariedPictures(model.model), PLAIN
        mujoco.mj_forward(model.model, self._data)
        return LoadedScene(
            info=self.info(),
            model_sha256=model.sha256,
            fps=model.fps,
            object_ids=model.object_ids,
            cameras=tuple(model.model.camera(index).name for index in range(model.model.ncam)),
            actuators=tuple(model.model.actuator(index).name for index in range(model.model.nu)),
        )

    def info(self) -> SimulatorInfo:
        """What acts, for the episode's record."""
        scene, _ = self._loaded("info")
        return SimulatorInfo(name=self.name, version=self.version, timestep_s=float(scene.model.opt.timestep), substeps=scene.substeps)

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model."""
        return self._loaded("model")[0].model

    @property
    def data(self) -> mujoco.MjData:
        """The state that acts; only read it."""
        return self._loaded("data")[1]

    def vary(self, variation: Variation) -> None:
        scene, _ = self._loaded("vary")
        known = [scene.model.body(body).name for body in range(scene.model.nbody)]
        if unknown := sorted({*variation.masses, *variation.tints} - set(known)):
            raise UnknownName("body", unknown[0], known)
        check_pictures(scene.model, variation)
        if variation != self._variation:
            self._variation = variation
            for varied in self._varied:
                varied.apply(variation.model_dump(mode="json"))
            self._view = None  # MuJoCo looks once at lights that stand still
            if self._renderer is not None and not self._renderer[1].follows_looks:
                self._renderer[1].close()
                self._renderer = None

    def reset(self, object_poses: Mapping[str, Pose], robot_qpos: tuple[float, ...]) -> SimulationState:
        scene, data = self._loaded("reset")
        mujoco.mj_resetData(scene.model, data)
        self._sampler().forget()
        for object_id, pose in object_poses.items():
            if object_id not in scene.object_ids:
                raise UnknownName("movable object or part", object_id, list(scene.object_ids))
            scene.place(data.qpos, {object_id: np.array(pose.as_tuple())})
        scene.robot.place(data, robot_qpos)
        mujoco.mj_forward(scene.model, data)
        return self.observe()

    def track(self, setpoints: FloatArray) -> Track:
        scene, _ = self._loaded("track")
        if setpoints.shape[1:] != (scene.model.nu,):
            raise WrongShape("setpoints", setpoints.shape, f"(T, {scene.model.nu})")
        states: list[SimulationState] = []
        contacts: list[tuple[BodyContact, ...]] = []
        for setpoint in setpoints:
            contacts.append(self.advance(setpoint))
            states.append(self.observe())
        return Track(states=tuple(states), contacts=tuple(contacts))

    def advance(self, setpoint: FloatArray) -> tuple[BodyContact, ...]:
        """Execute one frame; returns its contacts.

        Raises:
            SimulationDiverged: A value is no longer finite, or huge.
        """
        scene, data = self._loaded("advance")
        contacts = self._sampler()
        model = scene.model
        for control in self._ramp(scene, data.ctrl, setpoint):
            data.ctrl[:] = control
            mujoco.mj_step(model, data)
            contacts.sample(model, data)
        self._check_finite(data)
        return tuple(BodyContact(bodies=pair.bodies, depth_m=pair.depth_m, force_n=pair.force_n) for pair in contacts.take(data))

    def advance_blind(self, setpoint: FloatArray) -> None:
        """Execute one frame without looking at contacts: the same states, a little sooner."""
        scene, data = self._loaded("advance_blind")
        model = scene.model
        for control in self._ramp(scene, data.ctrl, setpoint):
            data.ctrl[:] = control
            mujoco.mj_step(model, data)

    @staticmethod
    def _ramp(scene: SceneModel, start: FloatArray, end: FloatArray) -> FloatArray:
        """Control of each physics step of a frame, (substeps, nu); the last is exactly ``end``."""
        share = np.arange(1, scene.substeps + 1) / scene.substeps
        ramp: FloatArray = start + share[:, None] * (end - start)
        ramp[-1] = end
        return ramp

    @staticmethod
    def _check_finite(data: mujoco.MjData) -> None:
        worst = find_divergence(data)
        if worst is not None:
            raise SimulationDiverged(float(data.time), worst)

    def observe(self) -> SimulationState:
        scene, data = self._loaded("observe")
        # Positions of bodies and sites belong to the state before the last step; forward kinematics brings them up to
        # date and touches nothing that the next step depends on.
        mujoco.mj_kinematics(scene.model, data)
        return SimulationState(
            time_s=float(data.time),
            qpos=data.qpos.copy(),
            qvel=data.qvel.copy(),
            ctrl=data.ctrl.copy(),
            actuator_force=data.actuator_force.copy(),
            robot_qpos=data.qpos[scene.robot.qpos].copy(),
            robot_qvel=data.qvel[scene.robot.dofs].copy(),
            robot_torque=data.qfrc_actuator[scene.robot.dofs].copy(),
            gripper_width_m=scene.robot.widths_m(data.qpos),
            gripper_command_m=scene.robot.gripper_commands_m(data.ctrl),
            ee_pose=scene.robot.tool_poses(data),
            object_poses=scene.poses(data),
        )

    def speed_behind_rad_s(self, camera: int) -> float:
        """Largest speed now of any joint of the arms whose motion a camera shows, by the camera's id."""
        scene, data = self._loaded("speed_behind_rad_s")
        return max(float(np.abs(data.qvel[arm.dofs]).max()) for arm in scene.robot.arms_behind(scene.model, camera))

    def save_state(self) -> FloatArray:
        """MuJoCo's integration state.

        Which bodies sleep is no part of it, so saving wakes all: what was saved and what runs on then go on alike.
        """
        scene, data = self._loaded("save_state")
        state = np.zeros(mujoco.mj_stateSize(scene.model, _INTEGRATION))
        mujoco.mj_getState(scene.model, data, state, _INTEGRATION)
        self.restore_state(state)
        return state

    def restore_state(self, state: FloatArray) -> SimulationState:
        scene, data = self._loaded("restore_state")
        size = mujoco.mj_stateSize(scene.model, _INTEGRATION)
        if state.shape != (size,):
            raise WrongShape("integration state", state.shape, f"({size},)")
        mujoco.mj_resetData(scene.model, data)
        self._sampler().forget()
        mujoco.mj_setState(scene.model, data, state, _INTEGRATION)
        return self.observe()

    def stand_at(self, qpos: FloatArray, qvel: FloatArray) -> None:
        """Take on positions and velocities, for drawing alone: nothing that follows from them is computed."""
        _, data = self._loaded("stand_at")
        data.qpos[:], data.qvel[:] = qpos, qvel

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        scene, data = self._loaded("render")
        renderer = self.renderer(width, height)
        if self._view is None:
            self._view = mujoco.MjData(scene.model)
        show(scene.model, data, self._view)
        renderer.look(self._view, camera_id(scene.model, camera))
        return renderer.draw().copy()

    def render_backend(self) -> RenderBackend:
        """What draws here."""
        return self._probed or choose_backend(self._wanted_backend)

    def renderer(self, width: int, height: int) -> FrameRenderer:
        """The renderer of this size, which draws the scene as it is varied; made when first asked for."""
        scene, _ = self._loaded("renderer")
        self._show_pictures()
        if self._renderer is not None and self._renderer[0] != (width, height):
            self._renderer[1].close()
            self._renderer = None
        if self._renderer is None:
            self._renderer = ((width, height), make_renderer(scene.model, width, height, self.render_backend(), self._profile))
        return self._renderer[1]

    def _show_pictures(self) -> None:
        pictures, shown = self._pictures
        if shown == self._variation:
            return
        changed = pictures.apply(self._variation.model_dump(mode="json"))
        self._pictures = pictures, self._variation
        if self._renderer is not None:
            self._renderer[1].take_pictures(changed)

    def close(self) -> None:
        for varied in (*self._varied, self._pictures[0]) if self._scene is not None else ():
            varied.put_back()
        if self._renderer is not None:
            self._renderer[1].close()
        self._scene = self._data = self._view = self._contacts = self._renderer = None

    def _loaded(self, call: str) -> tuple[SceneModel, mujoco.MjData]:
        if self._scene is None or self._data is None:
            raise NotLoaded(call)
        return self._scene, self._data

    def _sampler(self) -> ContactSampler:
        if self._contacts is None:
            raise NotLoaded("advance")
        return self._contacts


def show(model: mujoco.MjModel, data: mujoco.MjData, view: mujoco.MjData) -> None:
    """Bring ``view`` to the positions of ``data`` for drawing, without touching ``data``."""
    view.qpos[:] = data.qpos
    view.mocap_pos[:] = data.mocap_pos
    view.mocap_quat[:] = data.mocap_quat
    mujoco.mj_kinematics(model, view)
    mujoco.mj_comPos(model, view)
    mujoco.mj_camlight(model, view)
