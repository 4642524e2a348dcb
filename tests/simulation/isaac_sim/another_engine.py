"""A simulator of the tests' own: all that a new one brings. The stand-in acts under another name."""

from blueprint_pipeline.simulation.engine import Engine
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulators import USD_FOLDER, SimulatorRow
from tests.simulation.isaac_sim.stand_in import MujocoStandIn


class AnotherSimulator(IsaacSimSimulator):
    """The stand-in, by another name."""

    name = "another"


class AnotherEngine(Engine):
    """Opens it."""

    def open(self, render):
        del render
        return AnotherSimulator(MujocoStandIn())


ENGINE = AnotherEngine()
ROW = SimulatorRow(name="another", title="Another", engine=f"{__name__}:ENGINE", folder=USD_FOLDER)
