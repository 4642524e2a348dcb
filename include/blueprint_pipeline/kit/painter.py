"""Draw states of a kit's scene as they were drawn for the dataset, before their videos were encoded.

Without a screen: ``MUJOCO_GL=egl`` (or ``osmesa``). OpenGL of another make rounds otherwise: shapes and shades are the same, single levels
of a colour may differ.
"""

import weakref
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from .pictures import VariedPictures
from .variation import VariedLooks
from .world import KitNotUsable, Vector

_COLLISION_GROUP = 3
_MOST_GEOMS = 10_000


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
        self._pictures = VariedPictures(model)
        self._variation: Mapping[str, Any] | None = None
        self._option = mujoco.MjvOption()
        self._option.geomgroup[_COLLISION_GROUP] = 0
        self._option.sitegroup[:] = 0
        self._option.flags[mujoco.mjtVisFlag.mjVIS_TENDON] = 0
        self._cameras = {model.camera(index).name.rsplit("/", 1)[-1]: index for index in reversed(range(model.ncam))}
        self._gl = mujoco.GLContext(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        self._free = weakref.finalize(self, _free, self._gl, self._context)
        self._free.atexit = False
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._scene, self._camera = mujoco.MjvScene(model, _MOST_GEOMS), mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = profile["shadow_map_px"] > 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = profile["reflections"]
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 0
        self._rectangle, self._image = mujoco.MjrRect(0, 0, width, height), np.empty((height, width, 3), dtype=np.uint8)

    def draw(self, qpos: Vector, camera: str, variation: Mapping[str, Any]) -> NDArray[np.uint8]:
        """A picture (height, width, 3), RGB, of a configuration (nq,) in a varied scene, by a camera (its name without the robot's prefix).

        Raises:
            KitNotUsable: The scene has no such camera.
        """
        self._gl.make_current()
        if variation != self._variation:
            self._vary(variation)
        if camera not in self._cameras:
            raise KitNotUsable(f"There is no camera '{camera}'; there are {', '.join(sorted(self._cameras))}.")
        self._data.qpos[:] = qpos
        mujoco.mj_forward(self._model, self._data)
        self._camera.fixedcamid = self._cameras[camera]
        every = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, self._data, self._option, None, self._camera, every, self._scene)
        mujoco.mjr_render(self._rectangle, self._scene, self._context)
        mujoco.mjr_readPixels(self._image, None, self._rectangle, self._context)
        return np.flipud(self._image).copy()

    def _vary(self, variation: Mapping[str, Any]) -> None:
        self._looks.apply(variation)
        for texture in sorted(self._pictures.apply(variation)):
            mujoco.mjr_uploadTexture(self._model, self._context, texture)
        self._variation = variation
        self._data = mujoco.MjData(self._model)  # MuJoCo looks once at lights that stand still

    def close(self) -> None:
        """Free what draws; the scene looks as it was compiled again."""
        self._looks.put_back()
        self._pictures.put_back()
        self._free()


def _free(gl: mujoco.GLContext, context: mujoco.MjrContext) -> None:
    """Free what is drawn with in its own OpenGL context: in another's, textures and meshes of the same numbers would be deleted."""
    gl.make_current()
    context.free()
    gl.free()


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
