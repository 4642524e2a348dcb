"""What can be wrong with the model of a scene and a robot."""

from blueprint_pipeline.errors import InputError


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


class WrongShape(InputError):
    """An array has other dimensions than the model asks for."""

    code = "simulation.wrong_shape"

    def __init__(self, what: str, found: tuple[int, ...], expected: str) -> None:
        super().__init__(f"{what} has shape {found}, expected {expected}.", what=what, found=list(found), expected=expected)
