"""Calls to Genie Sim's server: one at a time, each with a deadline, each answer looked at before it is believed.

The server works on one command at a time, one a physics step, and has one place for it: calls may not overlap, and one that was given up
leaves its answer to the next. What fails inside it comes back as a text that begins with ``ERROR``, where the call has a text to answer
with; where it has not, as a gRPC error or not at all.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import numpy as np

from blueprint_pipeline.errors import BlueprintError
from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.simulation.genie_sim.aimdk import protocol_pb2 as pb
from blueprint_pipeline.simulation.genie_sim.aimdk import protocol_pb2_grpc as rpc
from blueprint_pipeline.simulation.genie_sim.errors import AnswerOutstanding, AnswerUnusable, GenieSimRefused, NoPictures
from blueprint_pipeline.simulation.guarded_calls import GuardedCalls

MAX_MESSAGE_BYTES = 16_094_304
"""The server's own bound, both ways. Source: ``server/grpc_server.py``."""
_LOST = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_UNIT = 1e-3
"""How far a quaternion's length may be from 1: the server computes in float32."""
_CHANNELS = (3, 4)

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class GenieSimOptions:
    """How to reach the server. It has neither TLS nor tokens: it is on this machine, or on a private network."""

    address: str
    call_timeout_s: float = 60.0
    """Deadline of a call. Closing a gripper takes some 5 s at most."""
    load_timeout_s: float = 600.0
    """Deadline of the call that loads robot and scene: shaders are compiled, and its planner warms up."""


@dataclass(frozen=True, kw_only=True)
class CameraSpec:
    """A camera as the server adds it."""

    prim_path: str
    pose: Pose
    """Of a local one in its parent: x right, y up, looking along -z."""
    is_local: bool
    focal_length_mm: float
    horizontal_aperture_mm: float
    vertical_aperture_mm: float


