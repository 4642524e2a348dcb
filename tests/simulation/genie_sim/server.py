"""A server that speaks ``aimdk.protocol`` on a real socket, over MuJoCo, with the habits of Genie Sim's own (v3.2.0, 0e659ad).

Its habits: the simulation runs by itself; one command is worked on after each physics step, and there is one place for it; what fails in
a command becomes a text, which calls without a text swallow or stumble over; joints that are set without ``is_trajectory`` jump; with it,
values go to the drives in the server's order, whatever names say; a prim that is not there has the origin's pose; poses are float32;
objects keep their velocity where they are put; hands only open and close, and block; pictures are not given; a recording is written after
``task_status``, by another thread, and is removed after a failure. This is a stand-in: it proves how we call and what we make of the
answers.
"""

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np

from blueprint_pipeline.simulation.genie_sim.aimdk import protocol_pb2 as pb
from blueprint_pipeline.simulation.genie_sim.aimdk import protocol_pb2_grpc as rpc
from tests.simulation.genie_sim.recording import Bag
from tests.simulation.genie_sim.world import DOFS, World

MAX_MESSAGE_BYTES = 16_094_304
STILL_RAD = 0.01
LOOK_S = 0.1
"""A hand stands if its finger moved less than that in so long."""


@dataclass
class Faults:
    """What goes wrong."""

    slow_s: float = 0.0
    """Every command takes so long."""
    dies_after: int | None = None
    """The process is gone after so many commands."""
    joints_lost: int = 0
    """So many joints are missing from what it tells."""
    nan_pose: bool = False
    black: bool = False
    hurried: int = 0
    """So many physics steps pass unasked between two commands."""
    swallows_joints: bool = False
    no_recording: bool = False
    forgets_object: bool = False


