"""The simulated scene of a kit with its robot: put together from its files, set to a state, and stepped as it was when episodes were made.

World frame: z up, metres, radians; quaternions wxyz.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .contacts import ContactSampler
from .divergence import find_divergence
from .pictures import sky_of, unknown_surfaces
from .table import look_up
from .variation import VariedPhysics, cameras_on_robot

Vector = NDArray[np.float64]
_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION.value


class KitNotUsable(ValueError):
    """A kit cannot be used as it was asked for; the message says why, and what to do."""


def load_kit(folder: Path) -> dict[str, Any]:
    """``kit.json``."""
    kit: dict[str, Any] = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
    return kit


def load_scene(folder: Path) -> mujoco.MjSpec:
    """The scene with the robot on its pedestal, as it was simulated."""
    kit = load_kit(folder)
    scene, robot = (mujoco.MjSpec.from_file(str(folder / kit[name])) for name in ("scene_mjcf", "robot_mjcf"))
    for added in kit["robot_cameras"]:
        robot.body(added["body"]).add_camera(**added["camera"])
    for added in kit["robot_boxes"]:
        robot.body(added["body"]).add_body(**added["frame"]).add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, **added["box"])
    robot.option.integrator, robot.option.cone, robot.option.impratio = scene.option.integrator, scene.option.cone, scene.option.impratio
    scene.attach(robot, prefix=kit["robot_prefix"], frame=scene.worldbody.add_frame(**kit["robot_base"]))
    for name, view in kit["scene_cameras"].items():
        camera = scene.camera(name)
        camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        camera.pos, camera.quat, camera.fovy = view["pos"], view["quat"], view["fovy"]
    for name, value in kit["option"].items():
        setattr(scene.option, name, value)
    for geom in kit["scene_boxes"]:
        scene.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, **geom)
    return scene


@dataclass(frozen=True)
class KitArm:
    """Where an arm and its gripper lie in the model's vectors."""

    name: str
    joints: list[int]
    """In ``qpos``."""
    actuators: list[int]
    gripper_actuator: int
    fingers: list[tuple[int, list[float]]]
    """Address in ``qpos`` of each finger joint that tells the opening, and its position at each of ``openings_m``."""
    openings_m: list[float]
    gripper_ctrl: list[float]
    """The gripper's command for each of ``openings_m``."""
    tool_site: int

    def width_m(self, qpos: Vector) -> float:
        """Measured opening of the gripper."""
        return float(np.mean([look_up(qpos[address], positions, self.openings_m) for address, positions in self.fingers]))


