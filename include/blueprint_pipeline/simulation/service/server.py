"""Serve one simulator over gRPC: health, reflection, version, capabilities, and every call of the protocol.

A simulator is one engine with one loaded scene, and drawing contexts belong to a thread: so all its calls run on one
thread of their own, in the order in which they come.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from threading import Lock, Timer
from time import monotonic
from typing import Self, TypeVar

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from pydantic import ValidationError

from blueprint_pipeline.errors import BlueprintError, ConfigurationError, InputError
from blueprint_pipeline.log import get_logger
from blueprint_pipeline.simulation.protocol import Simulator
from blueprint_pipeline.simulation.service import messages
from blueprint_pipeline.simulation.service.bounds import MAX_MESSAGE_BYTES, MAX_READ_BYTES, MessageBound
from blueprint_pipeline.simulation.service.errors import SimulatorBusy
from blueprint_pipeline.simulation.service.listener import TlsListener
from blueprint_pipeline.simulation.service.refusals import refuse
from blueprint_pipeline.simulation.service.security import ServerTls, TokenCheck
from blueprint_pipeline.simulation.service.v1 import simulation_pb2 as pb
from blueprint_pipeline.simulation.service.v1 import simulation_pb2_grpc as rpc
from blueprint_pipeline.simulation.service.waiting import CallAbandoned, MessageWaits, await_answer

SERVICE = "blueprint.simulation.v1.SimulatorService"
SESSION_KEY = "blueprint-pipeline-session"
"""Metadata by which a caller is known again; without it, its connection is."""
SESSION_IDLE_S = 900.0
"""A caller that is silent for this long loses the simulator to the next one."""
ENGINE_HANGS_S = 300.0
"""An engine that works for so long [s] on a call that nobody waits for is taken for hung: the port closes, so that probes see it."""
FRAMES_A_STEP = 30
"""Frames between two looks at whether the caller still waits."""
MAX_IMAGE_SIDE = 2160

Answer = TypeVar("Answer")


class InsecureBinding(ConfigurationError):
    """A server without TLS would be reachable from outside of its pod."""

    code = "simulation.insecure_binding"
    template = (
        "Refusing to serve {address} without TLS: only a loopback address may go without. Give --certificate, "
        "--private-key and --client-ca, or bind to 127.0.0.1."
    )

    address: str


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where and how to serve."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free one."""
    tls: ServerTls | None = None
    """Without it only a loopback address is served."""
    tokens: TokenCheck | None = None
    """Checks the bearer token of every call but health."""


class InvalidCall(InputError):
    """A call's fields cannot be used."""

    code = "simulation.invalid_call"
    template = "The call cannot be used: {problem}."

    problem: str


class _Session:
    """Who uses the simulator now: one caller at a time, until it closes its scene or falls silent."""

    def __init__(self) -> None:
        self._owner = ""
        self._last_call_s = 0.0
        self._lock = Lock()

    def enter(self, context: grpc.ServicerContext) -> bool:
        """Let the owner of the session through, or make the caller its owner; ``True`` if it was not before.

        Raises:
            SimulatorBusy: Another caller owns it.
        """
        caller = dict(context.invocation_metadata()).get(SESSION_KEY, context.peer())
        with self._lock:
            idle_s = monotonic() - self._last_call_s
            if self._owner not in {"", caller} and idle_s < SESSION_IDLE_S:
                raise SimulatorBusy(idle_s)
            is_new = self._owner != caller
            self._owner, self._last_call_s = str(caller), monotonic()
            return is_new

    def leave(self) -> None:
        """Free the simulator for another caller."""
        with self._lock:
            self._owner = ""


