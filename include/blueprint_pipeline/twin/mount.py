"""Put a robot into a scene: its model under a prefix, a pedestal under its base, a camera on each wrist."""

import mujoco
import numpy as np

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.embodiment import Embodiment, WristCamera
from blueprint_pipeline.robot.errors import BrokenEmbodiment
from blueprint_pipeline.robot.names import ROBOT_PREFIX

PEDESTAL = f"{ROBOT_PREFIX}pedestal"
_PEDESTAL_RGBA = (0.32, 0.34, 0.37, 1.0)
_SMALLEST_PEDESTAL_M = 0.02
_HOUSING_RGBA = (0.12, 0.12, 0.13, 1.0)
_BEHIND_LENS_M = 0.001
"""Rays from the lens do not start on its own housing."""
_DRAWN_GROUP = 1


def mount(scene_spec: mujoco.MjSpec, embodiment: Embodiment, base_pose: Pose, foot_m: float = 0.0) -> None:
    """Attach the robot to the world of ``scene_spec``, in place.

    All its names get the prefix ``robot/``. A box ``robot/pedestal`` fills the gap between ``foot_m`` [m], the floor by default, and the
    base. Each camera ``robot/<name>`` of ``wrist_cameras`` looks past the fingers at the workspace; its housing is the body
    ``robot/<name>_camera``. Solver options of the scene stay as they are (``MjSpec.attach`` keeps the parent's).

    Raises:
        BrokenEmbodiment: The record names something that the model lacks.
    """
    robot_spec = mujoco.MjSpec.from_file(str(embodiment.mjcf_path))
    validate_record(robot_spec, embodiment)
    for camera in embodiment.wrist_cameras:
        _add_camera(robot_spec, camera)
    # The option block of the robot's file is for looking at the robot alone; the scene's own decides, silently.
    robot_spec.option.integrator = scene_spec.option.integrator
    robot_spec.option.cone = scene_spec.option.cone
    robot_spec.option.impratio = scene_spec.option.impratio
    frame = scene_spec.worldbody.add_frame(pos=base_pose.position_m, quat=base_pose.quat_wxyz)
    scene_spec.attach(robot_spec, prefix=ROBOT_PREFIX, frame=frame)
    _add_pedestal(scene_spec, embodiment, base_pose, foot_m)


def validate_record(robot_spec: mujoco.MjSpec, embodiment: Embodiment) -> None:
    """Check every name of the record against the model.

    Raises:
        BrokenEmbodiment: A joint, actuator, body or site of the record is not in the model.
    """
    names = {
        "joint": [joint.name for joint in robot_spec.joints],
        "actuator": [actuator.name for actuator in robot_spec.actuators],
        "body": [body.name for body in robot_spec.bodies],
        "site": [site.name for site in robot_spec.sites],
    }
    wanted: list[tuple[str, str]] = [("body", str(embodiment.base_body))]
    for arm in embodiment.arms:
        wanted += [("joint", joint.name) for joint in arm.joints] + [("joint", name) for name in arm.gripper.joints]
        wanted += [("actuator", joint.actuator) for joint in arm.joints] + [("actuator", arm.gripper.actuator)]
        wanted += [("body", name) for name in (arm.gripper.hand_body, *arm.gripper.hand_bodies)] + [("site", arm.tcp_site)]
    wanted += [("body", camera.body) for camera in embodiment.wrist_cameras]
    for kind, name in wanted:
        if name not in names[kind]:
            raise BrokenEmbodiment(embodiment.name, kind, name, names[kind])


def _add_camera(robot_spec: mujoco.MjSpec, camera: WristCamera) -> None:
    """The lens on its body, and the housing behind it as a body of its own, so that contacts tell it from the hand."""
    quat_wxyz = np.zeros(4)
    mujoco.mju_mat2Quat(quat_wxyz, camera.rotation.flatten())
    hand, half_size_m = robot_spec.body(camera.body), np.array(camera.housing.half_size_m)
    hand.add_camera(name=camera.name, pos=camera.position_m, quat=quat_wxyz, fovy=camera.fovy_deg)
    backwards = camera.rotation[:, 2] * (half_size_m[2] + _BEHIND_LENS_M)
    housing = hand.add_body(name=f"{camera.name}_camera", pos=camera.position_m + backwards, quat=quat_wxyz, gravcomp=hand.gravcomp)
    housing.add_geom(
        name=f"{camera.name}_camera",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=half_size_m,
        mass=camera.housing.mass_kg,
        rgba=_HOUSING_RGBA,
        group=_DRAWN_GROUP,
    )


def _add_pedestal(scene_spec: mujoco.MjSpec, embodiment: Embodiment, base_pose: Pose, foot_m: float) -> None:
    height = base_pose.position_m[2] - foot_m
    half_side = embodiment.pedestal_half_size_m
    if half_side is None or height < _SMALLEST_PEDESTAL_M:
        return
    x, y, _ = base_pose.position_m
    scene_spec.worldbody.add_geom(
        name=PEDESTAL,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(x, y, foot_m + height / 2),
        quat=base_pose.quat_wxyz,
        size=(half_side, half_side, height / 2),
        rgba=_PEDESTAL_RGBA,
        group=_DRAWN_GROUP,
    )