class World:
    """A kit's scene, compiled, and one state of it.

    Args:
        folder: Of the kit.

    Raises:
        KitNotUsable: Its states are of another version of MuJoCo.
    """

    def __init__(self, folder: Path) -> None:
        self.kit = load_kit(folder)
        made_with = self.kit["mujoco"]
        if mujoco.__version__ != made_with:
            raise KitNotUsable(f"Made with mujoco {made_with}, and this is {mujoco.__version__}: pip install mujoco=={made_with}")
        self.model = load_scene(folder).compile()
        self.data = mujoco.MjData(self.model)
        self.fps: int = self.kit["fps"]
        self.substeps = round(1.0 / (self.fps * self.model.opt.timestep))
        self.arms = [_find_arm(self.model, arm) for arm in self.kit["arms"]]
        free = np.flatnonzero(self.model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        objects = [self.model.body(int(self.model.jnt_bodyid[joint])).name for joint in free]
        self._parts = _find_parts(self.model, self.kit["robot_prefix"])
        self.object_ids = [*objects, *(self.model.body(body).name for body in self._parts)]
        """What moves: objects, then parts of articulated ones."""
        self._object_qpos = [int(self.model.jnt_qposadr[joint]) for joint in free]
        self._contacts = ContactSampler(self.model)
        self._physics = VariedPhysics(self.model)
        self._bodies = {self.model.body(body).name for body in range(self.model.nbody)}
        self._view = mujoco.MjData(self.model)

    def restore(self, integration_state: Vector, variation: Mapping[str, Any]) -> None:
        """Go to a saved state (MuJoCo's integration state), in the scene as a variation has it.

        Raises:
            KitNotUsable: The variation names a body that the scene does not have.
        """
        if unknown := sorted({*variation["masses"], *variation["tints"]} - self._bodies):
            raise KitNotUsable(f"A variation is of '{unknown[0]}', which the scene does not have. Get the bundle again.")
        if unknown := unknown_surfaces(self.model, variation.get("textures", {})):
            raise KitNotUsable(f"A variation is of the picture of '{unknown[0]}', and the scene has none there. Get the bundle again.")
        if unknown := sorted(variation.get("mounts", {}).keys() - cameras_on_robot(self.model).keys()):
            raise KitNotUsable(f"A variation is of the mount of camera '{unknown[0]}', and the robot has none. Get the bundle again.")
        if variation.get("backdrop") is not None and sky_of(self.model) is None:
            raise KitNotUsable("A variation is of the backdrop, and the scene has none. Get the bundle again.")
        self._physics.apply(variation)
        mujoco.mj_resetData(self.model, self.data)
        self._contacts.forget()
        mujoco.mj_setState(self.model, self.data, np.asarray(integration_state, dtype=np.float64), _INTEGRATION)

    def advance(self, setpoint: Vector) -> frozenset[str]:
        """Execute one frame; returns the pairs of bodies that touched in it.

        The applied control goes linearly from the last setpoint to this one (nu,), one physics step at a time.
        """
        share = np.arange(1, self.substeps + 1)[:, None] / self.substeps
        ramp = self.data.ctrl + share * (setpoint - self.data.ctrl)
        ramp[-1] = setpoint
        for control in ramp:
            self.data.ctrl[:] = control
            mujoco.mj_step(self.model, self.data)
            self._contacts.sample(self.model, self.data)
        return frozenset(pair.bodies for pair in self._contacts.take(self.data))

    @property
    def has_diverged(self) -> bool:
        """Whether physics blew up since the state was last restored: MuJoCo then went on from the model's own start."""
        return find_divergence(self.data) is not None

    def setpoint(self, action: Vector) -> Vector:
        """Controls (nu,) for an action: of each arm its joints' positions, then the opening of its gripper."""
        controls: Vector = self.data.ctrl.copy()
        start = 0
        for arm in self.arms:
            end = start + len(arm.actuators)
            controls[arm.actuators] = action[start:end]
            controls[arm.gripper_actuator] = look_up(float(action[end]), arm.openings_m, arm.gripper_ctrl)
            start = end + 1
        return controls

    def robot_state(self) -> Vector:
        """Of each arm its joints' positions, then the measured opening of its gripper."""
        return np.concatenate([[*self.data.qpos[arm.joints], arm.width_m(self.data.qpos)] for arm in self.arms])

    def object_poses(self) -> Vector:
        """Poses in the order of ``object_ids``, (n, 7): xyz and quat wxyz."""
        free = [self.data.qpos[address : address + 7] for address in self._object_qpos]
        if not self._parts:
            return np.array(free).reshape(-1, 7)
        self._view.qpos[:] = self.data.qpos
        mujoco.mj_kinematics(self.model, self._view)
        return np.array([*free, *(np.concatenate([self._view.xpos[body], self._view.xquat[body]]) for body in self._parts)])

    def tool_poses(self) -> Vector:
        """Tool centre point of each arm, (n_arms, 7): xyz and quat wxyz."""
        self._view.qpos[:] = self.data.qpos
        mujoco.mj_kinematics(self.model, self._view)
        poses = np.zeros((len(self.arms), 7))
        for arm, pose in zip(self.arms, poses, strict=True):
            pose[:3] = self._view.site_xpos[arm.tool_site]
            mujoco.mju_mat2Quat(pose[3:], self._view.site_xmat[arm.tool_site])
        return poses


def _find_parts(model: mujoco.MjModel, robot_prefix: str) -> list[int]:
    """Bodies of drawers and doors: those with a joint, within an object (``cabinet/door``)."""
    jointed = [int(body) for body in model.jnt_bodyid]
    names = {body: model.body(body).name for body in jointed}
    return [body for body in jointed if "/" in names[body] and not names[body].startswith(robot_prefix)]


def _find_arm(model: mujoco.MjModel, arm: dict[str, Any]) -> KitArm:
    return KitArm(
        name=arm["name"],
        joints=[int(model.joint(name).qposadr[0]) for name in arm["joints"]],
        actuators=[int(model.actuator(name).id) for name in arm["actuators"]],
        gripper_actuator=int(model.actuator(arm["gripper_actuator"]).id),
        fingers=[(int(model.joint(finger["joint"]).qposadr[0]), finger["positions"]) for finger in arm["fingers"]],
        openings_m=arm["openings_m"],
        gripper_ctrl=arm["gripper_ctrl"],
        tool_site=int(model.site(arm["tool_site"]).id),
    )
