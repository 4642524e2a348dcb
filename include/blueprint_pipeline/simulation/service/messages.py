"""Between the messages of version 1 and the simulator's own types, both ways."""

from pathlib import Path
from typing import Any

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.placement import RobotPlacement, View
from blueprint_pipeline.simulation.protocol import BodyContact, Capabilities, LoadedScene, SimulationState, SimulatorInfo
from blueprint_pipeline.simulation.service.v1 import simulation_pb2 as pb
from blueprint_pipeline.task.variation import Backdrop, Variation

_VECTORS = ("qpos", "qvel", "ctrl", "actuator_force", "robot_qpos", "robot_qvel", "robot_torque", "gripper_width_m", "gripper_command_m")
_POSES = ("ee_pose", "object_poses")
POSE_LENGTH = 7


def pack_state(state: SimulationState) -> pb.State:
    """A state as a message; float64 stays float64."""
    vectors = {name: getattr(state, name) for name in _VECTORS}
    poses = {name: getattr(state, name).ravel() for name in _POSES}
    return pb.State(time_s=state.time_s, **vectors, **poses)


def unpack_state(message: pb.State) -> SimulationState:
    """A message as a state."""
    vectors: dict[str, Any] = {name: np.array(getattr(message, name), dtype=np.float64) for name in _VECTORS}
    poses: dict[str, Any] = {name: np.array(getattr(message, name), dtype=np.float64).reshape(-1, POSE_LENGTH) for name in _POSES}
    return SimulationState(time_s=message.time_s, **vectors, **poses)


def pack_pose(pose: Pose) -> pb.Pose:
    """A pose as a message."""
    return pb.Pose(position_m=pose.position_m, quat_wxyz=pose.quat_wxyz)


def unpack_pose(message: pb.Pose) -> Pose:
    """A message as a pose; pydantic refuses wrong lengths."""
    return Pose.model_validate({"position_m": tuple(message.position_m), "quat_wxyz": tuple(message.quat_wxyz)})


def pack_view(view: View) -> pb.View:
    """Where the scene's camera stands, as a message."""
    return pb.View(position_m=view.position_m, quat_wxyz=view.quat_wxyz, fovy_deg=view.fovy_deg)


def unpack_view(message: pb.View) -> View:
    """A message as a view; pydantic refuses wrong lengths."""
    found = {"position_m": tuple(message.position_m), "quat_wxyz": tuple(message.quat_wxyz), "fovy_deg": message.fovy_deg}
    return View.model_validate(found)


def pack_load(scene: Path, robot: RobotPlacement, fps: int) -> pb.LoadRequest:
    """What is to be loaded, as a message."""
    view = None if robot.view is None else pack_view(robot.view)
    base_pose = pack_pose(robot.base_pose)
    return pb.LoadRequest(scene=str(scene), embodiment=robot.embodiment, base_pose=base_pose, fps=fps, view=view, foot_m=robot.foot_m)


def unpack_robot(message: pb.LoadRequest) -> RobotPlacement:
    """The robot that a message wants loaded; pydantic refuses wrong lengths."""
    view = unpack_view(message.view) if message.HasField("view") else None
    found = {"embodiment": message.embodiment, "base_pose": unpack_pose(message.base_pose), "foot_m": message.foot_m, "view": view}
    return RobotPlacement.model_validate(found)


def pack_variation(variation: Variation) -> pb.VaryRequest:
    """How a scene differs, as a message."""
    return pb.VaryRequest(
        view=None if variation.view is None else pack_view(variation.view),
        light_level=variation.light_level,
        light_tint=variation.light_tint,
        light_turn_rad=variation.light_turn_rad,
        tints={name: pb.Tint(rgb=tint) for name, tint in variation.tints.items()},
        friction=variation.friction,
        masses=variation.masses,
        textures={name: pb.Texture(**texture.model_dump()) for name, texture in variation.textures.items()},
        mounts={name: pb.CameraMount(**mount.model_dump()) for name, mount in variation.mounts.items()},
        backdrop=None if variation.backdrop is None else pb.Backdrop(**variation.backdrop.model_dump()),
    )