class _Servicer(rpc.SimulatorServiceServicer):
    def __init__(self, simulator: Simulator, on_hung: Callable[[], None]) -> None:
        self._simulator = simulator
        self._on_hung = on_hung
        self._session = _Session()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="simulator")

    def _do(self, context: grpc.ServicerContext, call: Callable[[], Answer], *, begins: bool = False) -> Answer:
        """Let the engine do a call of the session.

        A call that began the session, or would have, ends it if it fails; so does any that its caller did not wait for.
        """
        ends_session = False
        try:
            ends_session = self._session.enter(context) or begins
            answer = self._ask_engine(context, call)
            ends_session = False
        except CallAbandoned as error:
            ends_session = True
            refuse(context, error)
        except BlueprintError as error:
            refuse(context, error)
        except (ValidationError, ValueError, KeyError) as error:
            refuse(context, InvalidCall(str(error)))
        finally:
            if ends_session:
                self._session.leave()
        return answer

    def _ask_engine(self, context: grpc.ServicerContext, call: Callable[[], Answer]) -> Answer:
        future = self._thread.submit(call)

        def watch_engine() -> None:
            timer = Timer(ENGINE_HANGS_S, self._on_hung)
            timer.daemon = True
            timer.start()
            future.add_done_callback(lambda _: timer.cancel())

        return await_answer(future, context, watch_engine)

    def Describe(self, _request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:
        try:
            found = self._ask_engine(context, self._simulator.capabilities)
        except BlueprintError as error:
            refuse(context, error)
        return pb.DescribeResponse(
            name=self._simulator.name, version=self._simulator.version, capabilities=messages.pack_capabilities(found)
        )

    def Load(self, request: pb.LoadRequest, context: grpc.ServicerContext) -> pb.LoadResponse:
        def load() -> pb.LoadResponse:
            return messages.pack_loaded(self._simulator.load(Path(request.scene), messages.unpack_robot(request), request.fps))

        return self._do(context, load, begins=True)

    def Vary(self, request: pb.VaryRequest, context: grpc.ServicerContext) -> pb.VaryResponse:
        def vary() -> pb.VaryResponse:
            self._simulator.vary(messages.unpack_variation(request))
            return pb.VaryResponse()

        return self._do(context, vary)

    def Reset(self, request: pb.ResetRequest, context: grpc.ServicerContext) -> pb.State:
        def reset() -> pb.State:
            poses = {name: messages.unpack_pose(pose) for name, pose in request.object_poses.items()}
            return messages.pack_state(self._simulator.reset(poses, tuple(request.robot_qpos)))

        return self._do(context, reset)

    def Track(self, request: pb.TrackRequest, context: grpc.ServicerContext) -> Iterator[pb.Frame]:
        setpoints = self._do(context, lambda: messages.unpack_matrix(request))
        for start in range(0, len(setpoints), FRAMES_A_STEP):
            if not context.is_active():
                get_logger().warning("caller is gone", call="Track", frame=start)
                self._session.leave()
                return
            part = setpoints[start : start + FRAMES_A_STEP]
            track = self._do(context, partial(self._simulator.track, part))
            yield from map(messages.pack_frame, track.states, track.contacts)

    def Observe(self, _request: pb.ObserveRequest, context: grpc.ServicerContext) -> pb.State:
        return self._do(context, lambda: messages.pack_state(self._simulator.observe()))

    def SaveState(self, _request: pb.SaveStateRequest, context: grpc.ServicerContext) -> pb.SavedState:
        return self._do(context, lambda: pb.SavedState(values=self._simulator.save_state()))

    def RestoreState(self, request: pb.SavedState, context: grpc.ServicerContext) -> pb.State:
        return self._do(context, lambda: messages.pack_state(self._simulator.restore_state(np.array(request.values))))

    def Render(self, request: pb.RenderRequest, context: grpc.ServicerContext) -> pb.Image:
        def render() -> pb.Image:
            if not (0 < request.width <= MAX_IMAGE_SIDE * 2 and 0 < request.height <= MAX_IMAGE_SIDE):
                asked = f"{request.width}x{request.height}"
                most = f"{MAX_IMAGE_SIDE * 2}x{MAX_IMAGE_SIDE}"
                raise InvalidCall(f"it asks for an image of {asked}; images of 1x1 to {most} pixels can be drawn")
            image = self._simulator.render(request.camera, request.width, request.height)
            return pb.Image(rgb=image.tobytes(), width=request.width, height=request.height)

        return self._do(context, render)

    def Close(self, _request: pb.CloseRequest, context: grpc.ServicerContext) -> pb.CloseResponse:
        self._do(context, self._simulator.close)
        self._session.leave()
        return pb.CloseResponse()


class SimulatorServer:
    """A running server; use it as a context manager, or call ``stop``."""

    def __init__(self, simulator: Simulator, options: ServerOptions) -> None:
        address = f"{options.host}:{options.port}"
        if options.tls is None and not ip_address(options.host).is_loopback:
            raise InsecureBinding(address)
        self._health = health.HealthServicer()
        interceptors: list[grpc.ServerInterceptor] = [options.tokens] if options.tokens else []
        self._waits = MessageWaits()
        # Whoever holds all threads of one service leaves the others theirs.
        pools = {
            f"/{health.SERVICE_NAME}/": ThreadPoolExecutor(max_workers=2, thread_name_prefix="health"),
            f"/{reflection.SERVICE_NAME}/": ThreadPoolExecutor(max_workers=2, thread_name_prefix="reflection"),
        }
        interceptors.append(MessageBound(self._waits, pools))
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=8, thread_name_prefix="rpc"),
            interceptors=interceptors,
            options=[("grpc.max_receive_message_length", MAX_READ_BYTES), ("grpc.max_send_message_length", MAX_MESSAGE_BYTES)],
        )
        rpc.add_SimulatorServiceServicer_to_server(_Servicer(simulator, self._close_for_hung_engine), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection([SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        self._door = TlsListener(options.host, options.port, options.tls) if options.tls else None
        bound = self._server.add_insecure_port(self._door.target if self._door else address)
        self.port = self._door.port if self._door else bound
        self.address = f"{options.host}:{self.port}"

    def start(self) -> Self:
        """Begin to serve, and say so to health checks."""
        self._waits.start()
        self._server.start()
        if self._door:
            self._door.start()
        for name in ("", SERVICE):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        get_logger().info("simulator served", address=self.address)
        return self

    def stop(self, grace_s: float = 5.0) -> None:
        """Tell health checks, let running calls end for ``grace_s``, then close."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        self._waits.stop()
        if self._door:
            self._door.stop()

    def _close_for_hung_engine(self) -> None:
        """Tell health checks, and close the port: a probe of it fails, and whoever runs the process starts it anew."""
        get_logger().error("the engine hangs: the port is closed", after_s=ENGINE_HANGS_S)
        for name in ("", SERVICE):
            self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        if self._door:
            self._door.stop()

    def wait(self) -> None:
        """Serve until stopped."""
        self._server.wait_for_termination()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()
