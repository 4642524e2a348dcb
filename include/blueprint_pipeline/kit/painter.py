"""Draw states of a kit's scene as they were drawn for the dataset, before their videos were encoded.

Without a screen: ``MUJOCO_GL=egl`` (or ``osmesa``). OpenGL of another make rounds otherwise: shapes and shades are the same, single levels
of a colour may differ.
"""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .variation import VariedLooks
from .world import KitNotUsable, Vector

_COLLISION_GROUP = 3


class Painter:
    """Draws states of a scene.

    Args:
        model: The scene with the robot, compiled; its lights and its quality of drawing are set.
        kit: ``kit.json``.
    """

    def __init__(self, model: mujoco.MjModel, kit: dict[str, Any]) -> None:
        profile, (width, height) = kit["render_profile"], kit["frame_px"]
        _set_up(model, profile, width, height)
        self._model, self._data, self._looks = model, mujoco.MjData(model), VariedLooks(model)
        self._variation: Mapping[str, Any] | None = None
        self._option = mujoco.MjvOption()
        self._option.geomgroup[_COLLISION_GROUP] = 0
        self._option.sitegroup[:] = 0
        self._option.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = 0
        self._cameras = {model.camera(index).name.rsplit("/", 1)[-1]: index for index in reversed(range(model.ncam))}
        self._renderer = mujoco.Renderer(model, height, width)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = profile["shadow_map_px"] > 0
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = profile["reflections"]
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 0

    def draw(self, qpos: Vector, camera: str, variation: Mapping[str, Any]) -> NDArray[np.uint8]:
        """A picture (height, width, 3), RGB, of a configuration (nq,) in a varied scene, by a camera (its name without the robot's prefix).

        Raises:
            KitNotUsable: The scene has no such camera.
        """
        if variation != self._variation:
            self._looks.apply(variation)
            self._variation = variation
            self._data = mujoco.MjData(self._model)  # MuJoCo looks once at lights that stand still
        if camera not in self._cameras:
            raise KitNotUsable(f"There is no camera '{camera}'; there are {', '.join(sorted(self._cameras))}.")
        self._data.qpos[:] = qpos
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, self._cameras[camera], self._option)
        image: NDArray[np.uint8] = self._renderer.render()
        return image

    def close(self) -> None:
        """Free what draws; the scene looks as it was compiled again."""
        self._looks.put_back()
        self._renderer.close()


def _set_up(model: mujoco.MjModel, profile: dict[str, Any], width: int, height: int) -> None:
    """Set the model's lights and its quality of drawing as the profile says."""
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    model.vis.quality.offsamples = profile["samples"] if profile["samples"] > 1 else 0
    model.vis.quality.shadowsize = profile["shadow_map_px"]
    if profile["headlight"] is not None:
        model.vis.headlight.ambient[:], model.vis.headlight.diffuse[:] = profile["headlight"]
    if profile["lamps"] is None:
        return
    for light in range(model.nlight):
        towards = model.light_dir[light] / np.linalg.norm(model.light_dir[light])
        model.light_type[light] = mujoco.mjtLightType.mjLIGHT_SPOT.value
        model.light_pos[light] = model.stat.center - profile["lamps"]["distance_m"] * towards
        model.light_cutoff[light] = profile["lamps"]["cutoff_deg"]
        model.light_exponent[light] = 0.0
        model.light_diffuse[light] = profile["lamps"]["diffuse"]
