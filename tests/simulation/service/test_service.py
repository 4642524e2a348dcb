"""A served simulator answers as it does in process; whatever is wrong is refused with its own words."""

import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.placement import MountOffset, RobotPlacement, View
from blueprint_pipeline.simulation.errors import NotVaried
from blueprint_pipeline.simulation.guarded_calls import BREAKER_FAILURES, BreakerOpen, SimulatorUnreachable
from blueprint_pipeline.simulation.service import messages
from blueprint_pipeline.simulation.service.bounds import MAX_MESSAGE_BYTES
from blueprint_pipeline.simulation.service.client import (
    ClientOptions,
    RemoteSimulator,
    ReplicasDiffer,
)
from blueprint_pipeline.simulation.service.errors import RemoteSimulatorError
from blueprint_pipeline.simulation.service.server import SERVICE, InsecureBinding, ServerOptions, SimulatorServer
from blueprint_pipeline.task.variation import PLAIN, Backdrop, SurfaceTexture, Variation

POSE = Pose(position_m=(1.0, 2.0, 3.0), quat_wxyz=(1.0, 0.0, 0.0, 0.0))
ROBOT = RobotPlacement(embodiment="franka_panda", base_pose=POSE, foot_m=0.25)


@pytest.fixture
def server(simulator):
    with SimulatorServer(simulator, ServerOptions()) as running:
        yield running


@pytest.fixture
def remote(server):
    client = RemoteSimulator(ClientOptions(address=server.address, call_timeout_s=5))
    client.wait_until_ready(5)
    return client


def test_describes_itself(remote, simulator):
    """Name, version and capabilities are the served engine's."""
    assert (remote.name, remote.version) == ("point", "1.2")
    assert remote.capabilities() == simulator.capabilities()


def test_load_crosses_the_wire(remote, simulator, scene_path):
    """What was loaded comes back whole."""
    assert remote.load(scene_path, ROBOT, 30) == simulator.load(scene_path, ROBOT, 30)


def test_a_variation_crosses_the_wire_once(remote, simulator, scene_path):
    """Whole; a scene that stays as it was loaded, or as it was varied, costs no call; what is loaded anew is plain again."""
    view = View(position_m=(0.1, -1.2, 1.4), quat_wxyz=(0.5, 0.5, 0.5, 0.5), fovy_deg=41.5)
    looks = {"light_level": 0.7, "light_tint": (1.1, 1.0, 0.9), "light_turn_rad": -0.4, "tints": {"table": (0.5, 0.6, 0.7)}}
    wood = SurfaceTexture(kind="wood", seed=2**32 - 1, cells=7, turned=True, low_rgb=(0.1, 0.2, 0.3), high_rgb=(0.4, 0.5, 0.6))
    mount = MountOffset(shift_m=(0.001, -0.002, 0.003), turn_quat_wxyz=(0.5, 0.5, -0.5, 0.5), widening=1.01)
    pictures = {
        "mounts": {"wrist": mount},
        "textures": {"top": wood},
        "backdrop": Backdrop(above_rgb=(0.9, 0.8, 0.7), below_rgb=(0.3, 0.2, 0.1)),
    }
    variation = Variation(view=view, friction=1.25, masses={"can": 0.8}, **looks, **pictures)
    remote.load(scene_path, ROBOT, 30)
    remote.vary(PLAIN)
    assert not hasattr(simulator, "varied")
    remote.vary(variation)
    assert simulator.varied == variation
    simulator.varied = None
    remote.vary(variation)
    assert simulator.varied is None
    remote.load(scene_path, ROBOT, 30)
    remote.vary(variation)
    assert simulator.varied == variation


