"""Draws what a policy sees in a kit, with whatever draws on this machine, as pictures of datasets are drawn."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.pictures import VariedPictures
from blueprint_pipeline.kit.variation import VariedLooks
from blueprint_pipeline.kit.world import World
from blueprint_pipeline.simulation.mujoco.drawing import FrameRenderer, apply_lights
from blueprint_pipeline.simulation.mujoco.renderer import camera_id
from blueprint_pipeline.simulation.mujoco.renderers import choose_backend, make_renderer
from blueprint_pipeline.simulation.render_profiles import RenderProfile


class KitDrawing:
    """Draws states of a kit's scene.

    Args:
        world: The kit's scene.

    Raises:
        RendererMissing: Nothing on this machine can draw.
    """

    def __init__(self, world: World) -> None:
        self._world, self._profile = world, RenderProfile.model_validate(world.kit["render_profile"])
        self._backend = choose_backend("auto")
        apply_lights(world.model, self._profile)
        self._looks = VariedLooks(world.model)
        self._pictures = VariedPictures(world.model)
        self._renderer: FrameRenderer | None = None
        self._variation: Mapping[str, Any] | None = None

    def draw(self, qpos: FloatArray, camera: str, variation: Mapping[str, Any]) -> NDArray[np.uint8]:
        """A picture (height, width, 3), RGB, of a configuration (nq,) in a varied scene, by a camera."""
        renderer = self._varied(variation)
        self._data.qpos[:] = qpos
        mujoco.mj_forward(self._world.model, self._data)
        renderer.look(self._data, camera_id(self._world.model, camera))
        return renderer.draw().copy()

    def close(self) -> None:
        """Free what draws; the scene looks as it was compiled again."""
        self._looks.put_back()
        self._pictures.put_back()
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _varied(self, variation: Mapping[str, Any]) -> FrameRenderer:
        """What draws the scene so varied."""
        model, found = self._world.model, self._renderer
        if found is not None and variation == self._variation:
            return found
        self._looks.apply(variation)
        pictures = self._pictures.apply(variation)
        self._variation, self._data = variation, mujoco.MjData(model)
        if found is not None and found.follows_looks:
            found.take_pictures(pictures)
            return found
        if found is not None:
            found.close()
        width, height = self._world.kit["frame_px"]
        self._renderer = found = make_renderer(model, width, height, self._backend, self._profile)
        return found
