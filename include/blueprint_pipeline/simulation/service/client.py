"""A simulator that runs elsewhere: the ``Simulator`` protocol over ``blueprint.simulation.v1``."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from blueprint_pipeline.errors import BlueprintError, ConfigurationError
from blueprint_pipeline.geometry.arrays import FloatArray, ImageArray
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.simulation.errors import NotVaried
from blueprint_pipeline.simulation.guarded_calls import GuardedCalls, SimulatorUnreachable
from blueprint_pipeline.simulation.protocol import Capabilities, LoadedScene, SimulationState, Track
from blueprint_pipeline.simulation.service import messages
from blueprint_pipeline.simulation.service.bounds import MAX_MESSAGE_BYTES
from blueprint_pipeline.simulation.service.errors import RemoteSimulatorError, SimulatorBusy, rebuild_error, unpack_error
from blueprint_pipeline.simulation.service.replicas import open_channel, resolve_replicas
from blueprint_pipeline.simulation.service.security import ClientTls
from blueprint_pipeline.simulation.service.server import SERVICE, SESSION_KEY
from blueprint_pipeline.simulation.service.v1 import simulation_pb2 as pb
from blueprint_pipeline.simulation.service.v1 import simulation_pb2_grpc as rpc
from blueprint_pipeline.task.variation import PLAIN, Variation

IDEMPOTENT = ("Describe", "Load", "Vary", "Reset", "Observe", "SaveState", "RestoreState", "Render")
"""Calls that may be repeated; ``Track`` moves the world and is never retried."""
BUSY_PAUSE_S = 2.0
"""Between two rounds over servers that are all in use [s]."""

Answer = TypeVar("Answer")


class ReplicasDiffer(ConfigurationError):
    """Servers of one name serve different engines: which one acts would be chance."""

    code = "simulation.replicas_differ"
    template = "{address} stands for servers of {expected}, but {server} serves {found}. Give each engine an address of its own."

    address: str
    server: str
    found: str
    expected: str


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How to reach a served simulator."""

    address: str
    tls: ClientTls | None = None
    token: Callable[[], str] | None = None
    """Asked for a bearer token at each call, so that a rotated one counts at once."""
    call_timeout_s: float = 60.0
    """Deadline of a call that does not track."""
    restart_wait_s: float = 5.0
    """How long a call that may be repeated waits for a server that went away and comes back."""
    frame_timeout_s: float = 2.0
    """Deadline of a tracked frame; a trajectory gets the sum, and one call's deadline beside."""
    busy_wait_s: float = 0.0
    """How long to look for a server that no other caller uses; 0: each server of the name is asked once."""