def unpack_variation(message: pb.VaryRequest) -> Variation:
    """A message as a variation; pydantic refuses wrong lengths and factors."""
    found = {
        "view": unpack_view(message.view) if message.HasField("view") else None,
        "light_level": message.light_level,
        "light_tint": tuple(message.light_tint),
        "light_turn_rad": message.light_turn_rad,
        "tints": {name: tuple(tint.rgb) for name, tint in message.tints.items()},
        "friction": message.friction,
        "masses": dict(message.masses),
        "textures": {name: _unpack_texture(texture) for name, texture in message.textures.items()},
        "mounts": {name: _unpack_mount(mount) for name, mount in message.mounts.items()},
        "backdrop": {name: tuple(getattr(message.backdrop, name)) for name in Backdrop.model_fields}
        if message.HasField("backdrop")
        else None,
    }
    return Variation.model_validate(found)


def _unpack_mount(message: pb.CameraMount) -> dict[str, Any]:
    return {"shift_m": tuple(message.shift_m), "turn_quat_wxyz": tuple(message.turn_quat_wxyz), "widening": message.widening}


def _unpack_texture(message: pb.Texture) -> dict[str, Any]:
    scalars = {name: getattr(message, name) for name in ("kind", "seed", "cells", "turned")}
    return {**scalars, "low_rgb": tuple(message.low_rgb), "high_rgb": tuple(message.high_rgb)}


def pack_frame(state: SimulationState, contacts: tuple[BodyContact, ...]) -> pb.Frame:
    """One tracked frame as a message."""
    packed = [pb.BodyContact(bodies=contact.bodies, depth_m=contact.depth_m, force_n=contact.force_n) for contact in contacts]
    return pb.Frame(state=pack_state(state), contacts=packed)


def unpack_contacts(message: pb.Frame) -> tuple[BodyContact, ...]:
    """The contacts of a tracked frame."""
    return tuple(BodyContact(bodies=contact.bodies, depth_m=contact.depth_m, force_n=contact.force_n) for contact in message.contacts)


def pack_loaded(loaded: LoadedScene) -> pb.LoadResponse:
    """What was loaded, as a message."""
    return pb.LoadResponse(
        simulator_name=loaded.info.name,
        simulator_version=loaded.info.version,
        timestep_s=loaded.info.timestep_s,
        substeps=loaded.info.substeps,
        model_sha256=loaded.model_sha256,
        fps=loaded.fps,
        object_ids=loaded.object_ids,
        cameras=loaded.cameras,
        actuators=loaded.actuators,
    )


def unpack_loaded(message: pb.LoadResponse) -> LoadedScene:
    """A message as what was loaded."""
    info = SimulatorInfo(
        name=message.simulator_name, version=message.simulator_version, timestep_s=message.timestep_s, substeps=message.substeps
    )
    return LoadedScene(
        info=info,
        model_sha256=message.model_sha256,
        fps=message.fps,
        object_ids=tuple(message.object_ids),
        cameras=tuple(message.cameras),
        actuators=tuple(message.actuators),
    )


def pack_capabilities(capabilities: Capabilities) -> pb.Capabilities:
    """Capabilities as a message."""
    return pb.Capabilities(
        deterministic=capabilities.deterministic,
        restores_state=capabilities.restores_state,
        renders=capabilities.renders,
        contacts=capabilities.contacts,
        varies=capabilities.varies,
    )


def unpack_capabilities(message: pb.Capabilities) -> Capabilities:
    """A message as capabilities."""
    return Capabilities(
        deterministic=message.deterministic,
        restores_state=message.restores_state,
        renders=message.renders,
        contacts=message.contacts,
        varies=message.varies,
    )


def unpack_matrix(values: "pb.TrackRequest") -> FloatArray:
    """Setpoints (T, width) of a request."""
    return np.array(values.setpoints, dtype=np.float64).reshape(-1, max(values.width, 1))


def unpack_image(message: pb.Image) -> ImageArray:
    """An image (height, width, 3), RGB."""
    return np.frombuffer(message.rgb, dtype=np.uint8).reshape(message.height, message.width, 3)
