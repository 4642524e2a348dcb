"""Kit's calls stay in the main thread, whoever asks; a server over it works, and ends."""

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.errors import PreemptedError
from blueprint_pipeline.simulation.conformance import CHECKS, check_simulator
from blueprint_pipeline.simulation.isaac_sim.api import start_isaac_sim
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulation.isaac_sim.main_thread import MainThreadApi
from blueprint_pipeline.simulation.service.client import ClientOptions, RemoteSimulator
from blueprint_pipeline.simulation.service.server import ServerOptions, SimulatorServer
from tests.simulation.isaac_sim.fake_kit import FakeKit
from tests.simulation.isaac_sim.stand_in import MujocoStandIn


class Picky(MujocoStandIn):
    """As Kit: anything but the main thread is an error."""

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name not in {"open_stage", "read", "place", "advance", "draw", "close_stage"}:
            return found

        def call(*arguments):
            assert threading.current_thread() is threading.main_thread(), name
            return found(*arguments)

        return call


def test_the_suite_passes_over_grpc_while_the_main_thread_works():
    """The server's own thread asks; the main one answers."""
    api = MainThreadApi(Picky())
    results, done = [], threading.Event()

    def client(address):
        try:
            results.extend(check_simulator(RemoteSimulator(ClientOptions(address=address))))
        finally:
            done.set()

    with SimulatorServer(IsaacSimSimulator(api), ServerOptions()) as server:
        thread = threading.Thread(target=client, args=(server.address,))
        thread.start()
        api.work(done.is_set)
        thread.join()
    assert [result.message for result in results if not result.passed] == []
    assert len(results) == len(CHECKS)


def test_serve_serves_isaac_sim_until_sigterm(monkeypatch):
    """The command itself, on modules of the documented shape: the suite passes from outside, SIGTERM ends it well."""
    FakeKit().install(monkeypatch)
    start_isaac_sim.cache_clear()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    results = []

    def client():
        try:
            remote = RemoteSimulator(ClientOptions(address=f"127.0.0.1:{port}"))
            remote.wait_until_ready(60)
            results.append((remote.name, remote.version))
            results.extend(check_simulator(remote, names=["load", "object_lifts"]))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=client)
    thread.start()
    ended = CliRunner().invoke(app, ["simulator", "serve", "--simulator", "isaac_sim", "--port", str(port)])
    thread.join()
    start_isaac_sim.cache_clear()
    assert (ended.exit_code, ended.exception) == (0, None)
    assert results[0] == ("isaac_sim", "5.1.0")
    assert [(result.name, result.passed) for result in results[1:]] == [("load", True), ("object_lifts", True)]


def test_errors_go_to_who_asked():
    api = MainThreadApi(Picky())
    with ThreadPoolExecutor(1) as executor:
        asked = executor.submit(api.open_stage, Path("/nowhere.usda"), None)
        api.work(asked.done)
        error = asked.exception()
    assert error is not None
    assert not isinstance(error, PreemptedError)


def test_calls_after_the_end_are_refused_and_do_not_hang():
    api = MainThreadApi(Picky())
    api.work(lambda: True)
    caught = []

    def ask():
        with pytest.raises(PreemptedError) as raised:
            api.read()
        caught.append(raised.value)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(timeout=10)
    assert len(caught) == 1
