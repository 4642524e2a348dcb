"""Nobody can hold the server: messages that never come, streams that stay open, calls that nobody waits for, failed calls."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from blueprint_pipeline.simulation.guarded_calls import SimulatorUnreachable
from blueprint_pipeline.simulation.service import server as server_module
from blueprint_pipeline.simulation.service import waiting
from blueprint_pipeline.simulation.service.client import ClientOptions, RemoteSimulator
from blueprint_pipeline.simulation.service.errors import RemoteSimulatorError, unpack_error
from blueprint_pipeline.simulation.service.server import SERVICE, ServerOptions, SimulatorServer
from tests.simulation.service.test_service import POSE, ROBOT

THREADS = 8


@pytest.fixture
def server(simulator, monkeypatch):
    """Messages are waited for half a second."""
    monkeypatch.setattr(waiting.MessageWaits.__init__, "__defaults__", (0.5,))
    with SimulatorServer(simulator, ServerOptions()) as running:
        yield running


def client_of(server, timeout_s=5.0):
    return RemoteSimulator(ClientOptions(address=server.address, call_timeout_s=timeout_s, restart_wait_s=0.1))


def health(channel, timeout=3):
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=timeout).status


def never():
    """Requests of which none comes."""
    threading.Event().wait(20)
    yield b""


@pytest.mark.parametrize("method", ["Observe", "Track"])
def test_messages_that_never_come_are_given_up(server, method):
    """More open calls than threads: they are ended, health answers meanwhile, and the next caller is served."""
    with grpc.insecure_channel(server.address) as channel:
        calls = [channel.stream_stream(f"/{SERVICE}/{method}")(never(), timeout=15) for _ in range(2 * THREADS)]
        assert health(channel) == health_pb2.HealthCheckResponse.SERVING
        assert client_of(server).name == "point"
        assert {call.code() for call in calls} <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.INVALID_ARGUMENT}


def test_open_reflection_streams_hold_nobody(server):
    with grpc.insecure_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")

        def stay():
            yield ask
            threading.Event().wait(20)

        streams = [stub.ServerReflectionInfo(stay(), timeout=15) for _ in range(2 * THREADS)]
        assert health(channel) == health_pb2.HealthCheckResponse.SERVING
        assert client_of(server).name == "point"
        assert SERVICE in {service.name for service in next(streams[-1]).list_services_response.service}


def test_calls_that_nobody_waits_for_free_their_threads(server, simulator):
    """An engine that hangs: eight callers give up, and health still answers."""
    simulator.block.clear()
    try:
        with ThreadPoolExecutor(THREADS) as callers:

            def ask(_):
                with pytest.raises((SimulatorUnreachable, RemoteSimulatorError)):
                    RemoteSimulator(ClientOptions(address=server.address, call_timeout_s=0.2, frame_timeout_s=0.1)).track(np.zeros((1, 2)))

            list(callers.map(ask, range(2 * THREADS)))
        with grpc.insecure_channel(server.address) as channel:
            assert health(channel) == health_pb2.HealthCheckResponse.SERVING
    finally:
        simulator.block.set()


def test_an_engine_that_hangs_is_seen_by_health(server, simulator, monkeypatch):
    monkeypatch.setattr(server_module, "ENGINE_HANGS_S", 0.3)
    simulator.block.clear()
    try:
        with pytest.raises(SimulatorUnreachable):
            RemoteSimulator(ClientOptions(address=server.address, call_timeout_s=0.2, frame_timeout_s=0.1)).track(np.zeros((1, 2)))
        deadline = time.monotonic() + 10
        with grpc.insecure_channel(server.address) as channel:
            while health(channel) != health_pb2.HealthCheckResponse.NOT_SERVING:
                assert time.monotonic() < deadline, "health did not see it"
                time.sleep(0.1)
    finally:
        simulator.block.set()


def test_a_failed_load_frees_the_simulator(server, scene_path):
    """Fifty callers whose scene is missing: the next one is served."""
    for _ in range(50):
        with pytest.raises(RemoteSimulatorError, match="no scene"):
            client_of(server).load(scene_path.parent / "missing", ROBOT, 30)
    assert client_of(server).load(scene_path, ROBOT, 30).fps == 30


def test_a_failed_call_keeps_the_session_of_who_has_a_scene(server, scene_path):
    first = client_of(server)
    first.load(scene_path, ROBOT, 30)
    with pytest.raises(RemoteSimulatorError):
        first.render("scene", 0, 0)
    with pytest.raises(RemoteSimulatorError, match="used by another caller"):
        client_of(server).load(scene_path, ROBOT, 30)
    assert first.reset({"can": POSE}, (0.1, 0.2)).qpos.shape == (2,)


@pytest.mark.parametrize("method", ["Load", "Reset", "Track", "Render"])
def test_bytes_that_are_no_message_are_refused_in_words(server, method):
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_stream(f"/{SERVICE}/{method}")(b"\xff\xff\xff\xff", timeout=5)
        assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert unpack_error(call)["code"] == "simulation.message_malformed"


def test_a_caller_that_went_away_in_the_middle_frees_the_simulator(server, simulator, scene_path):
    """Its deadline is over while the engine works: nobody waits fifteen minutes for it."""
    gone = RemoteSimulator(ClientOptions(address=server.address, call_timeout_s=0.3, frame_timeout_s=0.1))
    gone.load(scene_path, ROBOT, 30)
    simulator.block.clear()
    with pytest.raises(SimulatorUnreachable):
        gone.track(np.zeros((1, 2)))
    time.sleep(0.6)
    simulator.block.set()
    assert client_of(server).load(scene_path, ROBOT, 30).fps == 30
