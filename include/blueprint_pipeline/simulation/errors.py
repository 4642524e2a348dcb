"""What can go wrong when a simulator acts or draws."""

from blueprint_pipeline.errors import ConfigurationError, InputError, InternalError, MissingPartError


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


class TwinDiffers(InputError):
    """A simulator addresses a scene otherwise than the twin in which its motions are planned."""

    code = "simulation.twin_differs"

    def __init__(self, found: list[str], expected: list[str]) -> None:
        super().__init__(
            f"The simulator loaded {', '.join(found)}; the twin has {', '.join(expected)}. Assemble the scene again (assemble_scene).",
            found=found,
            expected=expected,
        )


class SimulatorDiffers(ConfigurationError):
    """Another simulator is served than the settings name."""

    code = "simulation.simulator_differs"

    def __init__(self, address: str, found: str, expected: str) -> None:
        super().__init__(
            f"At {address} {found} is served, and {expected} shall act. Set BPP__SIMULATION__SIMULATOR={found}, or "
            "BPP__SIMULATION__ADDRESS to where the other one is served.",
            address=address,
            found=found,
            expected=expected,
        )


class RendererMissing(MissingPartError):
    """No way to draw was found on this machine."""

    code = "simulation.renderer_missing"

    def __init__(self, tried: dict[str, str]) -> None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in tried.items())
        super().__init__(
            f"No renderer works here ({reasons}). Install EGL (Debian: libegl1 libgl1-mesa-dri) or OSMesa (libosmesa6); "
            "without OpenGL, the ray tracer (uv pip install --require-hashes --no-deps -r requirements-raytracer.txt); "
            "or set BPP__RENDER__BACKEND to one that this machine has.",
            **tried,
        )
