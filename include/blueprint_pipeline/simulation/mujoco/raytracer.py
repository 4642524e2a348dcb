"""Draws without OpenGL: mujoco-warp's ray tracer on the CPU, one core a frame.

The same calls as :class:`blueprint_pipeline.simulation.mujoco.renderer.Renderer`. One trace gives colour, depth and bodies at
once, one ray through the middle of each pixel. What differs from OpenGL's pictures: highlights are shaded at every pixel
instead of at every vertex, what is half transparent is drawn opaque, and textures have one size for near and far.

The first frame of a kind of scene compiles kernels (some ten seconds of a core) into Warp's cache, ``~/.cache/warp``.
"""

from collections.abc import Collection
from importlib import import_module
from typing import Any, Self

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_pipeline.geometry.arrays import ImageArray
from blueprint_pipeline.simulation.mujoco.fixed_view import FixedView
from blueprint_pipeline.simulation.render_profiles import FAST, RenderProfile

_GROUPS = [0, 1, 2]
"""Of geoms, those that OpenGL draws too: collision geometry is in group 3."""
_TEXELS_A_PIXEL = 0.4
"""Longest side of a texture by that of the picture. Objects cover parts of a picture: finer textures would flicker."""
_FOLLOWED = ("geom_xpos", "geom_xmat", "cam_xpos", "cam_xmat", "light_xpos", "light_xdir")
_MISS_DEPTH = 0.0


class RayTracer:
    """Traces frames of one size.

    Args:
        model: Compiled model, with its lights as they shall be: colours, lights and lenses are copied, and later changes are not seen.
        width: Pixels.
        height: Pixels.
        profile: How good the pictures are; of its reflections nothing is traced.
    """

    follows_looks = False

    def __init__(self, model: mujoco.MjModel, width: int, height: int, profile: RenderProfile = FAST) -> None:
        self._warp, self._tracer = load_warp()
        self._mujoco_model = model
        self._profile = profile
        self._size = (width, height)
        self._contexts: dict[int, Any] = {}
        self._seen: tuple[int, NDArray[np.float64]] | None = None
        with self._warp.ScopedDevice("cpu"):
            self._model = self._tracer.put_model(model)
            self._data = self._tracer.make_data(model)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def look(self, data: mujoco.MjData, camera_id: int) -> None:
        """Trace the scene as ``data`` has it (positions must be up to date), seen by a camera."""
        poses = np.concatenate([getattr(data, name).ravel() for name in _FOLLOWED])
        if self._seen is not None and self._seen[0] == camera_id and np.array_equal(self._seen[1], poses):
            return
        with self._warp.ScopedDevice("cpu"):
            context = self._context(camera_id)
            for name in _FOLLOWED:
                target = getattr(self._data, name)
                target.assign(getattr(data, name).astype(np.float32).reshape(target.numpy().shape))
            self._tracer.refit_bvh(self._model, self._data, context)
            self._tracer.render(self._model, self._data, context)
        self._seen = (camera_id, poses)

    def take_pictures(self, textures: Collection[int]) -> None:
        """Take the pixels of textures (ids) from the model anew, from the next view on: with everything else that it copied."""
        if textures:
            self._contexts.clear()
            self._seen = None

    def draw(self) -> ImageArray:
        """The view last taken: (height, width, 3) RGB, first row on top."""
        # One 32-bit number a pixel: alpha, red, green, blue, from the highest byte down.
        packed = self._traced().rgb_data.numpy().reshape(self._shape)
        channels = [(packed >> shift) & 0xFF for shift in (16, 8, 0)]
        return np.stack(channels, axis=-1).astype(np.uint8)

    def draw_depth(self) -> NDArray[np.float32]:
        """Distance along the viewing axis [m] of the view last taken: (height, width), infinite where nothing is."""
        depth = self._traced().depth_data.numpy().reshape(self._shape)
        return np.where(depth == _MISS_DEPTH, np.inf, depth).astype(np.float32)

    def draw_bodies(self) -> NDArray[np.int32]:
        """Body id of every pixel of the view last taken: (height, width), -1 where nothing is."""
        hit = self._traced().seg_data.numpy().reshape(*self._shape, 2)
        is_geom = hit[..., 1] == mujoco.mjtObj.mjOBJ_GEOM.value
        return np.where(is_geom, self._mujoco_model.geom_bodyid[hit[..., 0]], -1).astype(np.int32)

    def fixed_view(self, camera_id: int) -> FixedView | None:  # noqa: ARG002 -- FrameRenderer's signature
        """None: a ray costs the same whatever it meets."""
        return None

    def close(self) -> None:
        """Free the scene's copies."""
        self._contexts.clear()
        self._seen = None

    @property
    def _shape(self) -> tuple[int, int]:
        return self._size[1], self._size[0]

    def _traced(self) -> Any:
        if self._seen is None:
            raise RuntimeError("look() comes before draw()")
        return self._contexts[self._seen[0]]

    def _context(self, camera_id: int) -> Any:
        if camera_id not in self._contexts:
            context = self._tracer.create_render_context(
                self._mujoco_model,
                cam_res=self._size,
                render_rgb=True,
                render_depth=True,
                render_seg=True,
                use_shadows=self._profile.shadow_map_px > 0,
                samples_per_pixel=self._profile.samples,
                use_fast_math=False,
                enabled_geom_groups=_GROUPS,
                cam_active=[camera_id],
                render_skybox=True,
            )
            self._soften(context)
            self._contexts[camera_id] = context
        return self._contexts[camera_id]

    def _soften(self, context: Any) -> None:
        """Replace the context's pictures on surfaces by smaller ones, averaged over squares of whole pixels."""
        model = self._mujoco_model
        longest = _TEXELS_A_PIXEL * max(self._size)
        for texture in range(model.ntex):
            height, width, channels = model.tex_height[texture], model.tex_width[texture], model.tex_nchannel[texture]
            start, square = model.tex_adr[texture], int(max(height, width) / longest)
            if model.tex_type[texture] != mujoco.mjtTexture.mjTEXTURE_2D or start < 0 or square <= 1:
                continue
            image = model.tex_data[start : start + height * width * channels].reshape(height, width, channels)
            small = shrink(image, square)
            rgba = np.ones((*small.shape[:2], 4), dtype=np.float32)
            rgba[..., :channels] = small
            context.textures_registry[texture] = self._warp.Texture2D(rgba, filter_mode=self._warp.TextureFilterMode.LINEAR)
        if context.textures_registry:
            context.textures = self._warp.array(context.textures_registry, dtype=self._warp.Texture2D)


def shrink(image: NDArray[np.uint8], square: int) -> NDArray[np.float32]:
    """Mean of each whole square of pixels, in shares of full brightness: (height // square, width // square, channels).

    A side shorter than a square is one square.
    """
    height, width, channels = image.shape
    rows, columns = min(square, height), min(square, width)
    whole = image[: height // rows * rows, : width // columns * columns]
    blocks = whole.reshape(height // rows, rows, width // columns, columns, channels)
    means: NDArray[np.float32] = (blocks.mean(axis=(1, 3)) / 255.0).astype(np.float32)
    return means


def load_warp() -> tuple[Any, Any]:
    """The packages ``warp`` (told to keep standard output clean) and ``mujoco_warp``."""
    warp = import_module("warp")
    warp.config.log_level = warp.LOG_ERROR
    return warp, import_module("mujoco_warp")
