"""MuJoCo, for who opens simulators by name."""

from blueprint_pipeline.settings import RenderSettings
from blueprint_pipeline.simulation.engine import Engine
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator


class MujocoEngine(Engine):
    """Opens MuJoCo."""

    def open(self, render: RenderSettings) -> MujocoSimulator:
        """MuJoCo, drawing with what the settings name."""
        return MujocoSimulator(render.backend)


ENGINE = MujocoEngine()
