"""What every way of drawing offers, and their names."""

from collections.abc import Collection
from typing import Literal, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.kit.pictures import picture_of, sky_of, unknown_surfaces
from blueprint_pipeline.kit.variation import cameras_on_robot
from blueprint_pipeline.simulation.errors import UnknownName
from blueprint_pipeline.simulation.mujoco.fixed_view import FixedView
from blueprint_pipeline.simulation.render_profiles import RenderProfile
from blueprint_pipeline.task.variation import Variation

GlBackend = Literal["egl", "osmesa", "cgl"]
RenderBackend = Literal["egl", "osmesa", "cgl", "warp"]


class FrameRenderer(Protocol):
    """Draws frames of one size: take a view, then draw it in colour, depth or bodies."""

    follows_looks: bool
    """Whether colours, lights and lenses that change in the model are seen; otherwise it is to be made anew."""

    def look(self, data: mujoco.MjData, camera_id: int) -> None:
        """Take the scene as ``data`` has it (positions must be up to date), seen by a camera."""
        ...

    def take_pictures(self, textures: Collection[int]) -> None:
        """Take the pixels of textures (ids) from the model anew, from the next view on."""
        ...

    def draw(self) -> ImageArray:
        """The view last taken: (height, width, 3) RGB, first row on top; good until the next call."""
        ...

    def draw_depth(self) -> NDArray[np.float32]:
        """Distance along the viewing axis [m] of the view last taken: (height, width), infinite where nothing is."""
        ...

    def draw_bodies(self) -> NDArray[np.int32]:
        """Body id of every pixel of the view last taken: (height, width), -1 where nothing is."""
        ...

    def fixed_view(self, camera_id: int) -> FixedView | None:
        """What draws frame after frame of a camera that never moves, with the same pixels, sooner; ``None`` where nothing is gained."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def apply_lights(model: mujoco.MjModel, profile: RenderProfile) -> None:
    """Set a model's lights as a profile says, before data are made of it: MuJoCo looks once at lights that stand still."""
    if profile.headlight is not None:
        model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = profile.headlight
    if profile.lamps is None:
        return
    for light in range(model.nlight):
        towards = model.light_dir[light] / np.linalg.norm(model.light_dir[light])
        model.light_type[light] = mujoco.mjtLightType.mjLIGHT_SPOT.value
        model.light_pos[light] = model.stat.center - profile.lamps.distance_m * towards
        model.light_cutoff[light] = profile.lamps.cutoff_deg
        model.light_exponent[light] = 0.0
        model.light_diffuse[light] = profile.lamps.diffuse


def check_pictures(model: mujoco.MjModel, variation: Variation) -> None:
    """Refuse a variation of pictures, or of cameras on the robot, that a scene does not have.

    Raises:
        UnknownName: A surface has no picture, or is not there; or there is no backdrop, or no such camera.
    """
    carried = cameras_on_robot(model)
    if unknown := sorted(variation.mounts.keys() - carried.keys()):
        raise UnknownName("camera on the robot", unknown[0], list(carried))
    if unknown := unknown_surfaces(model, variation.textures):
        known = [model.material(material).name for material in range(model.nmat) if picture_of(model, material) is not None]
        raise UnknownName("surface with a picture", unknown[0], known)
    if variation.backdrop is not None and sky_of(model) is None:
        raise UnknownName("texture", "skybox", [model.texture(texture).name for texture in range(model.ntex)])
