"""How the scene of one episode differs from the scene as it was reconstructed, and within which ranges a job draws that."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.robot.placement import MountOffset, View
from blueprint_pipeline.rows import Rows
from blueprint_pipeline.twin.body_names import BodyName
from blueprint_pipeline.workspace.storage import Id

Factor = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Colour = tuple[Share, Share, Share]
"""Red, green and blue as displayed."""


class SurfaceTexture(FrozenModel):
    """A picture that a surface has instead of its own. What paints it is :mod:`blueprint_pipeline.kit.textures`."""

    kind: Literal["wood", "stone", "tiles", "cloth", "plaster"]
    seed: int = Field(ge=0, lt=2**32)
    cells: int = Field(ge=1, le=4096)
    """How many planks, slabs, tiles, threads or stains lie across the picture."""
    turned: bool
    """By a quarter."""
    low_rgb: Colour
    high_rgb: Colour
    """Its colours go from one to the other."""


class Backdrop(FrozenModel):
    """What a camera sees where the scene ends: one colour above, another below, and between them all between."""

    above_rgb: Colour
    below_rgb: Colour


class Variation(FrozenModel):
    """What differs in one episode: of everything that is not named, nothing. What acts on it is :mod:`blueprint_pipeline.kit.variation`."""

    view: View | None = None
    """Of the scene's camera, instead of the one that the job chose."""
    light_level: Factor = 1.0
    """All lights are so many times as bright."""
    light_tint: tuple[Factor, Factor, Factor] = (1.0, 1.0, 1.0)
    """By which their red, green and blue are multiplied."""
    light_turn_rad: float = 0.0
    """By which they are turned about the vertical through the middle of the scene."""
    tints: dict[BodyName, tuple[Factor, Factor, Factor]] = {}
    """By which the colours of things that stand still are multiplied; a product above 1 is 1."""
    friction: Factor = 1.0
    """By which the sliding friction of every contact is multiplied."""
    masses: dict[Id, Factor] = {}
    """By which the mass and the inertia of movable objects are multiplied."""
    textures: dict[str, SurfaceTexture] = {}
    """Pictures of surfaces that stand still, by the material of each."""
    backdrop: Backdrop | None = None
    """Instead of the one that the scene has."""
    mounts: dict[Id, MountOffset] = {}
    """Of cameras that the robot carries, by name."""

    @model_serializer(mode="wrap")
    def _serialize(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Pictures and mounts stand only where they differ: a record of a scene as it was compiled is what it always was."""
        unvaried = {name for name in ("textures", "backdrop", "mounts") if not getattr(self, name)}
        return {name: value for name, value in handler(self).items() if name not in unvaried}


PLAIN = Variation()
"""The scene as it was reconstructed."""


@dataclass(frozen=True, kw_only=True)
class VariationRanges:
    """Within what a job draws the variation of each episode, from a seed of its own. A width of 0: nothing.

    Light and camera are drawn again from half as wide ranges where they would hide the work or make a sentence untrue, and pictures and
    backdrop where what the sentence names would not stand out from them.
    """

    name: str
    camera_m: float = 0.0
    """How far the scene's camera stands from where the job put it, at most."""
    camera_rad: float = 0.0
    """By how much it is then turned about each of its axes, at most."""
    zoom: float = 0.0
    """By how much its field of view is wider, at most, as a share."""
    light_level: tuple[float, float] = (1.0, 1.0)
    """At least and at most. More than all of a scene's light would be white where it is bright, whatever its colour."""
    warmth: float = 0.0
    """By how much less of blue, or of red, lights have than of the other, at most, as a share; green lies between. None has more."""
    light_turn_rad: float = 0.0
    """By how much lights are turned, at most, either way."""
    tint: float = 0.0
    """By how much a channel of the colour of what stands still is darker, at most, as a share."""
    friction: tuple[float, float] = (1.0, 1.0)
    mass: tuple[float, float] = (1.0, 1.0)
    textured: float = 0.0
    """Share of the surfaces with room for it that have another picture: wood, stone, tiles, cloth or plaster."""
    texture_colour: float = 0.0
    """How far the colours of a picture go from the surface's own to those of its kind, at most, as a share."""
    mount_m: float = 0.0
    """How far a camera on the robot sits from its place, to each side, up, down and ahead, at most."""
    mount_rad: float = 0.0
    """By how much it is turned about each of its axes, at most."""
    mount_zoom: float = 0.0
    """By how much its field of view is wider or narrower, at most, as a share."""
    taken_away: float = 0.0
    """Share of the objects on the support that are away, of those that the sentence does not name and that bear nothing."""
    backdrop: float = 0.0
    """How far the colours of the backdrop go from those that it has to drawn ones, at most, as a share."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing varies."""
        return self == VariationRanges(name=self.name)

    def as_record(self) -> dict[str, Any]:
        """For keys and reports. Pictures, mounts and objects stand only where they vary: a job in which they do not keeps its id."""
        later = {"textured", "texture_colour", "mount_m", "mount_rad", "mount_zoom", "taken_away", "backdrop"}
        return {name: value for name, value in asdict(self).items() if name not in later or value}


NO_VARIATION, DEFAULT_VARIATION = "none", "mild"
VARIATIONS = Rows(
    "variation",
    VariationRanges(name=NO_VARIATION),
    VariationRanges(
        name=DEFAULT_VARIATION,
        camera_m=0.03,
        camera_rad=0.02,
        zoom=0.05,
        light_level=(0.75, 1.0),
        warmth=0.08,
        light_turn_rad=0.4,
        tint=0.15,
        friction=(0.85, 1.15),
        mass=(0.9, 1.1),
        textured=0.5,
        texture_colour=0.4,
        mount_m=0.003,
        mount_rad=0.01,
        mount_zoom=0.03,
        taken_away=0.15,
        backdrop=0.4,
    ),
    VariationRanges(
        name="wide",
        camera_m=0.08,
        camera_rad=0.05,
        zoom=0.12,
        light_level=(0.55, 1.0),
        warmth=0.18,
        light_turn_rad=0.8,
        tint=0.4,
        friction=(0.7, 1.3),
        mass=(0.75, 1.25),
        textured=0.85,
        texture_colour=1.0,
        mount_m=0.008,
        mount_rad=0.03,
        mount_zoom=0.08,
        taken_away=0.4,
        backdrop=1.0,
    ),
)

AUTO = "auto"


def _checked(name: str) -> str:
    if name != AUTO and name not in VARIATIONS:
        raise ValueError(f"There is no variation '{name}'. Known: {', '.join((AUTO, *VARIATIONS))}.")
    return name


VariationChoice = Annotated[str, AfterValidator(_checked)]
"""The name of a row, or :data:`AUTO`: whoever plans a job chooses by the simulator that will act."""
