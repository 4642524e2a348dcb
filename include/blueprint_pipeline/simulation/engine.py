"""What a simulator's folder offers to the rest: how it is opened in a process that can run it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from blueprint_pipeline.rows import load_code
from blueprint_pipeline.settings import RenderSettings
from blueprint_pipeline.simulation.protocol import Simulator
from blueprint_pipeline.simulators import SIMULATORS, SimulatorName
from blueprint_pipeline.stage.runner import wait_for_stop


class Engine(ABC):
    """Opens one simulator. Its module may import what only a machine has that runs it."""

    @abstractmethod
    def open(self, render: RenderSettings) -> Simulator:
        """The simulator, in this process. Called from the main thread."""

    @contextmanager
    def record(self, render: RenderSettings, session: Path) -> Iterator[Simulator]:
        """The simulator, for a proof. One that can record what it is asked and answers writes that to ``session``.

        Args:
            render: How cameras are drawn, where it leaves a choice.
            session: The file to write.
        """
        del session
        yield self.open(render)

    def open_for_service(self, render: RenderSettings) -> tuple[Simulator, Callable[[], None]]:
        """The simulator, and what the main thread does while other threads serve it; it returns when a stop is asked for."""
        return self.open(render), wait_for_stop


def load_engine(name: SimulatorName) -> Engine:
    """The engine of a simulator.

    Raises:
        UnknownRow: There is no such simulator.
    """
    engine: Engine = load_code(SIMULATORS[name].engine)
    return engine