def test_an_engine_that_varies_nothing_is_not_asked(remote, simulator, scene_path, monkeypatch):
    promised = simulator.capabilities().model_copy(update={"varies": False})
    monkeypatch.setattr(simulator, "capabilities", lambda: promised)
    remote.load(scene_path, ROBOT, 30)
    with pytest.raises(NotVaried, match=r"point cannot vary a scene .*friction"):
        remote.vary(Variation(friction=0.9))
    assert not hasattr(simulator, "varied")


@pytest.mark.parametrize("view", [None, View(position_m=(0.1, -1.2, 1.4), quat_wxyz=(0.5, 0.5, 0.5, 0.5), fovy_deg=41.5)])
def test_the_robots_place_and_view_cross_the_wire(view):
    robot = ROBOT.model_copy(update={"view": view})
    assert messages.unpack_robot(messages.pack_load(Path("/scenes/a"), robot, 30)) == robot


def test_states_keep_every_bit(remote, simulator):
    """float64 goes through unrounded, and tracked frames come in order with their contacts."""
    setpoints = np.random.default_rng(0).normal(size=(70, 2)) * np.pi
    remote.reset({"can": POSE}, (0.1, 0.2))
    track = remote.track(setpoints)
    assert np.array_equal([state.qpos for state in track.states], setpoints)
    assert track.contacts[3][0].bodies == "a|b"
    saved = remote.save_state()
    assert np.array_equal(saved, simulator.save_state())
    assert np.array_equal(remote.restore_state(saved).qpos, setpoints[-1])


def test_image_crosses_the_wire(remote, simulator):
    """Pixels are the served engine's own."""
    assert np.array_equal(remote.render("scene", 8, 4), simulator.render("scene", 8, 4))


def test_all_calls_run_on_one_thread(remote, simulator):
    """Drawing contexts belong to a thread: the engine never sees another."""
    for _ in range(5):
        remote.observe()
        remote.track(np.zeros((1, 2)))
    assert len(simulator.threads) == 1


def test_refusal_keeps_code_and_words(remote):
    """An error of the engine reaches the caller with its own code, not as a broken connection."""
    with pytest.raises(RemoteSimulatorError, match="no scene at /missing") as caught:
        remote.load("/missing", ROBOT, 30)
    assert caught.value.code == "sample.bad_input"
    assert not caught.value.retryable


@pytest.mark.parametrize("size", [(0, 4), (8, 100_000)])
def test_image_size_is_bounded(remote, size):
    """A picture that nobody could draw is refused before it is tried."""
    with pytest.raises(RemoteSimulatorError, match="asks for an image of"):
        remote.render("scene", *size)


def test_malformed_pose_is_refused(server):
    """A pose with too few numbers is an error that names the field."""
    from blueprint_pipeline.simulation.service.v1 import simulation_pb2 as pb
    from blueprint_pipeline.simulation.service.v1 import simulation_pb2_grpc as rpc

    stub = rpc.SimulatorServiceStub(grpc.insecure_channel(server.address))
    with pytest.raises(grpc.RpcError) as caught:
        stub.Load(pb.LoadRequest(scene="/s", base_pose=pb.Pose(position_m=[1])), timeout=5)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "position_m" in caught.value.details()


