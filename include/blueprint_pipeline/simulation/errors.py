"""What can go wrong when a simulator acts or draws."""

from blueprint_pipeline.errors import InputError, InternalError


class SimulationDiverged(InputError):
    """A state is no longer finite, or huge: the scene or the motion cannot be simulated with this timestep."""

    code = "simulation.diverged"
    template = (
        "The simulation diverged at {time_s:.3f} s: {worst} is not finite, or huge. Look for overlapping bodies or "
        "tiny masses in the scene."
    )

    time_s: float
    worst: str


class NotLoaded(InternalError):
    """A simulator was asked to act before a scene was loaded."""

    code = "simulation.not_loaded"
    template = "{call} was called before load(). This is a defect of the caller: report it."

    call: str


class NotVaried(InputError):
    """A scene is to be varied by a simulator that acts on it as it is."""

    code = "simulation.not_varied"
    template = "{simulator} cannot vary a scene ({fields}). Plan the job with variation none, or simulate with mujoco."

    simulator: str
    fields: list[str]


class UnknownName(InputError):
    """Something was named that the loaded model does not have."""

    code = "simulation.unknown_name"
    template = "The model has no {kind} '{name}'; it has: {known}."

    kind: str
    name: str
    known: list[str]
