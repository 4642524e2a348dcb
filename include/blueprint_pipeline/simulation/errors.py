"""What can go wrong when a simulator acts or draws."""

from blueprint_pipeline.errors import InputError, InternalError


class SimulationDiverged(InputError):
    """A state is no longer finite, or huge: the scene or the motion cannot be simulated with this timestep."""

    code = "simulation.diverged"

    def __init__(self, time_s: float, worst: str) -> None:
        super().__init__(
            f"The simulation diverged at {time_s:.3f} s: {worst} is not finite, or huge. Look for overlapping bodies or tiny masses "
            "in the scene.",
            time_s=time_s,
            worst=worst,
        )


class NotLoaded(InternalError):
    """A simulator was asked to act before a scene was loaded."""

    code = "simulation.not_loaded"

    def __init__(self, call: str) -> None:
        super().__init__(f"{call} was called before load(). This is a defect of the caller: report it.", call=call)


class UnknownName(InputError):
    """Something was named that the loaded model does not have."""

    code = "simulation.unknown_name"

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"The model has no {kind} '{name}'; it has: {', '.join(known) or 'none'}.", kind=kind, name=name, known=known)
