"""The simulators: one row each. To add one: its own folder below ``simulation/``, and a row here.

A row imports nothing, so that settings and requests can name a simulator on a machine that cannot run it.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from blueprint_pipeline.rows import Rows

TWIN_FOLDER = "mjcf"
"""Folder of a scene with the twin, in which motions are planned whatever acts."""
TWIN_PATH = f"{TWIN_FOLDER}/scene.xml"
USD_FOLDER = "usd"

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class SimulatorRow:
    """A simulator, as everything outside its folder knows it."""

    name: str
    title: str
    """In reports for people."""
    engine: str
    """``module:attribute`` of its :class:`~blueprint_pipeline.simulation.engine.Engine`."""
    folder: str | None = None
    """Folder of a scene that it loads, beside the twin's; ``None``: the twin is all that it needs."""
    one_a_core: bool = False
    """It acts in our own processes, one a core; otherwise for one caller at a time."""
    varies: bool = False
    """It can vary a scene from episode to episode."""
    bit_identical: bool = False
    """Its replays are held to every bit; otherwise k of n executions must agree."""
    python_package: bool = False
    """It is released on PyPI under its name, as provenance tells."""
    release_in: str | None = None
    """Group of the settings whose ``version`` says which release acts, where neither a package's version nor an image does."""
    needs_rt_cores: bool = False
    minimum_disk_bytes: int = 2 * GIB
    """Free disk that it wants: a batch of episodes, and room to spare."""


SIMULATORS = Rows(
    "simulator",
    SimulatorRow(
        name="mujoco",
        title="MuJoCo",
        engine="blueprint_pipeline.simulation.mujoco.engine:ENGINE",
        one_a_core=True,
        varies=True,
        bit_identical=True,
        python_package=True,
    ),
    SimulatorRow(
        name="isaac_sim",
        title="Isaac Sim",
        engine="blueprint_pipeline.simulation.isaac_sim.engine:ENGINE",
        folder=USD_FOLDER,
        needs_rt_cores=True,
        minimum_disk_bytes=20 * GIB,  # shaders and caches (some 5 GB after the first scene), a batch of episodes, room to spare
    ),
    SimulatorRow(
        name="genie_sim",
        title="Genie Sim",
        engine="blueprint_pipeline.simulation.genie_sim.engine:ENGINE",
        folder=USD_FOLDER,
        release_in="genie_sim",
    ),
)
SimulatorName = Annotated[str, AfterValidator(SIMULATORS.checked)]
"""The name of a row."""