def test_oversized_message_is_refused(remote):
    """A message over the bound does not reach the engine."""
    with pytest.raises(SimulatorUnreachable, match="RESOURCE_EXHAUSTED"):
        remote.restore_state(np.zeros(MAX_MESSAGE_BYTES // 8 + 1))


def test_deadline_ends_a_call_that_hangs(server, simulator):
    """A stuck engine costs the caller its deadline and no more."""
    simulator.block.clear()
    client = RemoteSimulator(ClientOptions(address=server.address, call_timeout_s=0.3, frame_timeout_s=0.1))
    begun = time.monotonic()
    with pytest.raises(SimulatorUnreachable, match="DEADLINE_EXCEEDED"):
        client.track(np.zeros((1, 2)))
    assert time.monotonic() - begun < 5
    simulator.block.set()


def test_server_stops_working_for_a_caller_that_is_gone(server, simulator):
    """When the deadline passes, the frames behind it are not simulated."""
    simulator.block.clear()
    client = RemoteSimulator(ClientOptions(address=server.address, call_timeout_s=0.2, frame_timeout_s=0.0))
    with pytest.raises(SimulatorUnreachable):
        client.track(np.ones((300, 2)))
    simulator.block.set()
    time.sleep(0.5)
    assert simulator.time_s < 150 / 30


def test_breaker_opens_and_says_so():
    """After repeated failures calls are held back instead of piling up."""
    client = RemoteSimulator(ClientOptions(address="127.0.0.1:1", call_timeout_s=0.2, restart_wait_s=0.1))
    for _ in range(BREAKER_FAILURES - 1):
        with pytest.raises(SimulatorUnreachable):
            client.observe()
    with pytest.raises((BreakerOpen, SimulatorUnreachable)):
        client.observe()
    with pytest.raises(BreakerOpen):
        client.observe()


def test_unary_calls_survive_a_restart(simulator):
    """A call that may be repeated waits out a short absence of the server."""
    first = SimulatorServer(simulator, ServerOptions()).start()
    client = RemoteSimulator(ClientOptions(address=first.address, call_timeout_s=10))
    client.wait_until_ready(5)
    first.stop(0)
    again = []  # gRPC ends a server that nobody holds
    timer = threading.Timer(0.5, lambda: again.append(SimulatorServer(simulator, ServerOptions(port=first.port)).start()))
    timer.start()
    assert client.observe().time_s == 0.0
    timer.join()
    again[0].stop(0)


def test_reflection_lists_the_service(server):
    """A person with grpcurl can see what is served."""
    stub = reflection_pb2_grpc.ServerReflectionStub(grpc.insecure_channel(server.address))
    answers = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5)
    assert SERVICE in {service.name for service in next(answers).list_services_response.service}


def test_plain_text_outside_of_loopback_is_refused(simulator):
    """Without TLS nothing but the pod itself may connect."""
    with pytest.raises(InsecureBinding, match=r"0\.0\.0\.0"):
        SimulatorServer(simulator, ServerOptions(host="0.0.0.0"))


def test_one_simulator_acts_for_one_caller(server, remote, scene_path):
    """A second caller cannot take the scene of the first; after its close it can load its own."""
    remote.load(scene_path, ROBOT, 30)
    second = RemoteSimulator(ClientOptions(address=server.address, call_timeout_s=5))
    assert second.name == "point"
    with pytest.raises(RemoteSimulatorError, match="used by another caller") as caught:
        second.load(scene_path, ROBOT, 30)
    assert (caught.value.code, caught.value.retryable) == ("simulation.busy", True)
    remote.close()
    assert second.load(scene_path, ROBOT, 30).fps == 30


@pytest.fixture
def replicas(simulator, monkeypatch):
    """Two servers that one name stands for, on one port of two addresses of this machine."""
    with (
        SimulatorServer(type(simulator)(), ServerOptions()) as first,
        SimulatorServer(simulator, ServerOptions(host="127.0.0.2", port=first.port)),
    ):
        places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, first.port)) for host in ("127.0.0.1", "127.0.0.2")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_asked, **_options: places)
        yield first.address


def test_a_caller_finds_the_free_server_of_a_name(replicas, scene_path):
    """Each caller has one server to itself for the whole session; the one too many is refused, or waits for its turn."""
    clients = [RemoteSimulator(ClientOptions(address=replicas, call_timeout_s=5)) for _ in range(2)]
    for number, client in enumerate(clients):
        client.load(scene_path, ROBOT, 30)
        client.reset({}, (number, number))
    assert [client.observe().qpos[0] for client in clients] == [0, 1]
    with pytest.raises(RemoteSimulatorError, match="used by another caller"):
        RemoteSimulator(ClientOptions(address=replicas, call_timeout_s=5)).load(scene_path, ROBOT, 30)
    waiting = RemoteSimulator(ClientOptions(address=replicas, call_timeout_s=5, busy_wait_s=20))
    threading.Timer(1.0, clients[1].close).start()
    assert waiting.load(scene_path, ROBOT, 30).fps == 30
    assert clients[0].observe().qpos[0] == 0