@dataclass
class GenieSimServer:
    """The server. It steps when a command waits, or after ``patience_s``: a step of the real one takes longer than a caller needs."""

    recordings: Path
    physics_hz: int = 480
    patience_s: float = 0.5
    gives_pictures: bool = False
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self):
        self.world = None
        self.loads = 0
        self.handled = []
        self.cameras = {}
        self.recorded_objects = []
        self.bag = None
        self.notes = []
        self._slot = None
        self._condition = threading.Condition()
        self._stop = False
        options = [("grpc.max_send_message_length", MAX_MESSAGE_BYTES), ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
        self._server = grpc.server(ThreadPoolExecutor(max_workers=10), options=options)
        rpc.add_JointControlServiceServicer_to_server(Joints(self), self._server)
        rpc.add_SimObjectServiceServicer_to_server(Objects(self), self._server)
        rpc.add_SimGripperServiceServicer_to_server(Grippers(self), self._server)
        rpc.add_CameraServiceServicer_to_server(Cameras(self), self._server)
        rpc.add_SimObservationServiceServicer_to_server(Observation(self), self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._server.start()
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._stop = True
        self._server.stop(0).wait()
        self._thread.join()

    def do(self, command, data=None):
        """As ``blocking_start_server``: put the command into the one place, and wait; overlapping calls are not kept apart."""
        with self._condition:
            self._slot = [command, data, None]
            mine = self._slot
            self._condition.notify_all()
            while mine[2] is None and not self._stop:
                self._condition.wait(0.5)
        return mine[2]

    def _run(self):
        while not self._stop:
            with self._condition:
                self._condition.wait_for(lambda: self._slot is not None or self._stop, timeout=self.patience_s)
            for _ in range(1 + self.faults.hurried):
                self._step()
            with self._condition:
                slot = self._slot
                if slot is None:
                    continue
                answer = self._work(slot)
                if answer is not None:
                    slot[2], self._slot = answer, None
                    self._condition.notify_all()

    def _step(self):
        if self.world is None:
            return
        self.world.step()
        if self.bag is not None:
            self.bag.sample(self.world, self.recorded_objects)

    def _work(self, slot):
        """The command's answer; ``None``: it goes on in the next step."""
        command, data, _ = slot
        if len(self.handled) == 0 or self.handled[-1] is not slot:
            self.handled.append(slot)
            time.sleep(self.faults.slow_s)
            if self.faults.dies_after is not None and len(self.handled) > self.faults.dies_after:
                threading.Thread(target=self._server.stop, args=(0,)).start()
                time.sleep(0.2)
        try:
            return command(data)
        except Exception as error:  # noqa: BLE001 -- as the server's own loop does: whatever fails becomes a text
            return f"ERROR: {error}"

    def names(self):
        return DOFS[: len(DOFS) - self.faults.joints_lost] if self.faults.joints_lost else DOFS

    # Commands, run by the simulation's thread.

    def init_robot(self, request):
        joints = {item.name: item.position for item in request.joint_cmd}
        if not Path(request.scene_usd_path).is_file():
            raise FileNotFoundError(request.scene_usd_path)
        if self.world is not None:
            raise RuntimeError("a second scene would be added to the first")
        self.world = World(request.scene_usd_path, unpack(request.robot_pose), joints, self.physics_hz)
        self.loads += 1
        return "success"

    def set_joints(self, data):
        names, values, is_trajectory = data
        if unknown := [name for name in names if name not in DOFS]:
            raise KeyError(unknown[0])
        if self.faults.swallows_joints:
            raise RuntimeError("the articulation is not initialized")
        if not is_trajectory:
            self.world.teleport(dict(zip(names, values, strict=True)))
            return "move joints"
        if len(values) != len(DOFS):
            raise ValueError(f"operands could not be broadcast together with shapes ({len(values)},) ({len(DOFS)},)")
        self.world.targets = dict(zip(DOFS, values, strict=True))
        return "move_joints"

    def gripper(self, data):
        """Blocks until the driven finger stands, looked at ten times a second."""
        side, command = data
        if command not in {"open", "close"}:
            raise ValueError(f"action {command} is not defined for ParallelGripper")
        world = self.world
        moving = getattr(self, "_moving", None)
        if moving is None:
            world.hands[side] = "open" if command == "open" else "closed"
            self._moving = [world.time_s, np.inf]
            return None
        if world.time_s - moving[0] < LOOK_S:
            return None
        outer = {"left": "idx41_gripper_l_outer_joint1", "right": "idx81_gripper_r_outer_joint1"}[side]
        now = world.joints()[outer][0]
        if abs(now - moving[1]) <= STILL_RAD:
            self._moving = None
            return "gripper moving"
        self._moving = [world.time_s, now]
        return None

    def add_object(self, request):
        self.recorded_objects.append(request.prim_path)
        self.world.put(request.prim_path, unpack(request.object_pose))
        return "object added"

    def object_pose(self, path):
        if path == "robot":
            if self.world is None:
                raise KeyError("robot")
            return np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
        pose = self.world.pose(path)
        if self.faults.nan_pose and "clock" not in path and "mark" not in path:
            pose[2] = np.nan
        return pose[:3], pose[3:]

    def set_poses(self, poses):
        for path, pose in poses:
            self.world.put(path, pose)
        return "success"

    def start_recording(self, request):
        if not request.task_name or any(not (letter.isalnum() or letter in "_.[]-") for letter in request.task_name):
            raise ValueError(f"Invalid task_name: {request.task_name!r}")
        for path in request.CameraReq.camera_prim_list:
            self.cameras[path]
        self.bag = Bag(self.recordings / request.task_name, request.fps)
        return "Start"

    def task_status(self, keep):
        bag, self.last_bag = self.bag, self.bag
        self.bag = None
        objects, self.recorded_objects = self.recorded_objects, []
        if bag is not None and keep and not self.faults.no_recording:
            lost = objects[0].rpartition("/")[2] if self.faults.forgets_object else None
            threading.Thread(target=bag.extract, args=(list(self.notes), lost)).start()
        elif bag is not None:
            shutil.rmtree(bag.folder, ignore_errors=True)
        return str(keep)


class Service:
    """Handlers that block on the simulation's thread."""

    def __init__(self, server):
        self.server = server


class Joints(Service, rpc.JointControlServiceServicer):
    """``JointControlService``."""

    def get_joint_position(self, _request, _context):
        joints = self.server.do(lambda _: {name: self.server.world.joints()[name][0] for name in self.server.names()})
        return pb.GetJointRsp(states=[pb.JointState(name=name, position=joints[name]) for name in joints])

    def set_joint_position(self, request, _context):
        finite = [item for item in request.commands if np.isfinite(item.position)]
        data = ([item.name for item in finite], [item.position for item in finite], request.is_trajectory)
        self.server.do(self.server.set_joints, data)
        return pb.SetJointRsp(errmsg="Move Joint")

    def get_ee_pose(self, request, _context):
        pose = self.server.do(lambda _: self.server.world.tool("right" if request.is_right else "left"))
        return pb.GetEEPoseRsp(ee_pose=pack(pose[:3], pose[3:]))


class Objects(Service, rpc.SimObjectServiceServicer):
    """``SimObjectService``."""

    def add_object(self, request, _context):
        self.server.do(self.server.add_object, request)
        return pb.AddObjectRsp(label_name=request.label_name)

    def get_object_pose(self, request, _context):
        position, rotation = self.server.do(self.server.object_pose, request.prim_path)
        return pb.GetObjectPoseRsp(prim_path=request.prim_path, object_pose=pack(position, rotation))


class Grippers(Service, rpc.SimGripperServiceServicer):
    """``SimGripperService``."""

    def set_gripper_state(self, request, _context):
        side = "right" if request.is_right else "left"
        said = self.server.do(self.server.gripper, (side, request.gripper_command))
        return pb.SetGripperStateRsp(msg=f"{side} {said}")


class Cameras(Service, rpc.CameraServiceServicer):
    """``CameraService``."""

    def get_camera_data(self, request, _context):
        """Released servers know no such command: a text comes where a picture is expected, and the handler stumbles."""

        def command(_):
            if not self.server.gives_pictures:
                raise ValueError("Invalid command: 1")
            spec = self.server.cameras[request.serial_no]
            image = self.server.world.draw(request.serial_no, spec)
            return {"image": np.zeros_like(image) if self.server.faults.black else image, "spec": spec}

        found = self.server.do(command)
        spec, image = found["spec"], found["image"]
        height, width = image.shape[:2]
        info = pb.CameraInfo(
            width=width,
            height=height,
            ppx=width / 2,
            ppy=height / 2,
            fx=width * spec["focus_length"] / spec["horizontal_aperture"],
            fy=height * spec["focus_length"] / spec["vertical_aperture"],
        )
        return pb.GetCameraDataResponse(
            serial_no=request.serial_no, color_info=info, color_image=pb.CompressedImage(format="rgb", data=image.tobytes())
        )


class Observation(Service, rpc.SimObservationServiceServicer):
    """``SimObservationService``."""

    def init_robot(self, request, _context):
        return pb.InitRobotRsp(msg=self.server.do(self.server.init_robot, request))

    def reset(self, _request, _context):
        return pb.ResetRsp(msg=self.server.do(lambda _: "reset"))

    def add_camera(self, request, _context):
        spec = {
            name: getattr(request, name)
            for name in ("focus_length", "horizontal_aperture", "vertical_aperture", "width", "height", "is_local")
        }
        spec["pose"] = unpack(request.camera_pose)

        def command(_):
            self.server.cameras[request.camera_prim] = spec
            return "success"

        return pb.AddCameraRsp(msg=self.server.do(command))

    def set_object_pose(self, request, _context):
        poses = [(item.prim_path, unpack(item.pose)) for item in request.object_pose]
        return pb.SetObjectPoseRsp(msg=self.server.do(self.server.set_poses, poses))

    def get_observation(self, request, _context):
        def command(_):
            if request.startRecording:
                return self.server.start_recording(request)
            if request.stopRecording:
                return "Stopped"
            raise ValueError("Invalid command: GetObservation is not supported")

        return pb.GetObservationRsp(recordingState=self.server.do(command))

    def set_frame_state(self, request, _context):
        def command(_):
            self.server.notes.append({"time_stamp": self.server.world.time_s, "frame_state": json.loads(request.frame_state)})
            return "success"

        return pb.SetFrameStateRsp(msg=self.server.do(command))

    def task_status(self, request, _context):
        return pb.TaskStatusRsp(msg=self.server.do(self.server.task_status, request.isSuccess))


def pack(position, quat):
    x, y, z = map(float, position)
    rw, rx, ry, rz = map(float, quat)
    return pb.SE3RpyPose(position=pb.Vec3(x=x, y=y, z=z), rpy=pb.Rpy(rw=rw, rx=rx, ry=ry, rz=rz))


def unpack(pose):
    position, quat = pose.position, pose.rpy
    return [position.x, position.y, position.z, quat.rw, quat.rx, quat.ry, quat.rz]
