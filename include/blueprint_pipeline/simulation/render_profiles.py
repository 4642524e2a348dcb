"""How good pictures are: named sets of settings, one row each. Pictures of different profiles never stand in one dataset.

A profile is written whole into certificates, cards and replay kits, so that a lab can draw the same.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from blueprint_pipeline.frozen import FrozenModel
from blueprint_pipeline.rows import Rows


class Lamps(FrozenModel):
    """Lamps in place of a scene's distant lights, shining the same way: shadows of what is near come out clean."""

    distance_m: float = Field(gt=0)
    """From the middle of the scene, which each lamp points at."""
    cutoff_deg: float = Field(gt=0, lt=90)
    """Half the angle of the cone, which is lit evenly."""
    diffuse: float = Field(ge=0, le=1)


class RenderProfile(FrozenModel):
    """How MuJoCo's scenes are drawn, by OpenGL or by rays."""

    name: str
    samples: int = Field(ge=1)
    """Colours that are averaged for a pixel: smooth edges. Depth and labels have one."""
    shadow_map_px: int = Field(ge=0)
    """Side of the picture that shadows are cast from; 0: nothing casts a shadow. Rays need no such picture: any size means shadows."""
    reflections: bool
    """Whether materials that reflect show what stands before them; rays show none."""
    headlight: tuple[float, float] | None
    """Ambient and diffuse part of the light at the camera, 0 to 1; ``None``: as the scene has it."""
    lamps: Lamps | None
    """``None``: the scene's own lights."""

    @property
    def mixes(self) -> bool:
        """Whether what moves changes how what stands still looks."""
        return self.shadow_map_px > 0 or self.reflections


RENDER_PROFILES = Rows(
    "render profile",
    RenderProfile(name="fast", samples=1, shadow_map_px=0, reflections=False, headlight=None, lamps=None),
    RenderProfile(
        name="realistic",
        samples=4,
        shadow_map_px=4096,
        reflections=True,
        headlight=(0.35, 0.25),
        lamps=Lamps(distance_m=3.0, cutoff_deg=60.0, diffuse=0.7),
    ),
)
FAST = RENDER_PROFILES["fast"]
"""What a run takes that chooses none."""

RenderProfileName = Annotated[str, AfterValidator(RENDER_PROFILES.checked)]
"""The name of a row."""
