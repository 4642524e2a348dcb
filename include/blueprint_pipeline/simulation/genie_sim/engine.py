"""Genie Sim, for who opens simulators by name: its server runs elsewhere, and this process calls it."""

from collections.abc import Callable

from blueprint_pipeline.errors import ConfigurationError
from blueprint_pipeline.settings import RenderSettings, load_settings
from blueprint_pipeline.simulation.engine import Engine
from blueprint_pipeline.simulation.protocol import Simulator


class ServesItself(ConfigurationError):
    """Genie Sim is to be served by us."""

    code = "simulation.genie_sim_serves_itself"
    template = "Genie Sim is a server itself. Name it in BPP__GENIE_SIM__ADDRESS, and set BPP__SIMULATION__SIMULATOR=genie_sim."


class GenieSimEngine(Engine):
    """Connects to the server that the settings name."""

    def open(self, render: RenderSettings) -> Simulator:
        """The server, with whatever scene it has."""
        from blueprint_pipeline.simulation.genie_sim.backend import GenieSimSimulator  # noqa: PLC0415 -- imports pxr and what protoc writes
        from blueprint_pipeline.simulation.genie_sim.client import GenieSimClient, GenieSimOptions  # noqa: PLC0415 -- imports grpc, too

        del render
        settings = load_settings().genie_sim
        return GenieSimSimulator(GenieSimClient(GenieSimOptions(address=settings.address)), settings)

    def open_for_service(self, render: RenderSettings) -> tuple[Simulator, Callable[[], None]]:
        """It is a server already, and our service has no word for forces that nobody measured.

        Raises:
            ServesItself: Always.
        """
        del render
        raise ServesItself


ENGINE = GenieSimEngine()