@dataclass
class GenieSimClient:
    """The calls that are made, with what they take and give in our terms: SI, radians, quaternions wxyz."""

    options: GenieSimOptions
    _outstanding: str | None = field(default=None, init=False)
    """The call that was given up."""

    def __post_init__(self) -> None:
        bounds = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", MAX_MESSAGE_BYTES)]
        self._channel = grpc.insecure_channel(self.options.address, options=bounds)
        self._calls = GuardedCalls(self.options.address)
        self._joints = rpc.JointControlServiceStub(self._channel)
        self._objects = rpc.SimObjectServiceStub(self._channel)
        self._grippers = rpc.SimGripperServiceStub(self._channel)
        self._cameras = rpc.CameraServiceStub(self._channel)
        self._observation = rpc.SimObservationServiceStub(self._channel)

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait until the port is open: the server has no call that says more.

        Raises:
            SimulatorUnreachable: It was not within ``timeout_s``.
        """
        try:
            grpc.channel_ready_future(self._channel).result(timeout_s)
        except grpc.FutureTimeoutError as error:
            raise self._calls.unreachable("connect", _Closed(f"the port is not open after {timeout_s:.0f} s")) from error

    def init_robot(self, cfg_file: str, scene_usd: str, pose: Pose, joints_rad: Mapping[str, float]) -> None:
        """Load a robot and a scene; a server takes one of each."""
        request = pb.InitRobotReq(
            robot_cfg_file=cfg_file, scene_usd_path=scene_usd, robot_pose=_pack_pose(pose), joint_cmd=_commands(joints_rad)
        )
        self._done("init_robot", self._observation.init_robot, request, "success", timeout_s=self.options.load_timeout_s)

    def reset(self) -> None:
        """Let grippers, planner and notes begin anew; nothing is moved."""
        self._done("reset", self._observation.reset, pb.ResetReq(reset=True), "reset")

    def joint_positions(self) -> dict[str, float]:
        """Every joint of the robot by name, in the server's order."""
        answer = self._ask("get_joint_position", self._joints.get_joint_position, pb.GetJointReq())
        found = {item.name: float(item.position) for item in answer.states}
        if len(found) != len(answer.states) or not all(map(math.isfinite, found.values())):
            raise self._unusable("get_joint_position", "a joint that is named twice, or whose position is not finite")
        return found

    def teleport(self, positions: Mapping[str, float]) -> None:
        """Put joints somewhere at once, within their limits; the answer does not say whether that worked."""
        self._ask("set_joint_position", self._joints.set_joint_position, pb.SetJointReq(commands=_commands(positions)))

    def drive(self, names: Sequence[str], targets: FloatArray) -> None:
        """Set what the drives of all joints hold: the server takes them in its own order, whatever names say."""
        commands = [pb.JointCommand(name=name, position=value) for name, value in zip(names, targets.tolist(), strict=True)]
        self._ask("set_joint_position", self._joints.set_joint_position, pb.SetJointReq(commands=commands, is_trajectory=True))

    def tool_pose(self, *, is_right: bool) -> FloatArray:
        """Pose of a gripper's middle by the server's kinematics, (7,): xyz and quat wxyz."""
        answer = self._ask("get_ee_pose", self._joints.get_ee_pose, pb.GetEEPoseReq(is_right=is_right))
        return self._pose("get_ee_pose", answer.ee_pose)

    def object_pose(self, prim_path: str) -> FloatArray:
        """Pose of a prim, (7,): xyz and quat wxyz. Of one that is not there the server makes one, at the origin."""
        answer = self._ask("get_object_pose", self._objects.get_object_pose, pb.GetObjectPoseReq(prim_path=prim_path))
        return self._pose(f"get_object_pose of {prim_path}", answer.object_pose)

    def has_scene(self) -> bool:
        """Whether a robot was loaded before: of none the server has no pose, and says so by failing."""
        try:
            self.object_pose("robot")
        except GenieSimRefused:
            return False
        return True

    def add_object(self, prim_path: str, pose: Pose) -> None:
        """Let a prim that is in the scene already be recorded, too; it is put to ``pose``."""
        request = pb.AddObjectReq(
            usd_path="in-scene",
            prim_path=prim_path,
            label_name=prim_path.rpartition("/")[2],
            object_pose=_pack_pose(pose),
            object_scale=pb.Vec3(x=1.0, y=1.0, z=1.0),
        )
        self._ask("add_object", self._objects.add_object, request)

    def set_object_poses(self, poses: Mapping[str, Pose]) -> None:
        """Put prims somewhere; they keep their velocities."""
        request = pb.SetObjectPoseReq(object_pose=[pb.ObjectPose(prim_path=path, pose=_pack_pose(pose)) for path, pose in poses.items()])
        self._done("set_object_pose", self._observation.set_object_pose, request, "success")

    def set_gripper(self, *, is_right: bool, closed: bool) -> None:
        """Close or open a gripper; answers when its fingers stand."""
        command = "close" if closed else "open"
        request = pb.SetGripperStateReq(gripper_command=command, is_right=is_right)
        self._done("set_gripper_state", self._grippers.set_gripper_state, request, f"{'right' if is_right else 'left'} gripper moving")

    def add_camera(self, camera: CameraSpec, width: int, height: int) -> None:
        """Add a camera, or set one anew."""
        request = pb.AddCameraReq(
            camera_prim=camera.prim_path,
            camera_pose=_pack_pose(camera.pose),
            focus_length=camera.focal_length_mm,
            horizontal_aperture=camera.horizontal_aperture_mm,
            vertical_aperture=camera.vertical_aperture_mm,
            width=width,
            height=height,
            is_local=camera.is_local,
        )
        self._done("add_camera", self._observation.add_camera, request, "success")

    def picture(self, prim_path: str) -> tuple[ImageArray, pb.CameraInfo]:
        """What a camera sees (height, width, 3) RGB, and its intrinsics.

        Raises:
            NoPictures: The server does not answer this call, as none since 3.0 does.
        """
        try:
            answer = self._ask("get_camera_data", self._cameras.get_camera_data, pb.GetCameraDataRequest(serial_no=prim_path))
        except GenieSimRefused as error:
            raise NoPictures(self.options.address, error.said) from error
        info, data = answer.color_info, answer.color_image.data
        channels = next((count for count in _CHANNELS if info.width * info.height * count == len(data) > 0), None)
        if channels is None:
            raise self._unusable("get_camera_data", f"{len(data)} bytes for a picture of {info.width}x{info.height}")
        image = np.frombuffer(data, dtype=np.uint8).reshape(info.height, info.width, channels)
        return np.ascontiguousarray(image[..., :3]), info

    def start_recording(self, task_name: str, cameras: Iterable[str], fps: int) -> None:
        """Let the server record; it must have been started with ``--publish_ros``."""
        wanted = pb.CameraRequest(camera_prim_list=list(cameras), additional_parameters=json.dumps({"noised_probability": 0.0}))
        request = pb.GetObservationReq(CameraReq=wanted, startRecording=True, fps=fps, task_name=task_name)
        self._done("get_observation", self._observation.get_observation, request, "Start", said="recordingState")

    def stop_recording(self) -> None:
        """End the recording."""
        request = pb.GetObservationReq(stopRecording=True)
        self._done("get_observation", self._observation.get_observation, request, "Stopped", said="recordingState")

    def note(self, state: Mapping[str, Any]) -> None:
        """Note something in the recording, at the present simulated time."""
        self._done("set_frame_state", self._observation.set_frame_state, pb.SetFrameStateReq(frame_state=json.dumps(state)), "success")

    def end_task(self, *, keep: bool) -> None:
        """Let the server write the recording out, or remove it. It then forgets which objects it records."""
        self._done("task_status", self._observation.task_status, pb.TaskStatusReq(isSuccess=keep), str(keep))

    def close(self) -> None:
        """Leave the server to another; its scene stays."""
        self._channel.close()

    def _done(
        self, name: str, call: Callable[..., Any], request: object, wanted: str, *, said: str = "msg", timeout_s: float | None = None
    ) -> None:
        """Make a call that answers with a text."""
        found = str(getattr(self._ask(name, call, request, timeout_s), said))
        if found != wanted:
            raise GenieSimRefused(self.options.address, name, found or "no text")

    def _ask(self, name: str, call: Callable[..., Any], request: object, timeout_s: float | None = None) -> Any:
        if self._outstanding is not None:
            raise AnswerOutstanding(self.options.address, self._outstanding)

        def refusal(error: grpc.RpcError) -> BlueprintError | None:
            code = error.code() if isinstance(error, grpc.Call) else None
            if code in _LOST:
                self._outstanding = name
            if code in {grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}:
                return GenieSimRefused(self.options.address, name, f"{code.name}, {error.details()}")
            return None

        return self._calls.make(name, lambda: call(request, timeout=timeout_s or self.options.call_timeout_s), refusal)

    def _pose(self, name: str, message: pb.SE3RpyPose) -> FloatArray:
        position, quat = message.position, message.rpy
        found = np.array([position.x, position.y, position.z, quat.rw, quat.rx, quat.ry, quat.rz])
        length = float(np.linalg.norm(found[3:]))
        if not np.isfinite(found).all() or abs(length - 1.0) > _UNIT:
            raise self._unusable(name, f"a pose of {found.tolist()}")
        found[3:] /= length
        return found

    def _unusable(self, name: str, problem: str) -> AnswerUnusable:
        return AnswerUnusable(self.options.address, name, problem)


class _Closed(grpc.RpcError):
    """A port that nothing listens on."""


def _commands(positions: Mapping[str, float]) -> list[pb.JointCommand]:
    return [pb.JointCommand(name=name, position=value) for name, value in positions.items()]


def _pack_pose(pose: Pose) -> pb.SE3RpyPose:
    x, y, z = pose.position_m
    rw, rx, ry, rz = pose.quat_wxyz
    return pb.SE3RpyPose(position=pb.Vec3(x=x, y=y, z=z), rpy=pb.Rpy(rw=rw, rx=rx, ry=ry, rz=rz))
