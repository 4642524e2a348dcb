"""A server of the tests' own on a real socket, and the backend that speaks to it."""

from contextlib import contextmanager

import pytest

from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.settings import GenieSimSettings
from blueprint_pipeline.simulation.conformance_scene import write_conformance_scene
from blueprint_pipeline.simulation.genie_sim.backend import GenieSimSimulator
from blueprint_pipeline.simulation.genie_sim.client import GenieSimClient, GenieSimOptions
from tests.simulation.genie_sim.server import Faults, GenieSimServer


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A block between the fingers of the G2."""
    return write_conformance_scene(tmp_path_factory.mktemp("scene"), load_embodiment("agibot_g2"))


@pytest.fixture
def serve(tmp_path):
    """Makes servers, and backends that speak to them."""

    @contextmanager
    def start(*, recorded=False, call_timeout_s=20.0, **fields):
        faults = Faults(**{name: fields.pop(name) for name in list(fields) if name in Faults.__dataclass_fields__})
        with GenieSimServer(tmp_path / "recording_data", faults=faults, **fields) as server:
            yield server, connect(server, tmp_path, recorded=recorded, call_timeout_s=call_timeout_s)

    return start


def connect(server, folder, *, recorded=False, call_timeout_s=20.0):
    """A backend of a process of its own."""
    recordings = server.recordings if recorded else None
    settings = GenieSimSettings(address=server.address, version="3.2.0", stages=folder / "stages", recordings=recordings)
    return GenieSimSimulator(GenieSimClient(GenieSimOptions(address=server.address, call_timeout_s=call_timeout_s)), settings)