def test_a_free_server_that_refuses_the_scene_says_why(replicas, scene_path):
    RemoteSimulator(ClientOptions(address=replicas, call_timeout_s=5)).load(scene_path, ROBOT, 30)
    with pytest.raises(RemoteSimulatorError, match="no scene at /missing"):
        RemoteSimulator(ClientOptions(address=replicas, call_timeout_s=5)).load(Path("/missing"), ROBOT, 30)


@pytest.fixture
def beside_busy(simulator, monkeypatch, scene_path):
    """Serves a simulator beside one that is used; the name's address, and who uses the other."""
    monkeypatch.setattr("blueprint_pipeline.simulation.service.client.BUSY_PAUSE_S", 0.1)
    with ExitStack() as servers:
        used = servers.enter_context(SimulatorServer(type(simulator)(), ServerOptions()))
        user = RemoteSimulator(ClientOptions(address=used.address))
        user.load(scene_path, ROBOT, 30)
        hosts = ["127.0.0.1", "127.0.0.2"]
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda *_asked, **_options: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, used.port)) for host in hosts],
        )

        def serve(other=None):
            if other is not None:
                servers.enter_context(SimulatorServer(other, ServerOptions(host="127.0.0.2", port=used.port)))
            return used.address, user, hosts

        yield serve


def test_a_slow_server_is_asked_once_and_named(beside_busy, simulator, scene_path):
    """It would begin to load anew each time; that it is slow is not told as that it is used."""
    loads, load = [], simulator.load
    simulator.load = lambda *request: (loads.append(request), time.sleep(1.5), load(*request))[-1]
    address, _, _ = beside_busy(simulator)
    with pytest.raises(SimulatorUnreachable, match="did not answer Load: DEADLINE_EXCEEDED"):
        RemoteSimulator(ClientOptions(address=address, call_timeout_s=1, busy_wait_s=4)).load(scene_path, ROBOT, 30)
    assert len(loads) == 1


def test_beside_a_server_that_is_away_the_used_one_is_waited_for(beside_busy, scene_path):
    address, user, _ = beside_busy()
    threading.Timer(1.0, user.close).start()
    waiting = RemoteSimulator(ClientOptions(address=address, call_timeout_s=2, busy_wait_s=20))
    assert waiting.load(scene_path, ROBOT, 30).fps == 30


def test_where_no_server_is_used_nobody_waits(beside_busy, scene_path):
    """The used one went away, and the other does not answer: waiting would help nothing."""
    address, _, hosts = beside_busy()
    remote = RemoteSimulator(ClientOptions(address=address, call_timeout_s=2, busy_wait_s=600))
    hosts.remove("127.0.0.1")
    began = time.monotonic()
    with pytest.raises(SimulatorUnreachable, match="did not answer Load"):
        remote.load(scene_path, ROBOT, 30)
    assert time.monotonic() - began < 60
    assert remote.name == "point"  # it speaks to the name again, not to the server that does not answer


def test_a_server_of_another_engine_is_not_loaded(beside_busy, simulator, scene_path):
    """Who opened the simulator asked the first server alone what it is."""
    simulator.name = "other"
    loads = []
    simulator.load = lambda *request: loads.append(request)
    address, _, _ = beside_busy(simulator)
    with pytest.raises(ReplicasDiffer, match=r"stands for servers of point, but 127\.0\.0\.2:\d+ serves other"):
        RemoteSimulator(ClientOptions(address=address, call_timeout_s=5, busy_wait_s=20)).load(scene_path, ROBOT, 30)
    assert loads == []