class RemoteSimulator:
    """The ``Simulator`` protocol, over the wire. Every call has a deadline."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._channel, self._service = self._open(options.address)
        self._described: pb.DescribeResponse | None = None
        self._calls = GuardedCalls(options.address)
        self._session = uuid.uuid4().hex
        self._variation = PLAIN

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait until the server says that it serves.

        Raises:
            SimulatorUnreachable: It did not within ``timeout_s``.
        """
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        try:
            health = health_pb2_grpc.HealthStub(self._channel)
            answer = health.Check(request, timeout=timeout_s, wait_for_ready=True)  # type: ignore[attr-defined]  # set in __init__ by grpc
        except grpc.RpcError as error:
            raise self._calls.unreachable("Health", error) from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            raise SimulatorUnreachable(self._options.address, "Health", status, "the server does not serve now")

    @property
    def name(self) -> str:
        """Name of the engine that is served."""
        return self._describe().name

    @property
    def version(self) -> str:
        """Version of the engine that is served."""
        return self._describe().version

    def capabilities(self) -> Capabilities:
        """What the served engine promises."""
        return messages.unpack_capabilities(self._describe().capabilities)

    def load(self, scene: Path, robot: RobotPlacement, fps: int) -> LoadedScene:
        """Load a scene from a path that the server can read.

        Where other callers use the server, the others of the same name are asked, too.

        Raises:
            RemoteSimulatorError: The server refuses the scene, or every server is used by another caller, and stays so.
            SimulatorUnreachable: A server did not answer in time, and none that did became free.
            ReplicasDiffer: The servers of the name are not of one engine.
        """
        request = messages.pack_load(scene, robot, fps)
        self._variation = PLAIN
        until = monotonic() + self._options.busy_wait_s
        try:
            return messages.unpack_loaded(self._ask("Load", request))
        except RemoteSimulatorError as busy:
            if busy.code != SimulatorBusy.code:
                raise
            return messages.unpack_loaded(self._load_elsewhere(request, busy, until))

    def vary(self, variation: Variation) -> None:
        """Vary the scene from the next reset or restored state on; a scene as it was loaded needs no call.

        Raises:
            NotVaried: The served engine cannot do that.
        """
        if variation != self._variation:
            if not self.capabilities().varies:
                raise NotVaried(self.name, sorted(variation.model_dump(exclude_defaults=True)))
            self._ask("Vary", messages.pack_variation(variation))
            self._variation = variation

    def reset(self, object_poses: Mapping[str, Pose], robot_qpos: tuple[float, ...]) -> SimulationState:
        """Put everything where it starts."""
        poses = {name: messages.pack_pose(pose) for name, pose in object_poses.items()}
        request = pb.ResetRequest(object_poses=poses, robot_qpos=robot_qpos)
        return messages.unpack_state(self._ask("Reset", request))

    def track(self, setpoints: FloatArray) -> Track:
        """Execute setpoints (T, nu)."""
        request = pb.TrackRequest(setpoints=setpoints.ravel(), width=setpoints.shape[1])
        timeout_s = self._options.call_timeout_s + len(setpoints) * self._options.frame_timeout_s
        frames = self._call("Track", lambda: list(self._service.Track(request, **self._extras(timeout_s))))
        return Track(
            states=tuple(messages.unpack_state(frame.state) for frame in frames),
            contacts=tuple(messages.unpack_contacts(frame) for frame in frames),
        )

    def observe(self) -> SimulationState:
        """The present state."""
        return messages.unpack_state(self._ask("Observe", pb.ObserveRequest()))

    def save_state(self) -> FloatArray:
        """All that the next step depends on."""
        saved = self._ask("SaveState", pb.SaveStateRequest())
        return np.array(saved.values, dtype=np.float64)

    def restore_state(self, state: FloatArray) -> SimulationState:
        """Go back to a saved state."""
        request = pb.SavedState(values=state)
        return messages.unpack_state(self._ask("RestoreState", request))

    def render(self, camera: str, width: int, height: int) -> ImageArray:
        """Draw the present state."""
        request = pb.RenderRequest(camera=camera, width=width, height=height)
        return messages.unpack_image(self._ask("Render", request))

    def close(self) -> None:
        """Free the scene on the server, and the channel."""
        self._ask("Close", pb.CloseRequest())
        self._channel.close()

    def _load_elsewhere(self, request: pb.LoadRequest, busy: RemoteSimulatorError, until: float) -> pb.LoadResponse:
        """What the first server of the name answers that is free; those that are used are asked again until then."""
        engine, failed = self.name, dict[str, grpc.RpcError]()
        try:
            while True:
                waiting = False
                for target in resolve_replicas(self._options.address):
                    if target not in failed:
                        found = self._load_at(target, request, engine)
                        if isinstance(found, pb.LoadResponse):
                            return found
                        waiting |= found is None
                        failed |= {target: found} if found else {}
                if failed and (not waiting or monotonic() >= until):
                    raise self._calls.unreachable("Load", list(failed.values())[-1])
                if monotonic() >= until:
                    raise busy from None
                get_logger().info("every simulator is used by another caller", address=self._options.address, again_in_s=BUSY_PAUSE_S)
                sleep(BUSY_PAUSE_S)
        except BlueprintError:
            self._move(self._options.address)  # the next call may find another server of the name
            raise

    def _load_at(self, target: str, request: pb.LoadRequest, engine: str) -> pb.LoadResponse | grpc.RpcError | None:
        """What one server answers: ``None`` where another caller uses it, an error where it does not answer."""
        log = get_logger().bind(address=self._options.address, server=target)
        self._move(target)
        try:
            described = self._service.Describe(pb.DescribeRequest(), **self._extras())
            if described.name != engine:
                raise ReplicasDiffer(self._options.address, target, described.name, engine)
            found: pb.LoadResponse = self._service.Load(request, **self._extras())
        except grpc.RpcError as error:
            remote = unpack_error(error) if isinstance(error, grpc.Call) else None
            if remote is None:
                log.warning("a simulator did not answer, and is not asked again", said=self._calls.unreachable("Load", error).message)
                return error
            if remote["code"] != SimulatorBusy.code:
                raise rebuild_error(self._options.address, "Load", remote) from None
            log.info("a simulator is used by another caller", said=remote["message"])
            return None
        self._described = described
        return found

    def _move(self, target: str) -> None:
        """Speak to another server of the name from now on."""
        self._channel.close()
        self._channel, self._service = self._open(target)
        self._described = None

    def _open(self, target: str) -> tuple[grpc.Channel, rpc.SimulatorServiceStub]:
        arguments: list[tuple[str, object]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.service_config", json.dumps(_service_config())),
        ]
        channel = open_channel(self._options.address, target, self._options.tls, arguments)
        return channel, rpc.SimulatorServiceStub(channel)

    def _describe(self) -> pb.DescribeResponse:
        if self._described is None:
            self._described = self._ask("Describe", pb.DescribeRequest())
        return self._described

    def _ask(self, name: str, request: object) -> Any:
        """Make a call with one request and one answer."""
        return self._call(name, lambda: getattr(self._service, name)(request, **self._extras()))

    def _extras(self, timeout_s: float | None = None) -> dict[str, object]:
        token = self._options.token
        bearer = [("authorization", f"Bearer {token()}")] if token else []
        return {"timeout": timeout_s or self._options.call_timeout_s, "metadata": [(SESSION_KEY, self._session), *bearer]}

    def _call(self, name: str, call: Callable[[], Answer]) -> Answer:
        def refusal(error: grpc.RpcError) -> BlueprintError | None:
            remote = unpack_error(error) if isinstance(error, grpc.Call) else None
            return None if remote is None else rebuild_error(self._options.address, name, remote)

        return self._calls.make(name, lambda: self._repeat(name, call), refusal)

    def _repeat(self, name: str, call: Callable[[], Answer]) -> Answer:
        """Make a call; once more if the server was away, is back, and the call may be repeated."""
        try:
            return call()
        except grpc.RpcError as error:
            away = isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.UNAVAILABLE
            if name not in IDEMPOTENT or not away:
                raise
            try:
                self.wait_until_ready(self._options.restart_wait_s)
            except SimulatorUnreachable:
                raise error from None
            return call()


def _service_config() -> dict[str, object]:
    """Retries of calls that may be repeated, by gRPC itself.

    Source: gRPC proposal A6, client retries.
    """
    policy = {
        "maxAttempts": 5,
        "initialBackoff": "0.5s",
        "maxBackoff": "3s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {"methodConfig": [{"name": [{"service": SERVICE, "method": name} for name in IDEMPOTENT], "retryPolicy": policy}]}
