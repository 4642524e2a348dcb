"""What can be wrong with the model of a scene and a robot."""

from blueprint_pipeline.errors import InputError


class ModelNotBuilt(InputError):
    """The scene's MJCF twin and the robot do not compile to one model."""

    code = "simulation.model_not_built"
    template = (
        "{path} with the robot mounted does not compile: {reason}. Assemble the scene again (assemble_scene), or correct the robot's MJCF."
    )

    path: str
    reason: str


class RateNotWhole(InputError):
    """A control frame is not a whole number of physics steps."""

    code = "simulation.rate_not_whole"

    path: str
    fps: int
    timestep_s: float

    def describe(self) -> str:
        """How many steps a frame would take."""
        return (
            f"{self.path}: one frame at {self.fps} Hz takes {1.0 / self.fps / self.timestep_s:.4f} physics steps of "
            f"{self.timestep_s} s, and must take a whole number of them. Choose an fps that divides {1.0 / self.timestep_s:.0f}."
        )


class WrongShape(InputError):
    """An array has other dimensions than the model asks for."""

    code = "simulation.wrong_shape"
    template = "{what} has shape {found}, expected {expected}."

    what: str
    found: tuple[int, ...]
    expected: str
