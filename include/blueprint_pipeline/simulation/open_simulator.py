"""Which simulator acts, by the settings: opened once a process, and kept for every shard that the process works off."""

import atexit
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from blueprint_pipeline.errors import BlueprintError, ConfigurationError, InputError
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.settings import RenderSettings, Settings, SimulationSettings
from blueprint_pipeline.simulation.engine import load_engine
from blueprint_pipeline.simulation.protocol import LoadedScene, Simulator
from blueprint_pipeline.simulators import SIMULATORS, TWIN_FOLDER, SimulatorName
from blueprint_pipeline.twin.model import SceneModel

_READY_S = 60.0
"""How long a served simulator may take to come up beside this process."""
_BUSY_S = 900.0
"""How long to wait for a simulator that no other caller uses: as long as a server keeps the place of a caller that fell silent."""


class SimulatorDiffers(ConfigurationError):
    """Another simulator is served than the settings name."""

    code = "simulation.simulator_differs"
    template = (
        "At {address} {found} is served, but the settings name {expected}. Set BPP__SIMULATION__SIMULATOR={found}, or "
        "BPP__SIMULATION__ADDRESS to where the other one is served."
    )

    address: str
    found: str
    expected: str


class TwinDiffers(InputError):
    """A simulator addresses a scene otherwise than the twin in which its motions are planned."""

    code = "simulation.twin_differs"
    template = (
        "The simulator loaded {found}; the twin has {expected}. Assemble the scene again (assemble_scene). On parts that open (a name with "
        "'/'), MuJoCo alone acts."
    )

    found: list[str]
    expected: list[str]


def is_embedded(name: SimulatorName, settings: Settings) -> bool:
    """Whether the simulator acts in our own processes, one a core; every other acts for one caller at a time."""
    return SIMULATORS[name].one_a_core and settings.simulation.address is None


def scene_inputs(name: SimulatorName | None) -> list[str]:
    """Folders of a scene that are read to act in it: the twin, and what the simulator itself loads."""
    folder = SIMULATORS[name].folder if name else None
    return [TWIN_FOLDER, folder] if folder else [TWIN_FOLDER]


def other_engines(name: SimulatorName | None) -> list[str]:
    """Where the engines lie of the simulators that do not act."""
    return [row.engine for row in SIMULATORS.values() if row.name != name] if name else []


def simulator_release(name: SimulatorName, settings: Settings) -> dict[str, str]:
    """What says which release of the simulator acts, where no package's version does: the image that it comes in, or the settings.

    It is part of the key of what is simulated and drawn. Of one that is served elsewhere nothing is known before it is called.
    """
    if group := SIMULATORS[name].release_in:
        return {f"release of {name}": str(getattr(settings, group).version)}
    image = settings.compute.image_digest
    if image is None or SIMULATORS[name].python_package or settings.simulation.address is not None:
        return {}
    return {f"image of {name}": image}


def open_simulator(name: SimulatorName, settings: Settings) -> Simulator:
    """The simulator of this process; the first call opens it. Call from the main thread, which Isaac Sim then belongs to.

    Raises:
        SimulatorDiffers: Another one is served at the address.
        SimulatorUnreachable: Nothing is served there.
        IsaacSimMissing: This is not Isaac Sim's Python.
    """
    if settings.simulation.address is not None:
        return _open_served(name, settings.simulation)
    return _open_here(name, settings.render)


@cache
def _open_here(name: SimulatorName, render: RenderSettings) -> Simulator:
    return load_engine(name).open(render)


@cache
def _open_served(name: SimulatorName, settings: SimulationSettings) -> Simulator:
    from blueprint_pipeline.simulation.service.client import ClientOptions, RemoteSimulator  # noqa: PLC0415 -- imports grpc, which the embedded engine has no use for
    from blueprint_pipeline.simulation.service.security import ClientTls, read_token  # noqa: PLC0415 -- imports grpc, too

    address, tls, token = str(settings.address), None, None
    if settings.certificate and settings.private_key and settings.server_ca:
        tls = ClientTls(certificate=settings.certificate, private_key=settings.private_key, server_ca=settings.server_ca)
    if settings.token_file:
        token = partial(read_token, settings.token_file)
    remote = RemoteSimulator(ClientOptions(address=address, tls=tls, token=token, busy_wait_s=_BUSY_S))
    remote.wait_until_ready(_READY_S)
    if remote.name != name:
        raise SimulatorDiffers(address, remote.name, name)
    atexit.register(_close_quietly, remote)
    return remote


def _close_quietly(remote: Simulator) -> None:
    """Let the next caller have the simulator at once; a server that is gone already needs no goodbye."""
    with suppress(BlueprintError):
        remote.close()


def load_beside_twin(simulator: Simulator, scene: Path, robot: RobotPlacement, twin: SceneModel) -> LoadedScene:
    """Load a scene in the simulator that acts, and check that it is addressed as the twin is, in which motions are planned.

    Args:
        simulator: Open.
        scene: Local folder of the scene.
        robot: Which robot stands where.
        twin: The scene's compiled twin.

    Raises:
        TwinDiffers: It has other objects or actuators, or in another order.
    """
    loaded = simulator.load(scene, robot, twin.fps)
    actuators = tuple(twin.model.actuator(index).name for index in range(twin.model.nu))
    if (loaded.object_ids, loaded.actuators) != (twin.object_ids, actuators):
        raise TwinDiffers([*loaded.object_ids, *loaded.actuators], [*twin.object_ids, *actuators])
    return loaded
