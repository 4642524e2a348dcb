"""One compiled model of a scene with a robot in it, and how the two are addressed."""

import hashlib
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.robot.placement import SCENE_CAMERA, RobotPlacement
from blueprint_pipeline.twin.articulation import PartJoint, find_joints
from blueprint_pipeline.twin.binding import RobotBinding, bind_robot
from blueprint_pipeline.twin.errors import ModelNotBuilt, RateNotWhole
from blueprint_pipeline.twin.footprint import movable_objects
from blueprint_pipeline.twin.mount import mount
from blueprint_pipeline.workspace.checksums import digest_file

_WHOLE = 1e-6


@dataclass(frozen=True, kw_only=True)
class SceneModel:
    """A compiled model, ready to act."""

    model: mujoco.MjModel
    sha256: str
    """See :func:`model_sha256`."""
    fps: int
    substeps: int
    """Physics steps a frame."""
    object_ids: tuple[str, ...]
    """What moves: the movable objects, then the parts of articulated ones, each in the model's order."""
    object_qpos: tuple[int, ...]
    """Address in ``qpos`` of each movable object's free joint."""
    object_dofs: tuple[int, ...]
    """Address in ``qvel`` of each movable object's free joint."""
    parts: Mapping[str, PartJoint]
    """The joint of each part that moves, by its name."""
    robot: RobotBinding

    def qpos_of(self, robot_qpos: FloatArray, gripper_width_m: FloatArray, object_poses: FloatArray) -> FloatArray:
        """The configuration (nq,) for what was observed, in whatever engine.

        Args:
            robot_qpos: All arms' joints, (n_joints,).
            gripper_width_m: Opening of every gripper, (n_arms,).
            object_poses: In the order of ``object_ids``: xyz and quat wxyz, (n_objects, 7). That of a part says how far it is open.
        """
        qpos: FloatArray = self.model.qpos0.copy()
        for arm, width_m in zip(self.robot.arms, gripper_width_m, strict=True):
            qpos[arm.qpos] = robot_qpos[arm.layout.joints]
            qpos[arm.finger_qpos] = arm.arm.gripper.joints_at(float(width_m))
        self.place(qpos, dict(zip(self.object_ids, object_poses, strict=True)))
        return qpos

    def place(self, qpos: FloatArray, poses: Mapping[str, FloatArray]) -> None:
        """Write poses (7,) of what moves into a configuration (nq,): of a movable object its pose, of a part how far it is open."""
        for name, pose in poses.items():
            if name in self.parts:
                qpos[self.parts[name].qpos] = self.parts[name].line.positions_of(pose[None])[0]
            else:
                address = self.object_qpos[self.object_ids.index(name)]
                qpos[address : address + 7] = pose

    def poses(self, data: mujoco.MjData) -> FloatArray:
        """Poses of what moves, in the order of ``object_ids``: xyz and quat wxyz, (n_objects, 7); needs ``data``'s kinematics."""
        free = [data.qpos[address : address + 7] for address in self.object_qpos]
        parts = [np.concatenate([data.body(name).xpos, data.body(name).xquat]) for name in self.parts]
        return np.stack([*free, *parts]) if self.object_ids else np.zeros((0, 7))

    def joint_positions(self, object_poses: FloatArray) -> FloatArray:
        """How far each part is open, (T, n_parts) [m] or [rad], by poses in the order of ``object_ids`` (T, n_objects, 7)."""
        first = len(self.object_qpos)
        found = [joint.line.positions_of(object_poses[:, first + index]) for index, joint in enumerate(self.parts.values())]
        return np.column_stack(found) if found else np.zeros((len(object_poses), 0))

    def qpos_at(self, poses: Mapping[str, Pose], robot_qpos: tuple[float, ...]) -> FloatArray:
        """The configuration (nq,) with what moves at its poses, and the robot in a start configuration; other parts are closed."""
        data = mujoco.MjData(self.model)
        self.robot.place(data, robot_qpos)
        self.place(data.qpos, {name: np.array(pose.as_tuple()) for name, pose in poses.items()})
        qpos: FloatArray = data.qpos.copy()
        return qpos


def build_spec(mjcf_path: Path, robot: RobotPlacement) -> mujoco.MjSpec:
    """The twin with the robot mounted, not yet compiled.

    Raises:
        ModelNotBuilt: The twin cannot be read.
    """
    try:
        spec = mujoco.MjSpec.from_file(str(mjcf_path))
    except ValueError as error:
        raise ModelNotBuilt(str(mjcf_path), str(error)) from error
    mount(spec, load_embodiment(robot.embodiment), robot.base_pose, robot.foot_m)
    if robot.view is not None:
        camera = spec.camera(SCENE_CAMERA)
        camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT  # however the file says it
        camera.pos, camera.quat, camera.fovy = robot.view.position_m, robot.view.quat_wxyz, robot.view.fovy_deg
    # Bodies at rest sleep: a cluttered scene runs 2 to 3 times faster, and replays stay bit-identical (measured).
    spec.option.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP.value
    return spec


def build_model(mjcf_path: Path, robot: RobotPlacement, fps: int) -> mujoco.MjModel:
    """Compile the twin with the robot mounted; see :func:`build_scene_model` for how to address it."""
    return build_scene_model(mjcf_path, robot, fps).model


def build_scene_model(mjcf_path: Path, robot: RobotPlacement, fps: int) -> SceneModel:
    """Compile the twin with the robot mounted.

    Args:
        mjcf_path: ``mjcf/scene.xml`` of the scene.
        robot: Which robot, and where its base stands in the world.
        fps: Control frames a second.

    Raises:
        ModelNotBuilt: The two do not compile to one model.
        RateNotWhole: A frame is not a whole number of physics steps.
    """
    spec = build_spec(mjcf_path, robot)
    try:
        model = spec.compile()
    except ValueError as error:
        raise ModelNotBuilt(str(mjcf_path), str(error)) from error
    steps = 1.0 / (fps * model.opt.timestep)
    if abs(steps - round(steps)) > _WHOLE * steps:
        raise RateNotWhole(str(mjcf_path), fps, float(model.opt.timestep))
    objects, parts = movable_objects(model), find_joints(model)
    joints = [int(model.body(name).jntadr[0]) for name in objects]
    return SceneModel(
        model=model,
        sha256=model_sha256(spec, model),
        fps=fps,
        substeps=round(steps),
        object_ids=(*objects, *parts),
        object_qpos=tuple(int(model.jnt_qposadr[joint]) for joint in joints),
        object_dofs=tuple(int(model.jnt_dofadr[joint]) for joint in joints),
        parts=parts,
        robot=bind_robot(model, load_embodiment(robot.embodiment)),
    )


def planning_copy(model: mujoco.MjModel) -> mujoco.MjModel:
    """A copy in which nothing sleeps, so that every contact is found: for planners, who move bodies about by hand."""
    awake = copy(model)
    awake.opt.enableflags &= ~mujoco.mjtEnableBit.mjENBL_SLEEP.value
    return awake


def model_sha256(spec: mujoco.MjSpec, model: mujoco.MjModel) -> str:
    """Hash a compiled model: its canonical MJCF, and the bytes of every mesh and texture file in the order of use.

    The folders in which the files lie do not count, so a copied scene keeps its hash.

    Source: ``MjModel.paths`` lists the asset files of a compiled model, separated by NUL.
    """
    digest = hashlib.sha256(spec.to_xml().encode())
    for path in filter(None, model.paths.split(b"\0")):
        digest.update(b"\0" + bytes.fromhex(digest_file(Path(path.decode())).sha256))
    return digest.hexdigest()
