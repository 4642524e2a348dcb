"""What can go wrong when a simulator acts or draws."""

from blueprint.errors import ConfigurationError, InputError, InternalError, MissingPartError, TransientError


class ModelNotBuilt(InputError):
    """The scene's MJCF twin and the robot do not compile to one model."""

    code = "simulation.model_not_built"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} with the robot mounted does not compile: {reason}. "
            "Assemble the scene again (assemble_scene), or mend the robot's MJCF.",
            path=path,
            reason=reason,
        )


class RateNotWhole(InputError):
    """A control frame is not a whole number of physics steps."""

    code = "simulation.rate_not_whole"

    def __init__(self, path: str, fps: int, timestep_s: float) -> None:
        super().__init__(
            f"{path}: one frame at {fps} Hz is {1.0 / fps / timestep_s:.4f} physics steps of {timestep_s} s, "
            "and must be a whole number of them. "
            f"Choose an fps that divides {1.0 / timestep_s:.0f}.",
            path=path,
            fps=fps,
            timestep_s=timestep_s,
        )


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


class NothingPlanned(InputError):
    """A simulator shall be proved on a scene that has no plan."""

    code = "simulation.nothing_planned"

    def __init__(self, scene_id: str, plan: str) -> None:
        super().__init__(
            f"Scene {scene_id} has no {plan}, so there is no episode to attempt. Run plan_tasks on it first.", scene_id=scene_id, plan=plan
        )


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
            f"At {address} {found} is served, and {expected} shall act. Set BLUEPRINT__SIMULATION__SIMULATOR={found}, or "
            "BLUEPRINT__SIMULATION__ADDRESS to where the other one is served.",
            address=address,
            found=found,
            expected=expected,
        )


class WrongShape(InputError):
    """An array has other dimensions than the model asks for."""

    code = "simulation.wrong_shape"

    def __init__(self, what: str, found: tuple[int, ...], expected: str) -> None:
        super().__init__(f"{what} has shape {found}, expected {expected}.", what=what, found=list(found), expected=expected)


class RendererMissing(MissingPartError):
    """No way to draw was found on this machine."""

    code = "simulation.renderer_missing"

    def __init__(self, tried: dict[str, str]) -> None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in tried.items())
        super().__init__(
            f"No renderer works here ({reasons}). Install EGL (Debian: libegl1 libgl1-mesa-dri) or OSMesa (libosmesa6); "
            "without OpenGL, the ray tracer (uv pip install --require-hashes --no-deps -r requirements-raytracer.txt); "
            "or set BLUEPRINT__RENDER__BACKEND to one that this machine has.",
            **tried,
        )


class UnknownShard(InputError):
    """The plan has no such shard."""

    code = "simulation.unknown_shard"

    def __init__(self, shard_index: int, shards: int) -> None:
        super().__init__(
            f"The plan has no shard {shard_index}; it has shards 0 to {shards - 1}. Run plan_tasks again, or ask for one of these.",
            shard_index=shard_index,
            shards=shards,
        )


class WorkerDied(TransientError):
    """A worker process ended without an answer (out of memory, or a crash in native code)."""

    code = "simulation.worker_died"

    def __init__(self, units: list[str], reasons: list[str], finished: int) -> None:
        super().__init__(
            f"{len(units)} worker process(es) died while working on {', '.join(units)} ({'; '.join(sorted(set(reasons)))}). "
            f"The other {finished} are finished and kept: run the stage again to redo these. "
            "If the same ones die again, look at the machine's memory, or lower BLUEPRINT__COMPUTE__WORKERS.",
            units=units,
            reasons=reasons,
            finished=finished,
        )
