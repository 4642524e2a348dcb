"""Isaac Sim, for who opens simulators by name. Its modules are there in its own image alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from blueprint_pipeline.settings import RenderSettings
from blueprint_pipeline.simulation.engine import Engine
from blueprint_pipeline.simulation.isaac_sim.api import start_isaac_sim
from blueprint_pipeline.simulation.isaac_sim.backend import IsaacSimSimulator
from blueprint_pipeline.simulation.isaac_sim.main_thread import MainThreadApi
from blueprint_pipeline.simulation.isaac_sim.session import RecordingApi
from blueprint_pipeline.simulation.protocol import Simulator
from blueprint_pipeline.stage.runner import is_stop_asked


class IsaacSimEngine(Engine):
    """Starts Isaac Sim, once a process, and opens it."""

    def open(self, render: RenderSettings) -> IsaacSimSimulator:
        """Isaac Sim, drawing as its own renderer does.

        Raises:
            IsaacSimMissing: This is not Isaac Sim's Python.
        """
        del render
        return IsaacSimSimulator(start_isaac_sim())

    @contextmanager
    def record(self, render: RenderSettings, session: Path) -> Iterator[Simulator]:
        """Isaac Sim, with every call and answer written to ``session``."""
        del render
        with RecordingApi(start_isaac_sim(), session, "bpp simulator prove") as api:
            yield IsaacSimSimulator(api)

    def open_for_service(self, render: RenderSettings) -> tuple[Simulator, Callable[[], None]]:
        """Isaac Sim belongs to the main thread: it works there on what other threads ask."""
        del render
        api = MainThreadApi(start_isaac_sim())
        return IsaacSimSimulator(api), lambda: api.work(is_stop_asked)


ENGINE = IsaacSimEngine()
